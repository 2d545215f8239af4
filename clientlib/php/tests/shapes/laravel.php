<?php

declare(strict_types=1);

// The shapes of Laravel that Tokend\Laravel uses, and a container with bind, extend and singleton.

namespace Illuminate\Support {
    abstract class ServiceProvider
    {
        /** @param \Illuminate\Container\Container $app */
        public function __construct(protected $app)
        {
        }
    }
}

namespace Illuminate\Container {
    class Container implements \ArrayAccess
    {
        private array $bound = [];
        private array $extended = [];

        public function bind(string $name, \Closure $make): void
        {
            $this->bound[$name] = $make;
        }

        public function singleton(string $name, \Closure $make): void
        {
            $this->bind($name, function () use ($make): mixed {
                static $one = null;
                return $one ??= $make($this);
            });
        }

        public function extend(string $name, \Closure $extend): void
        {
            $this->extended[$name][] = $extend;
        }

        public function make(string $name): mixed
        {
            $made = $this->bound[$name]($this);
            foreach ($this->extended[$name] ?? [] as $extend) {
                $made = $extend($made, $this);
            }
            return $made;
        }

        public function offsetExists(mixed $name): bool
        {
            return isset($this->bound[$name]);
        }

        public function offsetGet(mixed $name): mixed
        {
            return $this->make($name);
        }

        public function offsetSet(mixed $name, mixed $value): void
        {
            $this->bind($name, static fn (): mixed => $value);
        }

        public function offsetUnset(mixed $name): void
        {
            unset($this->bound[$name]);
        }
    }
}
