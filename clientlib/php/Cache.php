<?php

declare(strict_types=1);

namespace Tokend;

use Psr\SimpleCache\CacheException;
use Psr\SimpleCache\CacheInterface;

/** An error of tokend, for users of a cache. */
final class CacheFailure extends Error implements CacheException
{
}

/**
 * A cache for EasyWeChat 6. It gets credentials from tokend and passes all other keys to another
 * cache. It never reports a credential as missing because of an error: EasyWeChat would then fetch
 * it itself, and WeChat would invalidate the value that all others use.
 *
 * The methods fit psr/simple-cache 1, 2 and 3.
 */
final class Cache implements CacheInterface
{
    /** A key of EasyWeChat: what it stores, an id, and an agent or a secret. */
    private const KEY = '~^(official_account\.(?:access_token|jsapi_ticket)|mini_app\.access_token'
        . '|work\.(?:access_token|jsapi_ticket)'
        . '|open_work\.(?:access_token|suite_access_token|suite_ticket|authorizer\.access_token|jsapi_ticket)'
        . '|open_platform\.(?:component_access_token|verify_ticket)|open-platform\.authorizer_access_token'
        . ')\.([^.]*)(?:\.(.*))?\z~s';

    private const SEGMENT = '[A-Za-z0-9._@-]{1,64}';
    private const OWNER = '~^(?:work/' . self::SEGMENT . '/|open_work/|open_platform/)' . self::SEGMENT . '\z~';

    /**
     * @param string|null $owner what the keys do not contain: work/<corpid>/<agentid>,
     *     open_work/<suite_id> or open_platform/<component_appid>
     */
    public function __construct(private Client $tokend, private CacheInterface $inner, private ?string $owner = null)
    {
        if ($owner !== null && !preg_match(self::OWNER, $owner)) {
            throw new \InvalidArgumentException('tokend: an owner is work/<corpid>/<agentid>, open_work/<suite_id>'
                . ' or open_platform/<component_appid>');
        }
    }

    public function get($key, $default = null): mixed
    {
        $name = $this->name($key);
        return $name === null ? $this->inner->get($key, $default)
            : self::ask(fn (): string => $this->tokend->get($name));
    }

    /** Submits a pushed ticket to tokend. Ignores other credentials: tokend fetches them itself. */
    public function set($key, $value, $ttl = null): bool
    {
        $name = $this->name($key);
        if ($name === null) {
            return $this->inner->set($key, $value, $ttl);
        }
        if (preg_match('~/(?:suite_ticket|component_verify_ticket)\z~', $name)) {
            self::ask(fn () => $this->tokend->put($name, is_string($value) ? $value : ''));
        }
        return true;
    }

    /** Rejects the value that this process has received last, if any. */
    public function delete($key): bool
    {
        $name = $this->name($key);
        if ($name === null) {
            return $this->inner->delete($key);
        }
        $value = $this->tokend->lastOf($name);
        if ($value !== null) {
            self::ask(fn (): string => $this->tokend->reject($name, $value));
        }
        return true;
    }

    /** Deletes the keys of the other cache. */
    public function clear(): bool
    {
        return $this->inner->clear();
    }

    public function getMultiple($keys, $default = null): iterable
    {
        $values = $others = [];
        foreach ($keys as $key) {
            $ours = $this->name($key) !== null;
            $values[$key] = $ours ? $this->get($key) : $default;
            if (!$ours) {
                $others[] = $key;
            }
        }
        foreach ($others === [] ? [] : $this->inner->getMultiple($others, $default) as $key => $value) {
            $values[$key] = $value;
        }
        return $values;
    }

    public function setMultiple($values, $ttl = null): bool
    {
        $others = [];
        foreach ($values as $key => $value) {
            if ($this->name($key) === null) {
                $others[$key] = $value;
            } else {
                $this->set($key, $value, $ttl);
            }
        }
        return $others === [] || $this->inner->setMultiple($others, $ttl);
    }

    public function deleteMultiple($keys): bool
    {
        $others = [];
        foreach ($keys as $key) {
            if ($this->name($key) === null) {
                $others[] = $key;
            } else {
                $this->delete($key);
            }
        }
        return $others === [] || $this->inner->deleteMultiple($others);
    }

    /** Reports whether get returns a value. It is false only if tokend has no such credential. */
    public function has($key): bool
    {
        if ($this->name($key) === null) {
            return $this->inner->has($key);
        }
        try {
            $this->get($key);
        } catch (CacheFailure $e) {
            if ($e->kind() !== 'NOT_FOUND') {
                throw $e;
            }
            return false;
        }
        return true;
    }

    /** Returns the name of the credential that EasyWeChat stores under a key, or null. */
    private function name(mixed $key): ?string
    {
        if (!is_string($key) || !preg_match(self::KEY, $key, $m)) {
            return null;
        }
        [, $what, $id] = $m;
        if (!preg_match('~^' . self::SEGMENT . '\z~', $id)) {
            throw new CacheFailure("tokend: a key $what contains a malformed id", 'BAD_REQUEST');
        }
        $agent = $m[3] ?? '';
        return match ($what) {
            'official_account.access_token' => "official_account/$id/access_token",
            'official_account.jsapi_ticket' => (str_starts_with((string) $this->owner, 'open_platform/')
                ? $this->owner : 'official_account') . "/$id/jsapi_ticket",
            'mini_app.access_token' => "mini_program/$id/access_token",
            'work.access_token' => $this->owner($what, "work/$id/", '<agentid>') . '/access_token',
            'work.jsapi_ticket' => $agent === ''
                ? $this->owner($what, "work/$id/", '<agentid>') . '/jsapi_ticket'
                : $this->owner($what, "work/$id/", $agent) . '/agent_config_ticket',
            'open_work.access_token' => "open_work/$id/provider_access_token",
            'open_work.suite_access_token' => "open_work/$id/suite_access_token",
            'open_work.suite_ticket' => "open_work/$id/suite_ticket",
            'open_work.authorizer.access_token' => $this->owner($what, 'open_work/', '<suite_id>') . "/$id/access_token",
            'open_work.jsapi_ticket' => $this->owner($what, 'open_work/', '<suite_id>') . "/$id/"
                . ($agent === '' ? 'jsapi_ticket' : 'agent_config_ticket'),
            'open_platform.component_access_token' => "open_platform/$id/component_access_token",
            'open_platform.verify_ticket' => "open_platform/$id/component_verify_ticket",
            'open-platform.authorizer_access_token' =>
                $this->owner($what, 'open_platform/', '<component_appid>') . "/$id/access_token",
        };
    }

    /** Returns the owner if it begins with $prefix and ends with $last, which <...> leaves open. */
    private function owner(string $what, string $prefix, string $last): string
    {
        $owner = (string) $this->owner;
        if (!str_starts_with($owner, $prefix) || $last[0] !== '<' && $owner !== $prefix . $last) {
            throw new CacheFailure("tokend: a key $what needs the owner $prefix$last: pass it to Tokend\\Cache", 'BAD_REQUEST');
        }
        return $owner;
    }

    /** Calls $f, and makes its exceptions those of a cache. */
    private static function ask(callable $f): mixed
    {
        try {
            return $f();
        } catch (Error $e) {
            throw new CacheFailure($e->getMessage(), $e->kind(), $e->retryAfter(), $e);
        } catch (\InvalidArgumentException $e) {
            throw new CacheFailure($e->getMessage(), 'BAD_REQUEST', null, $e);
        }
    }
}
