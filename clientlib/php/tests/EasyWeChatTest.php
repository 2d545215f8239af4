<?php

declare(strict_types=1);

namespace Tokend\Tests;

use EasyWeChat\MiniApp\Application as MiniApp;
use EasyWeChat\OfficialAccount\Application as OfficialAccount;
use EasyWeChat\OpenPlatform\Application as OpenPlatform;
use EasyWeChat\OpenWork\Application as OpenWork;
use EasyWeChat\Work\Application as Work;
use PHPUnit\Framework\TestCase;
use Tokend\Client;
use Tokend\EasyWeChat\AccessToken;
use Tokend\EasyWeChat\AuthorizerAccessToken;
use Tokend\EasyWeChat\JsApiTicket;
use Tokend\EasyWeChat\Plug;
use Tokend\EasyWeChat\Ticket;
use Tokend\EasyWeChat\WorkJsApiTicket;
use Tokend\Error;
use Tokend\NoDaemon;

final class EasyWeChatTest extends TestCase
{
    private const URL = 'https://example.com/pay?id=7';

    /** Applications without any secret, and the kind of their tokens. */
    public function applications(): iterable
    {
        $http = ['base_uri' => Site::shared()->url];
        $work = ['corp_id' => 'wwsandboxcorp', 'agent_id' => 1000002, 'http' => $http];
        $suite = ['corp_id' => 'wwsandboxprovider', 'suite_id' => 'wwsandboxsuite', 'http' => $http];
        $platform = ['app_id' => 'wxsandboxplatform', 'http' => $http];
        yield 'official account' => ['official account', fn (?Client $c) => Plug::into(new OfficialAccount(['app_id' => 'wxsandboxofficial', 'http' => $http]), $c)->getClient()];
        yield 'rotating' => ['rotating', fn (?Client $c) => Plug::into(new OfficialAccount(['app_id' => 'wxsandboxrotating', 'http' => $http]), $c)->getClient()];
        yield 'mini program' => ['mini program', fn (?Client $c) => Plug::into(new MiniApp(['app_id' => 'wxsandboxmini', 'http' => $http]), $c)->getClient()];
        yield 'work' => ['work', fn (?Client $c) => Plug::into(new Work($work), $c)->getClient()];
        yield 'provider' => ['provider', fn (?Client $c) => Plug::into(new OpenWork($suite), $c)->getClient()];
        yield 'corp' => ['corp', fn (?Client $c) => Plug::into(new OpenWork($suite), $c)->getAuthorizerClient('wwsandboxcustomer', 'none')];
        yield 'component' => ['component', fn (?Client $c) => Plug::into(new OpenPlatform($platform), $c)->getClient()];
        yield 'authorizer' => ['authorizer', fn (?Client $c) => Plug::customer(Plug::into(new OpenPlatform($platform), $c), 'wxsandboxcustomer')->getClient()];
        yield 'authorizer, mini program' => ['authorizer', fn (?Client $c) => Plug::miniCustomer(Plug::into(new OpenPlatform($platform), $c), 'wxsandboxcustomer')->getClient()];
    }

    /** @dataProvider applications */
    public function testKilledToken(string $kind, callable $create): void
    {
        $site = Site::shared();
        [$name, , $endpoint] = Site::KINDS[$kind];
        $client = $create($site->client());
        self::assertSame(0, $client->request('GET', '/sandbox/echo')->toArray()['errcode']);
        $site->kill($name);
        $fetched = $site->calls($endpoint);
        $responses = [];
        for ($i = 0; $i < 5; $i++) {
            $responses[] = $client->request('POST', '/sandbox/echo', ['query' => ['i' => (string) $i], 'body' => "body $i"]);
        }
        foreach ($responses as $i => $response) {
            $answer = $response->toArray();
            self::assertSame([0, "i=$i", hash('sha256', "body $i")], [$answer['errcode'], $answer['query'], $answer['sha256']]);
        }
        self::assertSame($fetched + 1, $site->calls($endpoint));
    }

    /** @dataProvider applications */
    public function testNoDaemon(string $kind, callable $create): void
    {
        $site = Site::shared();
        $calls = $site->calls();
        try {
            $create(new Client('/nowhere/tokend.sock'))->request('GET', '/sandbox/echo')->toArray();
            self::fail('no exception');
        } catch (Error $e) {
            self::assertSame('NO_DAEMON', $e->kind());
            self::assertStringContainsString('/nowhere/tokend.sock', $e->getMessage());
        }
        self::assertSame($calls, $site->calls());
    }

    public function testSuite(): void
    {
        $site = Site::shared();
        $client = $site->client();
        $app = Plug::into(new OpenWork(['corp_id' => 'wwsandboxprovider', 'suite_id' => 'wwsandboxsuite']), $client);
        self::assertSame(['suite_access_token' => $client->get('open_work/wwsandboxsuite/suite_access_token')], $app->getSuiteAccessToken()->toQuery());
        $ticket = $app->getSuiteTicket()->getTicket();
        self::assertSame($client->get('open_work/wwsandboxsuite/suite_ticket'), $ticket);
        self::assertSame($ticket, $app->getSuiteTicket()->setTicket($ticket)->getTicket());
        self::assertSame($client->get('open_work/wwsandboxsuite/wwsandboxcustomer/access_token'), $app->getAuthorizerAccessToken('wwsandboxcustomer', 'none')->getToken());
        $provider = Plug::into(new OpenWork(['corp_id' => 'wwsandboxprovider']), $client);
        self::assertArrayHasKey('provider_access_token', $provider->getProviderAccessToken()->toQuery());
    }

