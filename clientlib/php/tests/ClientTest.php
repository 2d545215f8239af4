<?php

declare(strict_types=1);

namespace Tokend\Tests;

use PHPUnit\Framework\TestCase;
use Tokend\BadReply;
use Tokend\Client;
use Tokend\Error;
use Tokend\NoDaemon;
use Tokend\Stale;
use Tokend\Timeout;

final class ClientTest extends TestCase
{
    private const NAME = 'official_account/wx0123/access_token';

    public function testMethods(): void
    {
        $site = Site::shared();
        $client = $site->client();
        $token = $client->get(Site::ROTATING);
        self::assertSame($token, $client->get(Site::ROTATING));
        $fresh = $client->reject(Site::ROTATING, $token);
        self::assertNotSame($token, $fresh);
        self::assertSame($fresh, $client->reject(Site::ROTATING, $token), 'a token that another has rejected');
        self::assertNotSame('', $client->refresh('official_account/wxsandboxrotating/jsapi_ticket'));

        $url = 'https://example.com/付款?id=7';
        $signed = $client->sign('official_account/wxsandboxofficial/jsapi_ticket', $url);
        $ticket = $client->get('official_account/wxsandboxofficial/jsapi_ticket');
        self::assertSame(sha1("jsapi_ticket=$ticket&noncestr={$signed['nonce']}&timestamp={$signed['timestamp']}&url=$url"), $signed['signature']);

        $ticket = $client->get('open_platform/wxsandboxplatform/component_verify_ticket');
        $client->put('open_platform/wxsandboxplatform/component_verify_ticket', $ticket);
        $code = $site->post('authorize?owner=wxsandboxplatform&child=wxanother');
        self::assertSame('open_platform/wxsandboxplatform/wxanother', $client->exchange('open_platform/wxsandboxplatform', $code));

        $names = array_column($client->list('official_account/'), 'state', 'name');
        self::assertSame('fresh', $names[Site::OFFICIAL]);
        self::assertSame('fresh', $client->status(Site::OFFICIAL)['state']);
        self::assertGreaterThan(count($names), count($client->list()));
    }

    public function testUse(): void
    {
        $client = Site::shared()->client();
        $seen = [];
        $result = $client->use(Site::ROTATING, function (string $token) use (&$seen): string {
            $seen[] = $token;
            if (count($seen) === 1) {
                throw new Stale();
            }
            return 'done';
        });
        self::assertSame('done', $result);
        self::assertCount(2, array_unique($seen));
        try {
            $client->use(Site::WORK, static function (string $token): void {
                throw new Stale("it is refused again");
            });
            self::fail('no exception');
        } catch (Stale $stale) {
            self::assertSame('it is refused again', $stale->getMessage());
        }
        $fake = new Fake("OK 7 value\n", "ERR UNAVAILABLE 5 no answer\n");
        $this->expectException(Stale::class); // not the error of the rejection
        $fake->client()->use(self::NAME, static function (): void {
            throw new Stale();
        });
    }

    /** @dataProvider codes */
    public function testErrors(string $reply, string $kind, ?int $retryAfter): void
    {
        $fake = new Fake("$reply\n", "OK 7 value\n");
        $client = $fake->client();
        try {
            $client->get(self::NAME);
            self::fail('no exception');
        } catch (Error $e) {
            self::assertSame(Error::class, get_class($e));
            self::assertSame([$kind, $retryAfter], [$e->kind(), $e->retryAfter()]);
            self::assertSame('tokend: GET ' . self::NAME . ": $reply", $e->getMessage());
        }
        self::assertSame('value', $client->get(self::NAME));
    }

