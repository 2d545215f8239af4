<?php

declare(strict_types=1);

namespace Tokend\Tests;

use PHPUnit\Framework\TestCase;
use Symfony\Component\HttpClient\CurlHttpClient;
use Symfony\Component\HttpClient\MockHttpClient;
use Symfony\Component\HttpClient\NativeHttpClient;
use Symfony\Component\HttpClient\Response\MockResponse;
use Symfony\Contracts\HttpClient\Exception\TransportExceptionInterface;
use Symfony\Contracts\HttpClient\HttpClientInterface;
use Tokend\Client;
use Tokend\HttpClient;

final class HttpClientTest extends TestCase
{
    private const NAME = 'official_account/wx0123/access_token';
    private const STALE = '{"errcode":40001,"errmsg":"invalid credential"}';

    public function testTable(): void
    {
        $table = json_decode((string) file_get_contents(__DIR__ . '/../../../testdata/stale.json'), true);
        self::assertSame($table, HttpClient::STALE);
    }

    public function kinds(): iterable
    {
        // EasyWeChatTest has the others. tokend replaces a stable token at most every 30 s, and any token at
        // most once a minute after the first few.
        foreach (array_diff_key(Site::KINDS, ['official account' => 0, 'mini program' => 0, 'rotating' => 0]) as $kind => $row) {
            yield "$kind, curl" => [CurlHttpClient::class, ...$row];
        }
        yield 'work, without curl' => [NativeHttpClient::class, Site::SECOND, 'access_token', '/cgi-bin/gettoken wwsandboxcorp/1000003'];
    }

    /**
     * 5 requests in flight with a token that WeChat refuses get 5 answers after one fetch.
     *
     * @dataProvider kinds
     */
    public function testKilledToken(string $inner, string $name, string $parameter, string $endpoint): void
    {
        $site = Site::shared();
        $client = $site->client();
        $http = new HttpClient($client, new $inner());
        $answer = $http->request('GET', "$site->url/sandbox/echo?a=%20b", ['query' => [$parameter => $client->get($name), 'z' => 'ä']])->toArray();
        self::assertSame([0, 'a=%20b&z=%C3%A4'], [$answer['errcode'], $answer['query']]);

        $site->kill($name);
        $fetched = $site->calls($endpoint);
        $responses = [];
        for ($i = 0; $i < 5; $i++) {
            $options = ['query' => ['first' => $i, $parameter => $client->get($name), 'last' => $i], 'json' => ['number' => $i, 'text' => str_repeat('文', 1000)]];
            $responses[$i] = $http->request('POST', "$site->url/sandbox/echo", $options);
        }
        foreach ($responses as $i => $response) {
            $sent = json_encode(['number' => $i, 'text' => str_repeat('文', 1000)]);
            $answer = $response->toArray();
            self::assertSame(0, $answer['errcode']);
            self::assertSame('POST', $answer['method']);
            self::assertStringContainsString("first=$i", $answer['query']);
            self::assertStringContainsString("last=$i", $answer['query']);
            self::assertSame(hash('sha256', (string) $sent), $answer['sha256']);
        }
        self::assertSame($fetched + 1, $site->calls($endpoint));
    }

    public function testStream(): void
    {
        [$site, $client, $http] = self::site();
        $token = $client->get(Site::SECOND);
        $site->kill(Site::SECOND);
        $responses = [];
        for ($i = 0; $i < 5; $i++) {
            $responses[] = $http->request('GET', "$site->url/sandbox/echo?access_token=$token&i=$i", ['user_data' => $i]);
        }
        $bodies = [];
        foreach ($http->stream($responses) as $response => $chunk) {
            $i = $response->getInfo('user_data');
            $bodies[$i] = ($bodies[$i] ?? '') . $chunk->getContent();
        }
        foreach ($bodies as $i => $body) {
            self::assertStringContainsString("\"query\":\"i=$i\"", $body);
        }
        self::assertCount(5, $bodies);
    }