    public function testPlatform(): void
    {
        $client = Site::shared()->client();
        $app = Plug::into(new OpenPlatform(['app_id' => 'wxsandboxplatform']), $client);
        self::assertSame($client->get('open_platform/wxsandboxplatform/component_access_token'), $app->getComponentAccessToken()->getToken());
        self::assertSame($client->get('open_platform/wxsandboxplatform/component_verify_ticket'), $app->getVerifyTicket()->getTicket());
        $token = $client->get('open_platform/wxsandboxplatform/wxsandboxcustomer/access_token');
        self::assertSame($token, $app->getCache()->get('open-platform.authorizer_access_token.wxsandboxcustomer.' . md5('none')));
        $customer = Plug::customer($app, 'wxsandboxcustomer');
        self::assertSame($token, $customer->getAccessToken()->getToken());
        $signed = $customer->getTicket()->configSignature(self::URL, 'ignored', 1);
        self::assertSame('wxsandboxcustomer', $signed['appId']);
        self::assertSigned($client->get('open_platform/wxsandboxplatform/wxsandboxcustomer/jsapi_ticket'), $signed);
    }

    public function testJsApiTicket(): void
    {
        $client = Site::shared()->client();
        $ticket = new JsApiTicket($client, 'official_account/wxsandboxofficial/jsapi_ticket');
        self::assertInstanceOf(\EasyWeChat\Kernel\Contracts\RefreshableJsApiTicket::class, $ticket);
        $signed = $ticket->configSignature(self::URL, 'ignored', 1);
        self::assertSame(['url', 'nonceStr', 'timestamp', 'appId', 'signature'], array_keys($signed));
        self::assertSame([self::URL, 'wxsandboxofficial'], [$signed['url'], $signed['appId']]);
        self::assertSigned($ticket->getTicket(), $signed);
        
    }

    public function testWorkJsApiTicket(): void
    {
        $client = Site::shared()->client();
        $app = Plug::into(new Work(['corp_id' => 'wwsandboxcorp', 'agent_id' => '1000002']), $client);
        $ticket = $app->getTicket();
        self::assertInstanceOf(WorkJsApiTicket::class, $ticket);
        self::assertSame($client->get('work/wwsandboxcorp/1000002/jsapi_ticket'), $ticket->getTicket());
        $signed = $ticket->createConfigSignature(self::URL, 'ignored', 1);
        self::assertSame(['appId', 'nonceStr', 'timestamp', 'url', 'signature'], array_keys($signed));
        self::assertSigned($ticket->getTicket(), $signed);
        $signed = $ticket->createAgentConfigSignature(1000002, self::URL, 'ignored', 1);
        self::assertSame(['corpid', 'agentid', 'nonceStr', 'timestamp', 'url', 'signature'], array_keys($signed));
        self::assertSame(['wwsandboxcorp', 1000002], [$signed['corpid'], $signed['agentid']]);
        self::assertSigned($ticket->getAgentTicket(1000002), $signed);
        self::assertSame($client->get('work/wwsandboxcorp/1000002/agent_config_ticket'), $ticket->getAgentTicket(1000002));
    }

    public function testRefresh(): void
    {
        $fake = new Fake("OK 7 tok-01\n", "OK 7 tok-02\n", "OK 7 tok-03\n");
        $token = new AccessToken($fake->client(), 'official_account/wx0123/access_token');
        self::assertSame('tok-01', $token->refresh(), 'nothing to reject');
        self::assertSame('tok-02', $token->refresh());
        self::assertSame('tok-03', (string) $token);
        $name = 'official_account/wx0123/access_token';
        self::assertSame(["GET $name", "REJECT $name tok-01", "GET $name"], $fake->requests());
        self::assertStringNotContainsString('tok-0', print_r($token, true) . var_export($token, true));

        $fake = new Fake("OK 7 tok-01\n", "OK 7 tok-02\n", "OK 7 tok-03\n");
        $token = new AuthorizerAccessToken($fake->client(), 'wxcomponent', 'wxcustomer');
        self::assertSame(['access_token' => 'tok-01'], $token->toQuery());
        self::assertSame('tok-02', $token->refresh());
        self::assertSame('tok-03', (string) $token);
        self::assertSame('wxcustomer', $token->getAppId());
        $name = 'open_platform/wxcomponent/wxcustomer/access_token';
        self::assertSame(["GET $name", "REJECT $name tok-01", "GET $name"], $fake->requests());
    }