    public function codes(): iterable
    {
        yield ['ERR BAD_REQUEST - the line is empty', 'BAD_REQUEST', null];
        yield ['ERR NOT_FOUND - no such credential', 'NOT_FOUND', null];
        yield ['ERR DENIED - GET is not granted to this user', 'DENIED', null];
        yield ['ERR WAITING 600 no ticket has been pushed yet', 'WAITING', 600];
        yield ['ERR UPSTREAM 3600 errcode=40125 invalid appsecret', 'UPSTREAM', 3600];
        yield ['ERR UNAVAILABLE 2 no answer within 5s', 'UNAVAILABLE', 2];
        yield ['ERR LIMITED 30 forced refreshes are 30 s apart', 'LIMITED', 30];
        yield ['ERR REAUTH - the authorization was revoked', 'REAUTH', null];
        yield ['ERR BUSY 1 too many requests are waiting', 'BUSY', 1];
        yield ['ERR SHUTDOWN 1 the daemon is stopping', 'SHUTDOWN', 1];
        yield ['ERR INTERNAL - internal error', 'INTERNAL', null];
        yield ['ERR UNHEARD_OF - a later version', 'INTERNAL', null];
        yield ['ERR UNHEARD_OF 9 a later version', 'UNAVAILABLE', 9];
    }

    /** @dataProvider badReplies */
    public function testBadReply(string ...$replies): void
    {
        $fake = new Fake(...[...$replies, "OK 7 value\n"]);
        $client = $fake->client();
        try {
            $client->get(self::NAME);
            self::fail('no exception');
        } catch (BadReply $e) {
            self::assertSame(['BAD_REPLY', null], [$e->kind(), $e->retryAfter()]);
            self::assertStringNotContainsString('secret', (string) $e);
        }
        self::assertSame('value', $client->get(self::NAME), 'on a new connection');
        self::assertCount(count($replies) + 1, $fake->requests());
    }

    public function badReplies(): iterable
    {
        yield 'half a reply' => ['OK 7 secr|close'];
        yield 'half a reply in two parts' => ['OK 7 |secr|close'];
        yield 'two replies' => ["OK 7 secret\nOK 7 secret\n"];
        yield 'a reply and a half' => ["OK 7 secret\nOK"];
        yield '65 KiB' => ['OK 7 ' . str_repeat('s', 65 * 1024) . "\n"];
        yield '65 KiB without an end' => [str_repeat('s', 65 * 1024) . '|wait'];
        yield 'a value of more than 32 KiB' => ['OK 7 ' . str_repeat('s', 32769) . "\n"];
        yield 'another protocol' => ["HTTP/1.1 400 Bad Request\n"];
        yield 'no ttl' => ["OK secret\n"];
        yield 'a ttl of zero' => ["OK 0 secret\n"];
        yield 'no value' => ["OK 7\n"];
        yield 'a space in the value' => ["OK 7 sec ret\n"];
        yield 'CR LF' => ["OK 7 secret\r\n"];
        yield 'no UTF-8' => ["ERR INTERNAL - \xff\n"];
        yield 'an incomplete error' => ["ERR NOT_FOUND -\n"];
        yield 'an empty line' => ["\n"];
        yield 'closed twice' => ['close', 'close'];
    }

    public function testLateReply(): void
    {
        $fake = new Fake("OK 7 one\n", "OK 7 late\n", "OK 7 two\n");
        $client = $fake->client();
        self::assertSame('one', $client->get(self::NAME));
        $stream = new \ReflectionProperty(self::idle($client)[0], 'stream');
        $stream->setAccessible(true);
        fwrite($stream->getValue(self::idle($client)[0]), "GET a/b/late\n");
        usleep(50000);
        self::assertSame('two', $client->get(self::NAME), 'not the reply to another request');
    }

    public function testLongestReply(): void
    {
        $value = str_repeat('v', 32768);
        $fake = new Fake("OK 7 $value\n");
        self::assertSame($value, $fake->client()->get(self::NAME));
    }

    public function testFullDaemon(): void
    {
        $fake = new Fake('full', "OK 7 value\n");
        $client = $fake->client();
        try {
            $client->get(self::NAME);
            self::fail('no exception');
        } catch (Error $e) {
            self::assertSame('BUSY', $e->kind());
        }
        self::assertSame('value', $client->get(self::NAME));
    }

    public function testRetry(): void
    {
        $fake = new Fake("OK 7 one\n|close", "OK 7 two\n", 'close', "OK 7 three\n", 'close', 'close');
        $client = $fake->client();
        self::assertSame('one', $client->get(self::NAME));
        self::assertSame('two', $client->get(self::NAME), 'the idle connection was closed');
        self::assertSame('three', $client->get(self::NAME), 'closed instead of a reply');
        foreach (['refresh' => [self::NAME], 'exchange' => ['open_platform/wxcomponent', 'code']] as $method => $arguments) {
            $before = count($fake->requests());
            try {
                $client->$method(...$arguments);
                self::fail('no exception');
            } catch (BadReply) {
                self::assertCount($before + 1, $fake->requests(), $method);
            }
        }
    }

