<?php

declare(strict_types=1);

namespace Tokend\Tests;

use EasyWeChat\MiniApp\Application as MiniApp;
use EasyWeChat\OfficialAccount\Application as OfficialAccount;
use EasyWeChat\Work\Application as Work;
use Illuminate\Container\Container;
use PHPUnit\Framework\TestCase;
use Tokend\EasyWeChat\AccessToken;
use Tokend\Laravel\ServiceProvider;

final class LaravelTest extends TestCase
{
    public function testAccounts(): void
    {
        $site = Site::shared();
        $http = ['base_uri' => $site->url];
        $config = [
            'official_account' => ['app_id' => 'wxsandboxofficial', 'tokend' => true, 'http' => $http], // without a name
            'mini_app' => ['default' => ['app_id' => 'wxsandboxmini', 'tokend' => 'true'], 'other' => ['app_id' => 'wx0123', 'tokend' => false]],
            'work' => ['app' => ['corp_id' => 'wwsandboxcorp', 'agent_id' => 1000002, 'tokend' => true]],
            'pay' => ['default' => ['app_id' => 'wx0123', 'tokend' => true]],
        ];
        foreach ([true, false] as $first) { // before and after the provider of laravel-wechat
            $app = self::container($config, $site->socket);
            $provider = new ServiceProvider($app);
            if ($first) {
                $provider->register();
            }
            foreach (['official_account.default' => OfficialAccount::class, 'mini_app.default' => MiniApp::class, 'mini_app.other' => MiniApp::class, 'work.app' => Work::class] as $account => $class) {
                [$family, $name] = explode('.', $account);
                $settings = $config[$family][$name] ?? $config[$family];
                $app->bind("easywechat.$account", static fn () => new $class($settings));
            }
            if (!$first) {
                $provider->register();
            }
            self::assertSame(0, $app->make('easywechat.official_account.default')->getClient()->request('GET', '/sandbox/echo')->toArray()['errcode']);
            self::assertInstanceOf(AccessToken::class, $app->make('easywechat.mini_app.default')->getAccessToken());
            self::assertInstanceOf(AccessToken::class, $app->make('easywechat.work.app')->getAccessToken());
            self::assertNotInstanceOf(\Tokend\HttpClient::class, $app->make('easywechat.mini_app.other')->getHttpClient());
        }
    }

    public function testDefaults(): void
    {
        $app = self::container(['defaults' => ['tokend' => true], 'mini_app' => ['default' => ['app_id' => 'wxsandboxmini']]], Site::shared()->socket);
        (new ServiceProvider($app))->register();
        $app->bind('easywechat.mini_app.default', static fn () => new MiniApp(['app_id' => 'wxsandboxmini']));
        self::assertInstanceOf(AccessToken::class, $app->make('easywechat.mini_app.default')->getAccessToken());
    }

    public function testNoConfiguration(): void
    {
        $app = self::container(null, null);
        (new ServiceProvider($app))->register();
        self::assertInstanceOf(\Tokend\Client::class, $app->make(\Tokend\Client::class));
        self::assertSame($app->make(\Tokend\Client::class), $app->make(\Tokend\Client::class));
    }

    public function testDiscovered(): void
    {
        $composer = json_decode((string) file_get_contents(dirname(__DIR__) . '/composer.json'), true);
        self::assertSame([ServiceProvider::class], $composer['extra']['laravel']['providers']);
    }

    public static function container(?array $easywechat, ?string $socket): Container
    {
        $app = new Container();
        $app['config'] = new class (['easywechat' => $easywechat, 'services.tokend.socket' => $socket]) {
            public function __construct(private array $items)
            {
            }

            public function get(string $key, mixed $default = null): mixed
            {
                return $this->items[$key] ?? $default;
            }
        };
        return $app;
    }
}
