<?php

declare(strict_types=1);

namespace Tokend\Tests;

use PHPUnit\Framework\Assert;

return new class () extends ManualPage {
    /** Before, a block connects to a Redis. Afterwards, it connects to a tokend that has the page's aliases. */
    public function code(string $code): string
    {
        $site = Site::shared();
        if (str_contains($code, '6379')) {
            $port = Site::port();
            $site->run('redis', ['redis-server', '--bind', '127.0.0.1', '--port', (string) $port, '--save', '']);
            Site::wait(static fn (): bool => @stream_socket_client("tcp://127.0.0.1:$port") !== false);
            return str_replace('6379', (string) $port, $code);
        }
        preg_match('~^```toml\n(.*?)^```~ms', (string) file_get_contents(dirname(__DIR__, 4) . '/docs/redis.md'), $m);
        file_put_contents("$site->directory/tokend.toml", "\n$m[1]", FILE_APPEND);
        exec(escapeshellarg((string) getenv('TOKEND')) . ' reload', $output, $status);
        Assert::assertSame(0, $status);
        return $code;
    }

    public function check(array $left, Site $site): void
    {
        $answer = (string) file_get_contents("$site->url/sandbox/echo?access_token=" . rawurlencode($left['token']));
        Assert::assertSame(0, json_decode($answer, true)['errcode']);
    }
};