    public function testTimeout(): void
    {
        $fake = new Fake('wait', "OK 7 value\n");
        $client = $fake->client(0.2);
        $began = microtime(true);
        try {
            $client->get(self::NAME);
            self::fail('no exception');
        } catch (Timeout $e) {
            self::assertSame(['TIMEOUT', 1], [$e->kind(), $e->retryAfter()]);
        }
        self::assertLessThan(10, microtime(true) - $began);
        self::assertSame([], self::idle($client), 'the connection is closed');

        $fake = new Fake('O|K|wait');
        $this->expectException(Timeout::class);
        $fake->client(0.2)->get(self::NAME);
    }

    public function testNoDaemon(): void
    {
        $client = new Client('/nowhere/tokend.sock');
        try {
            $client->get(self::NAME);
            self::fail('no exception');
        } catch (NoDaemon $e) {
            self::assertSame(['NO_DAEMON', null], [$e->kind(), $e->retryAfter()]);
            self::assertStringContainsString('/nowhere/tokend.sock (No such file or directory): start it with systemctl start tokend', $e->getMessage());
        }
        putenv('TOKEND_SOCKET=/elsewhere');
        try {
            (new Client())->get(self::NAME);
            self::fail('no exception');
        } catch (NoDaemon $e) {
            self::assertStringContainsString('/elsewhere', $e->getMessage());
        } finally {
            putenv('TOKEND_SOCKET');
        }
    }

    public function testFullQueue(): void
    {
        $socket = sys_get_temp_dir() . '/tokend-queue-' . getmypid();
        $server = stream_socket_server("unix://$socket", $errno, $error, STREAM_SERVER_BIND | STREAM_SERVER_LISTEN, stream_context_create(['socket' => ['backlog' => 0]]));
        $waiting = [];
        while ($connection = @stream_socket_client("unix://$socket", $errno, $error, 0.01)) {
            $waiting[] = $connection;
        }
        $began = microtime(true);
        try {
            (new Client($socket, 0.1))->get(self::NAME);
            self::fail('no exception');
        } catch (Timeout $e) {
            self::assertStringContainsString('does not accept connections', $e->getMessage());
        } finally {
            unlink($socket);
        }
        self::assertGreaterThan(0.09, microtime(true) - $began);
        self::assertLessThan(10, microtime(true) - $began);
    }

    public function testRestart(): void
    {
        $site = Site::shared();
        $client = $site->client();
        $token = $client->get(Site::OFFICIAL);
        $site->stopDaemon();
        try {
            $client->get(Site::OFFICIAL);
            self::fail('no exception');
        } catch (NoDaemon) {
        }
        $site->serve();
        self::assertSame($token, $client->get(Site::OFFICIAL));
    }

    public function testNoGrowth(): void
    {
        $client = Site::shared()->client();
        for ($i = 0; $i < 500; $i++) {
            $client->get(Site::OFFICIAL);
        }
        $descriptors = count(scandir('/proc/self/fd'));
        $memory = memory_get_usage();
        $value = $client->get(Site::ROTATING);
        for ($i = 0; $i < 10000; $i++) {
            $client->get($i % 2 === 0 ? Site::OFFICIAL : Site::WORK);
        }
        self::assertSame($descriptors, count(scandir('/proc/self/fd')));
        self::assertLessThan($memory + 4096, memory_get_usage());
        self::assertSame(Site::ROTATING, $client->nameOf($value));
    }

    public function testRememberedValues(): void
    {
        $replies = array_map(static fn (int $i): string => "OK 7 $i\n", range(1, 300));
        $fake = new Fake(...$replies);
        $client = $fake->client();
        for ($i = 1; $i <= 300; $i++) {
            $client->get("work/ww$i/1/access_token");
        }
        self::assertNull($client->nameOf('44'));
        self::assertSame('work/ww45/1/access_token', $client->nameOf('45'));
        self::assertSame('300', $client->lastOf('work/ww300/1/access_token'));
        self::assertNull($client->lastOf('work/ww1/1/access_token'));
    }