    public function testFilePosted(): void
    {
        [$site, $client, $http] = self::site();
        $file = random_bytes(300000);
        $body = "--b\r\nContent-Disposition: form-data; name=\"media\"; filename=\"f\"\r\n\r\n$file\r\n--b--\r\n";
        $token = $client->get(Site::SECOND);
        $site->kill(Site::SECOND);
        $answer = $http->request('POST', "$site->url/sandbox/echo?type=image", [
            'query' => ['access_token' => $token],
            'headers' => ['Content-Type' => 'multipart/form-data; boundary=b'],
            'body' => $body,
        ])->toArray();
        self::assertSame([0, strlen($body), hash('sha256', $body), 'type=image'], [$answer['errcode'], $answer['length'], $answer['sha256'], $answer['query']]);
    }

    public function testDownload(): void
    {
        [$site, $client, $http] = self::site();
        $before = memory_get_usage();
        $response = $http->request('GET', "$site->url/sandbox/echo", ['query' => ['access_token' => $client->get(Site::OFFICIAL), 'bytes' => 20 << 20], 'buffer' => false]);
        $length = $most = 0;
        foreach ($http->stream($response) as $chunk) {
            $length += strlen($chunk->getContent());
            $most = max($most, memory_get_usage() - $before);
        }
        self::assertSame(20 << 20, $length);
        self::assertLessThan(4 << 20, $most);
    }

    public function testSlowDownload(): void
    {
        [$site, $client, $http] = self::site();
        $began = microtime(true);
        $response = $http->request('GET', "$site->url/sandbox/echo", ['query' => ['access_token' => $client->get(Site::OFFICIAL), 'bytes' => 1000, 'slow' => 1]]);
        self::assertLessThan(1, microtime(true) - $began, 'nothing is read before the caller reads');
        $first = null;
        foreach ($http->stream($response) as $chunk) {
            $first ??= $chunk->getContent() === '' ? null : microtime(true);
        }
        self::assertGreaterThan(0.2, microtime(true) - $first, 'the beginning arrives before the end');
    }

    /** @dataProvider passed */
    public function testPassed(string $body, array $info = [], string $query = 'access_token'): void
    {
        $fake = new Fake("OK 7 tok-01\n");
        [$client, $requests] = [$fake->client(), 0];
        $inner = new MockHttpClient(function () use ($body, $info, &$requests): MockResponse {
            $requests++;
            return new MockResponse($body === '' ? '' : str_split($body, 7000), $info);
        });
        $http = new HttpClient($client, $inner);
        $client->get(self::NAME);
        $response = $http->request('GET', "https://api.example/x?$query=tok-01");
        self::assertSame($body, $response->getContent(false));
        self::assertSame($info['http_code'] ?? 200, $response->getStatusCode());
        self::assertSame(1, $requests);
        self::assertCount(1, $fake->requests(), 'no REJECT');
    }

    public function passed(): iterable
    {
        yield 'no error' => ['{"errcode":0,"errmsg":"ok"}'];
        yield 'another error' => ['{"errcode":45009,"errmsg":"reach max api daily quota limit"}'];
        yield 'an errcode as a string' => ['{"errcode":"40001"}'];
        yield 'an errcode as a fraction' => ['{"errcode":40001.0}'];
        yield 'an errcode in a nested object' => ['{"data":{"errcode":40001}}'];
        yield 'an array' => ['[{"errcode":40001}]'];
        yield 'invalid JSON' => ['{"errcode":40001'];
        yield 'JSON and more' => ['{"errcode":40001}{"errcode":40001}'];
        yield 'an empty body' => [''];
        yield 'spaces' => ['   '];
        yield 'HTML' => ['<html><body>{"errcode":40001}</body></html>'];
        yield 'another status' => [self::STALE, ['http_code' => 500]];
        yield 'a long body' => ['{"errcode":40001,"x":"' . str_repeat('x', 70000) . '"}'];
        yield 'a long body with its length' => ['{"errcode":40001,"x":"' . str_repeat('x', 70000) . '"}', ['response_headers' => ['Content-Length: 70024']]];
        yield 'an errcode of another parameter' => ['{"errcode":40082}'];
        yield 'an errcode that only a suite has' => ['{"errcode":42009}'];
        yield 'a parameter without tokens' => [self::STALE, [], 'token'];
        yield 'a provider without 40001' => [self::STALE, [], 'provider_access_token'];
    }

