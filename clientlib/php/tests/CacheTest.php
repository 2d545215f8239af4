<?php

declare(strict_types=1);

namespace Tokend\Tests;

use PHPUnit\Framework\TestCase;
use Psr\SimpleCache\CacheException;
use Symfony\Component\Cache\Adapter\ArrayAdapter;
use Symfony\Component\Cache\Psr16Cache;
use Tokend\Cache;
use Tokend\CacheFailure;
use Tokend\Error;

final class CacheTest extends TestCase
{
    /** @dataProvider keys */
    public function testKey(string $key, string $name, ?string $owner = null): void
    {
        $client = Site::shared()->client();
        $cache = new Cache($client, new Psr16Cache(new ArrayAdapter()), $owner);
        $value = $client->get($name);
        self::assertSame($value, $cache->get($key));
        self::assertSame([$key => $value], $cache->getMultiple([$key]));
        self::assertTrue($cache->has($key));
        if (!str_ends_with($key, 'ticket.wwsandboxsuite') && !str_contains($key, 'verify_ticket')) {
            self::assertTrue($cache->set($key, 'another', 7200));
            self::assertTrue($cache->setMultiple([$key => 'another']));
        }
        self::assertSame($value, $cache->get($key));
        if ($owner !== null && !str_starts_with($key, 'official_account')) {
            $this->expectException(CacheException::class);
            $this->expectExceptionMessageMatches('~needs the owner ' . strstr($owner, '/', true) . '/.*: pass it~');
            (new Cache($client, new Psr16Cache(new ArrayAdapter())))->get($key);
        }
    }

    public function keys(): iterable
    {
        [$platform, $suite, $work] = ['open_platform/wxsandboxplatform', 'open_work/wwsandboxsuite', 'work/wwsandboxcorp/1000002'];
        $digest = md5('secret');
        foreach (
            [
                ["official_account.access_token.wxsandboxofficial.$digest.1", Site::OFFICIAL],
                ['official_account.jsapi_ticket.wxsandboxofficial', 'official_account/wxsandboxofficial/jsapi_ticket'],
                ['official_account.jsapi_ticket.wxsandboxcustomer', "$platform/wxsandboxcustomer/jsapi_ticket", $platform],
                ["mini_app.access_token.wxsandboxmini..0", 'mini_program/wxsandboxmini/access_token'],
                ['work.access_token.wwsandboxcorp.', "$work/access_token", $work],
                ['work.jsapi_ticket.wwsandboxcorp', "$work/jsapi_ticket", $work],
                ['work.jsapi_ticket.wwsandboxcorp.1000002', "$work/agent_config_ticket", $work],
                ["open_work.access_token.wwsandboxprovider.$digest", 'open_work/wwsandboxprovider/provider_access_token'],
                ["open_work.suite_access_token.wwsandboxsuite.$digest", "$suite/suite_access_token"],
                ['open_work.suite_ticket.wwsandboxsuite', "$suite/suite_ticket"],
                ["open_work.authorizer.access_token.wwsandboxcustomer.$digest", "$suite/wwsandboxcustomer/access_token", $suite],
                ['open_work.jsapi_ticket.wwsandboxcustomer', "$suite/wwsandboxcustomer/jsapi_ticket", $suite],
                ['open_work.jsapi_ticket.wwsandboxcustomer.1000002', "$suite/wwsandboxcustomer/agent_config_ticket", $suite],
                ['open_platform.component_access_token.wxsandboxplatform', "$platform/component_access_token"],
                ['open_platform.verify_ticket.wxsandboxplatform', "$platform/component_verify_ticket"],
                ["open-platform.authorizer_access_token.wxsandboxcustomer.$digest", "$platform/wxsandboxcustomer/access_token", $platform],
            ] as $row
        ) {
            yield $row[0] . ' ' . ($row[2] ?? '') => $row;
        }
    }

    public function testOtherKeys(): void
    {
        $inner = new Psr16Cache(new ArrayAdapter());
        $cache = new Cache(Site::shared()->client(), $inner);
        self::assertTrue($cache->set('mine', 1, 60));
        self::assertTrue($cache->setMultiple(['official_account.access_token.wxsandboxofficial.x' => 'token', 'official_accounts' => 2]));
        self::assertSame(1, $inner->get('mine'));
        self::assertSame(2, $inner->get('official_accounts'));
        self::assertNull($inner->get('official_account.access_token.wxsandboxofficial.x'));
        $all = $cache->getMultiple(['mine', 'official_account.access_token.wxsandboxofficial.x', 'none'], 'default');
        self::assertSame([1, Site::shared()->client()->get(Site::OFFICIAL), 'default'], array_values($all));
        self::assertSame('default', $cache->get('none', 'default'));
        self::assertTrue($cache->has('mine'));
        self::assertFalse($cache->has('none'));
        self::assertTrue($cache->delete('mine'));
        self::assertTrue($cache->deleteMultiple(['official_accounts', 'official_account.access_token.wxsandboxrotating.x']));
        self::assertFalse($inner->has('official_accounts'));
        $inner->set('other', 1);
        self::assertTrue($cache->clear());
        self::assertFalse($inner->has('other'));
    }

