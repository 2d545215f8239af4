<?php

declare(strict_types=1);

namespace Tokend\Tests;

use PHPUnit\Framework\TestCase;

/** All code in PHP of the manual, with the socket and the accounts of the sandbox. */
final class ManualTest extends TestCase
{
    public const ACCOUNTS = [
        'wx0123456789abcdef' => 'wxsandboxofficial', '0123456789abcdef0123456789abcdef' => 'sandbox-secret-of-the-official-account',
        'ww0123456789abcdef' => 'wwsandboxcorp', 'wxaaaabbbbccccdddd' => 'wxsandboxplatform', 'wxeeeeffff00001111' => 'wxsandboxcustomer',
        'wwfedcba9876543210' => 'wwsandboxprovider', 'ww00001111222233334' => 'wwsandboxsuite', 'ww44443333222211110' => 'wwsandboxcustomer',
    ];

    private static int $ran = 0;
    /** @var string[] the pages whose code has replaced a refused token */
    private static array $replaced = [];

    /** The blocks of clientlib/manual: those of all pages in the tables of docs/clients.md. */
    public static function blocks(): iterable
    {
        exec('cd ' . escapeshellarg(dirname(__DIR__, 3)) . ' && go run ./.ci/manual php', $lines, $status);
        foreach ($status === 0 ? json_decode($lines[0], true) : [] as $block) {
            yield "$block[Page]:$block[Line]" => [$block['Page'], $block['Text'], $block['Before']];
        }
    }

    /**
     * Runs a block. With tokend, only tokend fetches, and a refused token is replaced. Before, the SDK
     * fetches.
     *
     * @dataProvider blocks
     */
    public function testBlock(string $page, string $code, bool $before): void
    {
        $site = Site::shared();
        $site->client()->get(Site::OFFICIAL);
        $others = self::fetchesOfOthers($site);
        $harness = ManualPage::of($page);
        $harness->check(self::runCode($harness->code($code), $site), $site);
        if (!$before && $harness->refused !== null && !in_array($page, self::$replaced, true)) {
            self::$replaced[] = $page;
            $token = $site->client()->get($harness->refused);
            $site->kill($harness->refused);
            $harness->check(self::runCode($harness->code($code), $site), $site);
            self::assertNotSame($token, $site->client()->get($harness->refused));
        }
        if ($before) {
            self::assertGreaterThan($others, self::fetchesOfOthers($site));
        } else {
            Site::wait(static fn (): bool => self::fetchesOfOthers($site) === $others, 2);
        }
        self::$ran++;
        $this->addToAssertionCount(1);
    }

    public function testAllBlocks(): void
    {
        $docs = dirname(__DIR__, 3) . '/docs';
        preg_match_all('~^\|.*~m', (string) file_get_contents("$docs/clients.md"), $rows);
        preg_match_all('~\]\(([a-z-]+\.md)~', implode("\n", $rows[0]), $m);
        $count = 0;
        foreach (array_unique(['clients.md', ...$m[1]]) as $page) {
            $count += preg_match_all('~^ *```php$~m', (string) file_get_contents("$docs/$page"));
        }
        self::assertSame($count, self::$ran);
    }

    protected function setUp(): void
    {
        putenv('TOKEND_SOCKET=' . Site::shared()->socket);
        putenv('WECHAT=' . Site::shared()->url); // for the shapes of EasyWeChat
    }

    protected function tearDown(): void
    {
        putenv('TOKEND_SOCKET');
        putenv('WECHAT');
    }

    /** The number of fetches that the sandbox has counted and the daemon has not: those of SDKs. */
    private static function fetchesOfOthers(Site $site): int
    {
        $business = '/cgi-bin/get_api_domain_ip';
        $all = $site->calls();
        foreach (explode("\n", (string) file_get_contents("$site->url/sandbox/calls")) as $line) {
            if (str_starts_with($line, "$business ")) {
                $all -= (int) substr((string) strrchr($line, ' '), 1);
            }
        }
        return $all - $site->stat('calls') + $site->stat("calls:$business");
    }

    /** Runs code, and returns its variables. */
    private static function runCode(string $code, Site $site): array
    {
        $urls = ['https://api.weixin.qq.com' => $site->url, 'https://qyapi.weixin.qq.com' => $site->url, '/run/tokend/tokend.sock' => $site->socket];
        $_GET['auth_code'] = str_contains($code, 'auth_code') ? $site->post('authorize?owner=wxsandboxplatform&child=wxmanual') : '';
        return (static function (string $code): array {
            $returned = eval($code);
            return get_defined_vars();
        })(strtr($code, self::ACCOUNTS + $urls));
    }
}
