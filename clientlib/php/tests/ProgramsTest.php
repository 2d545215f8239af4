<?php

declare(strict_types=1);

namespace Tokend\Tests;

use PHPUnit\Framework\TestCase;

/** The situations in docs/programs.md, with each program before and after. */
final class ProgramsTest extends TestCase
{
    private const CORP = 'open_work/wwsandboxsuite/wwsandboxcustomer/access_token';
    private const COMPONENT = 'open_platform/wxsandboxplatform/component_access_token';

    /** Two suites of one corp: a file for each corp contains the token of one of them. */
    public function testSuites(): void
    {
        [$before, $after] = self::programs('function corp_call');
        $call = "[corp_token('wwsandboxsuite', 'wwsandboxcustomer'), corp_token('dksandboxtemplate', 'wwsandboxcustomer')]";
        $files = Program::directory();
        [$first, $second] = $before->run($files, $call);
        self::assertSame($first, $second);
        unlink("$files/corp_token_wwsandboxcustomer.json");
        [$reversed] = $before->run($files, "[corp_token('dksandboxtemplate', 'wwsandboxcustomer')]");
        self::assertNotSame($first, $reversed);

        $client = Site::shared()->client();
        $names = [self::CORP, 'open_work/dksandboxtemplate/wwsandboxcustomer/access_token'];
        self::assertSame([$first, $reversed], array_map([$client, 'get'], $names)); // WeCom repeats valid tokens
        self::assertSame([$first, $reversed], $after->run($files, $call));
    }

    public function testProvider(): void
    {
        [$before, $after] = self::programs('function corp_call');
        $token = $before->run(Program::directory(), 'provider_token()');
        self::assertGreaterThan(20, strlen($token));
        self::assertSame($token, $after->run(Program::directory(), 'provider_token()'));
    }

    public function testCorpToken(): void
    {
        $this->refused('function corp_call', self::CORP, 'corp', 40014);
        self::assertSame([0, 0, 0, 0, 0], $this->together('function corp_call', 'corp'));
    }

    /** Each fetch of a component token replaces the one before, and WeChat accepts the newest two. */
    public function testComponentToken(): void
    {
        $this->refused('class Component', self::COMPONENT, 'component', 40001);
        self::assertSame([0, 0, 40001, 40001, 40001], $this->together('class Component', 'component'));
    }

    public function testOpenWorkToken(): void
    {
        $this->refused('OpenWork', self::CORP, 'corp', 40014);
        $this->oneFetch('OpenWork', 'corp');
    }

    /** A ticket that was pushed to another cache. */
    public function testTicketInOtherCache(): void
    {
        [$before, $after] = self::programs('OpenWork', false);
        self::assertSame(0, $after->run(Program::directory(), Program::CALLS['OpenWork'])['errcode']);
        $this->expectExceptionMessage('No suite_ticket found.');
        $before->run(Program::directory(), Program::CALLS['OpenWork']);
    }

    public function testProviderTokenOfEachCache(): void
    {
        $site = Site::shared();
        $fetched = static function (Program $program) use ($site): int {
            $calls = $site->calls(Site::KINDS['provider'][2]);
            for ($i = 0; $i < 3; $i++) {
                self::assertGreaterThan(20, strlen($program->run(Program::directory(), '$app->getProviderAccessToken()->getToken()')));
            }
            return $site->calls(Site::KINDS['provider'][2]) - $calls;
        };
        $site->client()->get(Site::KINDS['provider'][0]);
        self::assertSame([3, 0], array_map($fetched, self::programs('OpenWork')));
    }

    /** Before: after WeChat has refused the token, the program uses it again. */
    private function refused(string $word, string $name, string $kind, int $errcode): void
    {
        $site = Site::shared();
        $site->client()->get($name);
        [$before] = self::programs($word);
        $files = Program::directory();
        self::assertSame(0, $before->run($files, Program::CALLS[$word])['errcode']);
        $site->kill($name);
        $fetches = $site->calls(Site::KINDS[$kind][2]);
        for ($i = 0; $i < 3; $i++) {
            self::assertSame($errcode, $before->run($files, Program::CALLS[$word])['errcode']);
        }
        self::assertSame($fetches, $site->calls(Site::KINDS[$kind][2]));
    }

    /** Before: five processes that need a token fetch five times. Returns the errcodes of their calls, in order. */
    private function together(string $word, string $kind): array
    {
        $site = Site::shared();
        [$before] = self::programs($word);
        $fetches = $site->calls(Site::KINDS[$kind][2]);
        $errcodes = array_column($before->together(5, Program::directory(), Program::CALLS[$word]), 'errcode');
        self::assertSame($fetches + 5, $site->calls(Site::KINDS[$kind][2]));
        $this->oneFetch($word, $kind);
        sort($errcodes);
        return $errcodes;
    }

    /**
     * After: WeChat refuses the token of five processes. All calls succeed, with one fetch. This spends
     * one of the five rejections that tokend allows a credential at once. All tests share them.
     */
    private function oneFetch(string $word, string $kind): void
    {
        $site = Site::shared();
        [, $after] = self::programs($word);
        $fetches = $site->calls(Site::KINDS[$kind][2]);
        self::assertSame([0, 0, 0, 0, 0], array_column($after->together(5, Program::directory(), Program::CALLS[$word]), 'errcode'));
        self::assertSame($fetches + 1, $site->calls(Site::KINDS[$kind][2]));
    }

    /**
     * Returns a program of the page, before and after.
     *
     * @return array{Program, Program}
     */
    private static function programs(string $word, bool $pushed = true): array
    {
        static $all = null;
        $all ??= iterator_to_array(ManualTest::blocks());
        $blocks = [];
        foreach ($all as [$page, $text, $isBefore]) {
            if ($page === 'programs.md' && str_contains($text, $word)) {
                $blocks[(int) !$isBefore] = new Program($text, $pushed);
            }
        }
        self::assertSame([0, 1], array_keys($blocks));
        return $blocks;
    }
}