    public function testDelete(): void
    {
        [$site, $key] = [Site::shared(), 'official_account.access_token.wxsandboxrotating.x'];
        $client = $site->client();
        $cache = new Cache($client, new Psr16Cache(new ArrayAdapter()));
        $token = $client->get(Site::ROTATING);
        $fetched = $site->calls('/cgi-bin/token wxsandboxrotating');
        self::assertTrue((new Cache($site->client(), new Psr16Cache(new ArrayAdapter())))->delete($key), 'nothing received');
        self::assertSame($token, $cache->get($key));
        self::assertSame($fetched, $site->calls('/cgi-bin/token wxsandboxrotating'));
        self::assertTrue($cache->delete($key));
        self::assertNotSame($token, $cache->get($key));
        self::assertSame($fetched + 1, $site->calls('/cgi-bin/token wxsandboxrotating'));
        $fake = new Fake("OK 7 tok-01\n", "OK 7 tok-02\n");
        $cache = new Cache($fake->client(), new Psr16Cache(new ArrayAdapter()));
        $cache->get($key);
        $cache->delete($key);
        self::assertSame('REJECT ' . Site::ROTATING . ' tok-01', $fake->requests()[1]);
    }

    public function testPushedTicket(): void
    {
        $fake = new Fake("OK\n", "OK\n", "ERR DENIED - PUT is not granted to this user\n");
        $cache = new Cache($fake->client(), new Psr16Cache(new ArrayAdapter()));
        $cache->set('open_work.suite_ticket.wwsuite', 'ticket', 6000);
        $cache->set('open_platform.verify_ticket.wxplatform', 'ticket');
        self::assertSame(['PUT open_work/wwsuite/suite_ticket ticket', 'PUT open_platform/wxplatform/component_verify_ticket ticket'], $fake->requests());
        $this->expectException(CacheException::class);
        $cache->set('open_work.suite_ticket.wwsuite', 'ticket', 6000);
    }

    /** @dataProvider versions */
    public function testInterface(string $signatures): void
    {
        $code = "namespace Psr\\SimpleCache { interface CacheException {} interface CacheInterface { $signatures } }"
            . "namespace { require 'Tokend.php'; require 'Cache.php'; echo is_subclass_of('Tokend\\Cache', 'Psr\\SimpleCache\\CacheInterface'); }";
        exec('cd ' . escapeshellarg(dirname(__DIR__)) . ' && ' . PHP_BINARY . ' -r ' . escapeshellarg($code) . ' 2>&1', $output);
        self::assertSame(['1'], $output);
    }

    /** The methods of psr/simple-cache 1, 2 and 3. */
    public function versions(): iterable
    {
        $methods = ['get(string $key, mixed $default = null): mixed', 'delete(string $key): bool', 'clear(): bool', 'has(string $key): bool',
            'set(string $key, mixed $value, null|int|\DateInterval $ttl = null): bool', 'getMultiple(iterable $keys, mixed $default = null): iterable',
            'setMultiple(iterable $values, null|int|\DateInterval $ttl = null): bool', 'deleteMultiple(iterable $keys): bool'];
        $three = 'public function ' . implode('; public function ', $methods) . ';';
        $two = preg_replace('~\): \w+~', ')', $three);
        yield 'version 3' => [$three];
        yield 'version 2' => [$two];
        yield 'version 1' => [preg_replace('~(?<=[(,]|, )[\w|\\\\]+ \$~', '$', $two)];
    }

    /** @dataProvider errors */
    public function testErrorIsNoMiss(string $reply, string $kind): void
    {
        $fake = new Fake(...array_fill(0, 4, $reply));
        $cache = new Cache($fake->client(), new Psr16Cache(new ArrayAdapter()), 'work/ww0123/1000002');
        $key = 'work.access_token.ww0123.corpsecret';
        foreach ([fn () => $cache->get($key, 'default'), fn () => $cache->getMultiple([$key]), fn () => $cache->has($key)] as $i => $call) {
            if ($i === 2 && $kind === 'NOT_FOUND') {
                self::assertFalse($call(), 'the credential does not exist');
                continue;
            }
            try {
                $call();
                self::fail('no exception');
            } catch (CacheException $e) {
                self::assertInstanceOf(Error::class, $e);
                self::assertSame($kind, $e->kind());
                self::assertStringNotContainsString('corpsecret', (string) $e . print_r(array_column($e->getTrace(), 'args'), true));
            }
        }
    }

    public function errors(): iterable
    {
        yield ["ERR NOT_FOUND - no such credential\n", 'NOT_FOUND'];
        yield ["ERR WAITING 600 no ticket\n", 'WAITING'];
        yield ["ERR REAUTH - revoked\n", 'REAUTH'];
        yield ["ERR LIMITED 30 quota\n", 'LIMITED'];
        yield ["ERR DENIED - GET is not granted to this user\n", 'DENIED'];
        yield ["OK\n", 'BAD_REPLY'];
    }

    public function testBadKey(): void
    {
        $fake = new Fake();
        $cache = new Cache($fake->client(), new Psr16Cache(new ArrayAdapter()), 'work/ww0123/1000002');
        $keys = ['official_account.access_token..secret', "official_account.access_token.wx\n.secret", 'mini_app.access_token.a b.secret',
            'work.access_token.wwother.secret', 'work.jsapi_ticket.ww0123.1000003', 'open_work.jsapi_ticket.ww0123',
            'official_account.access_token.' . str_repeat('x', 65)];
        foreach ($keys as $key) {
            try {
                $cache->get($key);
                self::fail($key);
            } catch (CacheFailure $e) {
                self::assertSame('BAD_REQUEST', $e->kind());
                self::assertStringNotContainsString('secret', $e->getMessage());
            }
        }
        self::assertSame([], $fake->requests());
        foreach (['work/ww0123', 'official_account/wx0123', 'open_work/a/b', '', "open_work/a\n"] as $owner) {
            try {
                new Cache($fake->client(), new Psr16Cache(new ArrayAdapter()), $owner);
                self::fail($owner);
            } catch (\InvalidArgumentException $e) {
                self::assertStringContainsString('open_work/<suite_id>', $e->getMessage());
            }
        }
    }
}