    public function testFork(): void
    {
        $client = Site::shared()->client();
        $expected = [Site::OFFICIAL => $client->get(Site::OFFICIAL), Site::WORK => $client->get(Site::WORK)];
        $check = static function (string $name) use ($client, $expected): bool {
            for ($i = 0; $i < 1000; $i++) {
                if ($client->get($name) !== $expected[$name]) {
                    return false;
                }
            }
            return true;
        };
        $child = pcntl_fork();
        if ($child === 0) {
            $right = $check(Site::WORK);
            posix_kill(getmypid(), $right ? SIGKILL : SIGTERM); // ends without the shutdown of the tests
        }
        self::assertTrue($check(Site::OFFICIAL));
        pcntl_waitpid($child, $status);
        self::assertSame(SIGKILL, pcntl_wtermsig($status));
    }

    public function testConcurrentProcesses(): void
    {
        $site = Site::shared();
        $client = $site->client();
        $expected = [Site::OFFICIAL => $client->get(Site::OFFICIAL), Site::WORK => $client->get(Site::WORK), Site::ROTATING => $client->get(Site::ROTATING)];
        $processes = [];
        for ($i = 0; $i < 50; $i++) {
            $processes[] = pcntl_fork();
            if (end($processes) === 0) {
                $own = new Client($site->socket);
                for ($j = 0; $j < 60; $j++) {
                    $name = array_keys($expected)[($i + $j) % 3];
                    if ($own->get($name) !== $expected[$name]) {
                        posix_kill(getmypid(), SIGTERM);
                    }
                }
                posix_kill(getmypid(), SIGKILL);
            }
        }
        foreach ($processes as $process) {
            pcntl_waitpid($process, $status);
            self::assertSame(SIGKILL, pcntl_wtermsig($status));
        }
    }

    /** A coroutine or a signal handler may use the client while a request is in flight. */
    public function testReentrant(): void
    {
        $client = Site::shared()->client();
        $expected = [Site::OFFICIAL => $client->get(Site::OFFICIAL), Site::WORK => $client->get(Site::WORK)];
        $wrong = $handled = 0;
        pcntl_async_signals(true);
        pcntl_signal(SIGUSR1, function () use ($client, $expected, &$wrong, &$handled): void {
            $handled++;
            $wrong += $client->get(Site::WORK) === $expected[Site::WORK] ? 0 : 1;
        });
        $parent = getmypid();
        $child = pcntl_fork();
        if ($child === 0) {
            for ($i = 0; $i < 300; $i++) {
                posix_kill($parent, SIGUSR1);
                usleep(300);
            }
            posix_kill(getmypid(), SIGKILL);
        }
        do {
            $wrong += $client->get(Site::OFFICIAL) === $expected[Site::OFFICIAL] ? 0 : 1;
        } while (pcntl_waitpid($child, $status, WNOHANG) === 0);
        pcntl_signal(SIGUSR1, SIG_DFL);
        self::assertSame(0, $wrong);
        self::assertGreaterThan(50, $handled);
    }

    /** @dataProvider badFields */
    public function testBadField(string $method, string ...$arguments): void
    {
        static $fake = null;
        $fake ??= new Fake();
        $client = $fake->client();
        try {
            $method === 'use' ? $client->use($arguments[0], 'strlen') : $client->$method(...$arguments);
            self::fail('no exception');
        } catch (\InvalidArgumentException $e) {
            self::assertSame([], array_column($e->getTrace(), 'args'));
            foreach ($arguments as $argument) {
                if (strlen($argument) > 6) {
                    self::assertStringNotContainsString($argument, (string) $e);
                }
            }
        }
        self::assertSame([], $fake->requests(), 'nothing is sent');
    }