    public function testUnknownToken(): void
    {
        $fake = new Fake();
        $http = new HttpClient($fake->client(), new MockHttpClient(static fn () => new MockResponse(self::STALE)));
        self::assertSame(self::STALE, $http->request('GET', 'https://api.example/x?access_token=other')->getContent());
        self::assertSame([], $fake->requests());
    }

    /** @dataProvider requests */
    public function testRequestUnchanged(string $url, array $options, string $sent): void
    {
        $fake = new Fake("OK 7 tok-01\n", "OK 7 tok/+2\n");
        $client = $fake->client();
        $seen = [];
        $http = new HttpClient($client, new MockHttpClient(static function (string $method, string $url, array $options) use (&$seen): MockResponse {
            $seen[] = [$url, $options['body'] ?? '', $options['headers']];
            return new MockResponse(count($seen) === 1 ? " \n" . self::STALE : '{"errcode":0}');
        }));
        $client->get(self::NAME);
        self::assertSame('{"errcode":0}', $http->request('POST', $url, $options)->getContent());
        self::assertSame('https://api.example/' . str_replace('TOKEN', 'tok-01', $sent), $seen[0][0]);
        self::assertSame('https://api.example/' . str_replace('TOKEN', rawurlencode('tok/+2'), $sent), str_replace('tok/%2B2', 'tok%2F%2B2', $seen[1][0]));
        self::assertSame(array_slice($seen[0], 1), array_slice($seen[1], 1));
        self::assertSame(['GET ' . self::NAME, 'REJECT ' . self::NAME . ' tok-01'], $fake->requests());
    }

    public function requests(): iterable
    {
        yield 'in the URL' => ['https://api.example/x?a=1&access_token=tok-01&b=%20', ['body' => 'text'], 'x?a=1&access_token=TOKEN&b=%20'];
        yield 'first in the URL' => ['https://api.example/x?access_token=tok-01&tok-01=tok-01#access_token=tok-01', ['json' => ['a' => 'ü']], 'x?access_token=TOKEN&tok-01=tok-01#access_token=tok-01'];
        yield 'in the options' => ['https://api.example/x?z=1', ['query' => ['a' => '1', 'access_token' => 'tok-01', 'b' => ''], 'body' => ['a' => ['b' => 'c']]], 'x?z=1&a=1&access_token=TOKEN&b='];
        yield 'in the options instead of the URL' => ['https://api.example/x?access_token=old', ['query' => ['access_token' => 'tok-01']], 'x?access_token=TOKEN'];
    }

    public function testStaleTwice(): void
    {
        $fake = new Fake("OK 7 tok-01\n", "OK 7 tok-02\n");
        [$client, $requests] = [$fake->client(), 0];
        $http = new HttpClient($client, new MockHttpClient(function () use (&$requests): MockResponse {
            return new MockResponse('{"errcode":42001,"request":' . ++$requests . '}');
        }));
        $answer = $http->request('GET', 'https://api.example/x', ['query' => ['access_token' => $client->get(self::NAME)]])->toArray();
        self::assertSame(['errcode' => 42001, 'request' => 2], $answer, 'never repeated twice');
        self::assertCount(2, $fake->requests());
    }

    /** @dataProvider unrepeated */
    public function testNotRepeated(string $reply, mixed $body): void
    {
        $fake = new Fake("OK 7 tok-01\n", $reply);
        [$client, $requests] = [$fake->client(), 0];
        $http = new HttpClient($client, new MockHttpClient(function () use (&$requests): MockResponse {
            $requests++;
            return new MockResponse(self::STALE);
        }));
        $body = $body === 'a stream' ? fopen('php://temp', 'r') : $body;
        $response = $http->request('POST', 'https://api.example/x', ['query' => ['access_token' => $client->get(self::NAME)], 'body' => $body]);
        self::assertSame(self::STALE, $response->getContent(), "WeChat's response");
        self::assertSame(1, $requests);
        self::assertSame('REJECT ' . self::NAME . ' tok-01', $fake->requests()[1]);
    }

