<?php

declare(strict_types=1);

namespace {
    if (!function_exists('env')) {
        function env(string $name): string
        {
            return ['WECHAT_OFFICIAL_ACCOUNT_APPID' => 'wxsandboxofficial',
                'WECHAT_OFFICIAL_ACCOUNT_SECRET' => Tokend\Tests\ManualTest::ACCOUNTS['0123456789abcdef0123456789abcdef']][$name];
        }
    }
}

namespace Tokend\Tests {
    use EasyWeChat\OfficialAccount\Application;
    use Illuminate\Container\Container;
    use PHPUnit\Framework\Assert;
    use Tokend\Laravel\ServiceProvider;

    return new class () extends ManualPage {
        public ?string $refused = Site::OFFICIAL;

        /** The blocks are parts of config/easywechat.php. */
        public function code(string $code): string
        {
            return "return [$code];";
        }

        public function check(array $left, Site $site): void
        {
            $settings = $left['returned']['official_account']['default'];
            $app = LaravelTest::container($left['returned'], $site->socket);
            (new ServiceProvider($app))->register();
            $app->bind('easywechat.official_account.default', static fn () => new Application($settings));
            $client = $app->make('easywechat.official_account.default')->getClient();
            Assert::assertSame(0, $client->request('GET', "$site->url/sandbox/echo")->toArray()['errcode']);
        }
    };
}