    public function badFields(): iterable
    {
        $good = [
            'get' => [self::NAME], 'refresh' => [self::NAME], 'status' => [self::NAME], 'use' => [self::NAME],
            'reject' => [self::NAME, 'value'], 'put' => [self::NAME, 'value'],
            'sign' => [self::NAME, 'https://example.com/'],
            'exchange' => ['open_platform/wxcomponent', 'code'],
            'list' => ['work/'],
            'push' => ['open_platform/wxcomponent', str_repeat('0', 40), '946684800', 'nonce', 'dGlja2V0'],
        ];
        $most = ['value' => 32768, 'code' => 32768, 'nonce' => 128, '946684800' => 20, 'dGlja2V0' => 61440,
            'work/' => 255, 'https://example.com/' => 32768, self::NAME => 255, 'open_platform/wxcomponent' => 129, str_repeat('0', 40) => 40];
        foreach ($good as $method => $fields) {
            foreach ($fields as $i => $field) {
                $bad = ['a space' => "$field a", 'a line break' => "$field\n", 'a second request' => "$field\nGET a/b/c",
                    'CR' => "$field\r", 'NUL' => "$field\0", 'a tab' => "\t$field", 'DEL' => "$field\x7f",
                    'too long' => $field . str_repeat('0', $most[$field] + 1 - strlen($field))];
                if ($method !== 'list') {
                    $bad['empty'] = '';
                }
                if ($method === 'sign' && $i === 1) {
                    $bad['no UTF-8'] = "$field\xff";
                } else {
                    $bad['no ASCII'] = "{$field}é";
                }
                foreach ($bad as $about => $value) {
                    yield "$method, field $i: $about" => [$method, ...array_replace($fields, [$i => $value])];
                }
            }
        }
        foreach (['a/b', 'a/b/c/d/e/f', 'a//c', '/a/b/c', 'a/b/c/', 'a/b/c*', 'a/b/' . str_repeat('c', 65)] as $name) {
            yield "the name $name" => ['get', $name];
        }
        yield 'no hexadecimal digit' => ['push', 'open_platform/wxcomponent', str_repeat('g', 40), '1', 'n', 'e'];
        yield 'no digit' => ['push', 'open_platform/wxcomponent', str_repeat('0', 40), '1e9', 'n', 'e'];
        yield 'no base64' => ['push', 'open_platform/wxcomponent', str_repeat('0', 40), '1', 'n', 'e-_'];
        yield 'an owner with three segments' => ['exchange', 'open_platform/wxcomponent/wx', 'code'];
    }

    public function testBadConstruction(): void
    {
        foreach ([['/' . str_repeat('s', 107)], ["/run/\n"], ['/run/s', 0.0], ['/run/s', 1.0, -1.0], ['/run/s', 1.0, NAN]] as $arguments) {
            try {
                new Client(...$arguments);
                self::fail('no exception');
            } catch (\InvalidArgumentException) {
                self::assertTrue(true);
            }
        }
    }

    public function testValuesHidden(): void
    {
        $secret = 'secret-' . bin2hex(random_bytes(8));
        $fake = new Fake("OK 7 $secret\n", "ERR UNAVAILABLE 5 no answer\n", 'close', 'close', "OK 7 $secret\n", "OK 7 $secret\n");
        $client = $fake->client();
        $client->get(self::NAME);
        $shown = print_r($client, true) . var_export($client, true) . json_encode($client);
        $calls = [
            fn () => $client->reject(self::NAME, $secret),
            fn () => $client->put(self::NAME, $secret),
            fn () => $client->put(self::NAME, "$secret\n"),
            fn () => $client->get($secret),
            fn () => $client->list("$secret "),
            fn () => $client->use(self::NAME, static function (string $value): void {
                throw new \RuntimeException('of the caller', 0, new \TypeError());
            }),
            fn () => $client->use(self::NAME, static function (string $value): int {
                return $value; // a TypeError
            }),
            fn () => serialize($client),
        ];
        foreach ($calls as $i => $call) {
            try {
                $call();
                self::fail("call $i: no exception");
            } catch (\PHPUnit\Framework\Exception $e) {
                throw $e;
            } catch (\Throwable $e) {
                $shown .= $e . $e->getPrevious();
                if (!$e instanceof \LogicException || $e instanceof \InvalidArgumentException) {
                    self::assertSame([], array_column($e->getTrace(), 'args'), "call $i");
                }
            }
        }
        self::assertFalse(strpos($shown, substr($secret, 0, 12)));
        self::assertSame(self::NAME, $client->nameOf($secret));
    }

    /** @return object[] */
    private static function idle(Client $client): array
    {
        $idle = new \ReflectionProperty($client, 'idle');
        $idle->setAccessible(true);
        return $idle->getValue($client);
    }
}