    public function unrepeated(): iterable
    {
        yield 'the same value' => ["OK 7 tok-01\n", 'text'];
        yield 'a failed REJECT' => ["ERR UPSTREAM 60 errcode=40125 invalid appsecret\n", 'text'];
        yield 'a malformed reply' => ["OK\n", 'text'];
        yield 'a stream' => ["OK 7 tok-02\n", 'a stream'];
        yield 'an iterator' => ["OK 7 tok-02\n", new \ArrayIterator(['a'])];
        yield 'a function' => ["OK 7 tok-02\n", static fn () => ''];
    }

    public function testStreamInForm(): void
    {
        $repeatable = new \ReflectionMethod(HttpClient::class, 'repeatable');
        $repeatable->setAccessible(true);
        self::assertTrue($repeatable->invoke(null, ['a' => ['b' => 'c', 'd' => 1]]));
        self::assertFalse($repeatable->invoke(null, ['a' => ['b' => fopen('php://temp', 'r')]]));
    }

    public function testUnreadResponse(): void
    {
        [$site, $client, $http] = self::site();
        $token = $client->get(Site::SECOND);
        $site->kill(Site::SECOND);
        $http->request('GET', "$site->url/sandbox/echo?access_token=$token"); // its destructor completes it
        self::assertNotSame($token, $client->get(Site::SECOND));
    }

    public function testCanceled(): void
    {
        [$site, $client, $http] = self::site();
        $response = $http->request('GET', "$site->url/sandbox/echo", ['query' => ['access_token' => $client->get(Site::OFFICIAL), 'bytes' => 1000, 'slow' => 1]]);
        $response->cancel();
        self::assertTrue($response->getInfo('canceled'));
    }

    public function testTransportError(): void
    {
        $fake = new Fake("OK 7 tok-01\n");
        $client = $fake->client();
        $client->get(self::NAME);
        foreach ([new MockResponse('', ['error' => 'unreachable']), new MockResponse((static function (): iterable {
            yield '{"errcode":';
            yield ''; // an idle timeout
        })())] as $answer) {
            $http = new HttpClient($client, new MockHttpClient($answer));
            try {
                $http->request('GET', 'https://api.example/x?access_token=tok-01')->getContent();
                self::fail('no exception');
            } catch (TransportExceptionInterface) {
                self::assertCount(1, $fake->requests());
            }
        }
        $answers = [new MockResponse('', ['error' => 'unreachable']), new MockResponse('{"errcode":0}')];
        $http = (new HttpClient($client, new MockHttpClient($answers)))->withOptions(['timeout' => 1]);
        self::assertInstanceOf(HttpClient::class, $http);
        try {
            $http->request('GET', 'https://api.example/x?access_token=tok-01')->getStatusCode();
            self::fail('no exception');
        } catch (TransportExceptionInterface) {
            self::assertSame(['errcode' => 0], $http->request('GET', 'https://api.example/x?access_token=tok-01')->toArray());
        }
        $http->reset();
    }

    public function testNoDaemon(): void
    {
        $fake = new Fake("OK 7 tok-01\n");
        $client = $fake->client();
        $http = new HttpClient($client, new MockHttpClient(static fn () => new MockResponse(self::STALE)));
        $client->get(self::NAME);
        unset($fake);
        self::assertSame(self::STALE, $http->request('GET', 'https://api.example/x?access_token=tok-01')->getContent());
    }

    /** @return array{Site, Client, HttpClientInterface} */
    private static function site(): array
    {
        $site = Site::shared();
        $client = $site->client();
        return [$site, $client, new HttpClient($client, new CurlHttpClient())];
    }
}
