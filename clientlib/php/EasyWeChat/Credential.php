<?php

declare(strict_types=1);

namespace Tokend\EasyWeChat;

use Tokend\Client;
use Tokend\Memory;

/**
 * A credential that an adapter serves: it asks tokend each time, and remembers the value for a
 * rejection.
 *
 * @internal
 */
final class Credential
{
    private Memory $memory;

    public function __construct(private Client $tokend, private string $name)
    {
        $this->memory = new Memory();
    }

    public function get(): string
    {
        return $this->remember($this->tokend->get($this->name));
    }

    /** Rejects the value that was returned last, or gets one if there was none. */
    public function refresh(): string
    {
        $last = $this->memory->lastOf($this->name);
        return $last === null ? $this->get() : $this->remember($this->tokend->reject($this->name, $last));
    }

    private function remember(string $value): string
    {
        $this->memory->add($value, $this->name);
        return $value;
    }
}