    public function testTicket(): void
    {
        $fake = new Fake("OK\n", "OK 7 ticket\n");
        $ticket = new Ticket($fake->client(), 'open_work/wwsuite/suite_ticket');
        self::assertSame('ticket', $ticket->setTicket('ticket')->getTicket());
        self::assertSame('PUT open_work/wwsuite/suite_ticket ticket', $fake->requests()[0]);
        $this->expectException(\InvalidArgumentException::class);
        $ticket->setTicket("ticket\nGET a/b/c");
    }

    /** A control character in an argument of an adapter is refused, and nothing is sent. */
    public function testControlCharacters(): void
    {
        $fake = new Fake();
        $client = $fake->client();
        $name = 'official_account/wx0123/access_token';
        foreach (
            [
                fn () => (new AccessToken($client, "$name\n"))->getToken(),
                fn () => (new AccessToken($client, "$name\0"))->toQuery(),
                fn () => (string) new AccessToken($client, "GET $name"),
                fn () => (new AccessToken($client, "$name\r"))->refresh(),
                fn () => (new AuthorizerAccessToken($client, "wx\n", 'wx'))->getToken(),
                fn () => (new AuthorizerAccessToken($client, 'wx', "wx\n"))->getToken(),
                fn () => (new JsApiTicket($client, "$name\n"))->getTicket(),
                fn () => (new JsApiTicket($client, $name))->configSignature("https://example.com/\nGET", '', 0),
                fn () => (new WorkJsApiTicket($client, "work/ww\n/1"))->getTicket(),
                fn () => (new WorkJsApiTicket($client, 'work/ww/1'))->createConfigSignature("\t", '', 0),
                fn () => (new WorkJsApiTicket($client, 'work/ww/1'))->createAgentConfigSignature(1, "\x7f", '', 0),
                fn () => (new Ticket($client, "$name\n"))->getTicket(),
                fn () => (new Ticket($client, $name))->setTicket("a\nb"),
            ] as $i => $call
        ) {
            try {
                $call();
                self::fail("call $i");
            } catch (\InvalidArgumentException) {
                self::assertSame([], $fake->requests(), "call $i");
            }
        }
    }

    public function testTwice(): void
    {
        $client = Site::shared()->client();
        $app = new OfficialAccount(['app_id' => 'wxsandboxofficial']);
        $app = Plug::into(Plug::into($app, $client), $client);
        $inner = new \ReflectionProperty($app->getHttpClient(), 'client');
        $inner->setAccessible(true);
        self::assertNotInstanceOf(\Tokend\HttpClient::class, $inner->getValue($app->getHttpClient()));
    }

    /** An application may have created its client before it is plugged in. */
    public function testLate(): void
    {
        $site = Site::shared();
        $app = new OfficialAccount(['app_id' => 'wxsandboxofficial', 'http' => ['base_uri' => $site->url]]);
        $app->setAccessToken(new AccessToken(new Client('/nowhere'), 'a/b/c'));
        $app->getClient();
        Plug::into($app, $site->client());
        self::assertSame(0, $app->getClient()->request('GET', '/sandbox/echo')->toArray()['errcode']);
    }

    public function testBadApplication(): void
    {
        $client = Site::shared()->client();
        foreach (
            [
                'app_id' => fn () => Plug::into(new OfficialAccount(['app_id' => '']), $client),
                'app_id ' => fn () => Plug::into(new MiniApp(['app_id' => "a\nb"]), $client),
                'agent_id' => fn () => Plug::into(new Work(['corp_id' => 'wwsandboxcorp']), $client),
                'corp_id' => fn () => Plug::into(new Work(['agent_id' => 1]), $client),
                'suite_id' => fn () => Plug::into(new OpenWork(['suite_id' => 'a b']), $client),
                'stdClass' => fn () => Plug::into(new \stdClass(), $client),
                'open_platform/<component_appid>' => fn () => Plug::into(new OfficialAccount(['app_id' => 'wx']), $client, 'work/a/b'),
                'work/<corpid>/<agentid>' => fn () => Plug::into(new Work(['corp_id' => 'ww']), $client, 'open_platform/wx'),
                'app_id  ' => fn () => Plug::customer(Plug::into(new OpenPlatform(['app_id' => 'wxsandboxplatform']), $client), "wx\n"),
            ] as $word => $call
        ) {
            try {
                $call();
                self::fail($word);
            } catch (\InvalidArgumentException $e) {
                self::assertStringContainsString(trim($word), $e->getMessage());
            }
        }
        self::assertInstanceOf(Work::class, Plug::into(new Work(['corp_id' => 'wwsandboxcorp']), $client, 'work/wwsandboxcorp/1000002'));
        $this->expectException(NoDaemon::class);
        putenv('TOKEND_SOCKET=/nowhere');
        try {
            Plug::into(new OfficialAccount(['app_id' => 'wxsandboxofficial']))->getAccessToken()->getToken();
        } finally {
            putenv('TOKEND_SOCKET');
        }
    }

    private static function assertSigned(string $ticket, array $signed): void
    {
        self::assertIsInt($signed['timestamp']);
        self::assertSame(sha1("jsapi_ticket=$ticket&noncestr=$signed[nonceStr]&timestamp=$signed[timestamp]&url=" . self::URL), $signed['signature']);
    }
}
