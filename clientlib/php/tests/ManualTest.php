<?php

declare(strict_types=1);

namespace Tokend\Tests;

use PHPUnit\Framework\TestCase;

/** The code in docs/php.md, with the socket and the accounts of the sandbox. */
final class ManualTest extends TestCase
{
    private const ACCOUNTS = [
        'wx0123456789abcdef' => 'wxsandboxofficial', 'ww0123456789abcdef' => 'wwsandboxcorp',
        'wxaaaabbbbccccdddd' => 'wxsandboxplatform', 'wxeeeeffff00001111' => 'wxsandboxcustomer',
        'wwfedcba9876543210' => 'wwsandboxprovider', 'ww00001111222233334' => 'wwsandboxsuite', 'ww44443333222211110' => 'wwsandboxcustomer',
    ];

    public function testCode(): void
    {
        $page = (string) file_get_contents(dirname(__DIR__, 3) . '/docs/php.md');
        preg_match_all('~^```php\n(.*?)^```~ms', $page, $m);
        self::assertGreaterThanOrEqual(9, count($m[1]));
        $before = 0;
        foreach ($m[1] as $code) {
            if (str_contains($code, 'env(')) { // a part of a configuration
                self::assertIsArray(eval('return [' . str_replace('env(', 'strval(', $code) . '];'));
            } elseif (str_contains($code, "'secret'")) {
                $before++; // without tokend
                self::assertInstanceOf(\EasyWeChat\OfficialAccount\Application::class, self::runCode($code)['app']);
            } else {
                self::runCode($code);
            }
        }
        self::assertSame(1, $before);
    }

    public function testResults(): void
    {
        $site = Site::shared();
        $page = (string) file_get_contents(dirname(__DIR__, 3) . '/docs/php.md');
        $block = static function (string $word) use ($page): string {
            preg_match_all('~^```php\n(.*?)^```~ms', $page, $m);
            return current(array_filter($m[1], static fn (string $code): bool => str_contains($code, $word)));
        };
        self::assertSame($site->client()->get(Site::OFFICIAL), self::runCode($block('Plug::into($app)'))['app']->getAccessToken()->getToken());
        self::assertArrayHasKey('ip_list', self::runCode($block('Tokend\Stale'))['result']);
        self::assertArrayHasKey('ip_list', self::runCode($block('HttpClient::create'))['response']->toArray());
        $customer = $site->client()->get('open_platform/wxsandboxplatform/wxsandboxcustomer/access_token');
        $apps = self::runCode($block('miniCustomer'));
        self::assertSame([$customer, $customer], [$apps['account']->getAccessToken()->getToken(), $apps['program']->getAccessToken()->getToken()]);
        self::assertSame('open_platform/wxsandboxplatform/wxmanual', self::runCode($block('auth_code'))['customer']);
        $corp = self::runCode($block('getAuthorizerClient'));
        self::assertSame(0, $corp['client']->request('GET', "$site->url/sandbox/echo")->toArray()['errcode']);
    }

    /** Runs code, and returns its variables. */
    private static function runCode(string $code): array
    {
        $site = Site::shared();
        putenv("TOKEND_SOCKET=$site->socket");
        $urls = ['https://api.weixin.qq.com' => $site->url, 'https://qyapi.weixin.qq.com' => $site->url];
        $_GET['auth_code'] = str_contains($code, 'auth_code') ? $site->post('authorize?owner=wxsandboxplatform&child=wxmanual') : '';
        try {
            $run = static function (string $code): array {
                $tokend = new \Tokend\Client();
                eval($code);
                return get_defined_vars();
            };
            return $run(strtr($code, self::ACCOUNTS + $urls));
        } finally {
            putenv('TOKEND_SOCKET');
        }
    }
}
