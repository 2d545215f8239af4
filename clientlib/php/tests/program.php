<?php

declare(strict_types=1);

// What the programs of docs/programs.md need around them. Program prepends this file.

require __DIR__ . '/bootstrap.php';
require __DIR__ . '/shapes/thinkphp.php';

/** Sends a request to WeChat. */
function post(string $url, ?array $body = null): array
{
    if (str_contains($url, '/sandbox/echo')) {
        meet();
    }
    $http = ['method' => $body === null ? 'GET' : 'POST', 'header' => 'Content-Type: application/json', 'content' => json_encode($body)];
    return json_decode((string) file_get_contents($url, false, stream_context_create(['http' => $http])), true);
}

/** Returns the permanent code that a program has in its database. */
function permanent_code(string $suite_id, string $auth_corpid): string
{
    $http = ['method' => 'POST', 'header' => 'Content-Type: text/plain'];
    $url = getenv('WECHAT') . "/sandbox/add-customer?owner=$suite_id&child=$auth_corpid";
    return trim((string) file_get_contents($url, false, stream_context_create(['http' => $http])));
}

/** Fetches a suite's token, together with the other processes. */
function suite_token(string $suite_id): string
{
    meet();
    return post(getenv('WECHAT') . '/cgi-bin/service/get_suite_token', [
        'suite_id' => $suite_id,
        'suite_secret' => 'sandbox-secret-of-the-suite',
        'suite_ticket' => pushed("open_work/$suite_id/suite_ticket"),
    ])['suite_access_token'];
}

/** Returns a ticket that WeChat has pushed. */
function pushed(string $name): string
{
    return (new Tokend\Client())->get($name);
}

/** Adds the row of a platform to the table of docs/programs.md. */
function row(string $appid): void
{
    if (think\facade\Db::name('component')->where('appid', $appid)->find() === null) {
        think\facade\Db::name('component')->insert(['appid' => $appid, 'component_access_token' => '', 'fetched_at' => 0]);
    }
}

/** Gives an application a cache in files, which the real EasyWeChat has by default. */
function files(EasyWeChat\OpenWork\Application $app): void
{
    $app->setCache(new Symfony\Component\Cache\Psr16Cache(new Symfony\Component\Cache\Adapter\FilesystemAdapter('easywechat')));
}

/** Waits until all processes have come as far. */
function meet(): void
{
    static $times = 0;
    $place = getenv('MEETING') . '/' . ++$times;
    touch("$place-" . getmypid());
    Tokend\Tests\Site::wait(static fn (): bool => count(glob("$place-*")) >= (int) getenv('PROCESSES'));
}
