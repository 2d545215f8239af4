<?php
// phpredis over tokend's socket: php phpredis.php SOCKET NAME OTHER VALUE
[, $socket, $name, $other, $value] = $argv;

function want(string $what, $got, $want): void
{
    if ($got !== $want) {
        fwrite(STDERR, "$what: got " . var_export($got, true) . ', want ' . var_export($want, true) . "\n");
        exit(1);
    }
}

$redis = new Redis();
$redis->connect($socket);
want('auth', $redis->auth('ignored'), true);
want('select', $redis->select(0), true);
want('ping', $redis->ping('x'), 'x');
want('get', $redis->get($name), $value);
want('get of a missing key', $redis->get('nothing'), false);
$values = $redis->mget([$name, 'nothing']);
want('mget', $values, [$value, false]);
want('ttl', $redis->ttl($name) > 60, true);
want('ttl of a missing key', $redis->ttl('nothing'), -2);
want('exists', $redis->exists($name, 'nothing'), 1);
want('type', $redis->type($name), Redis::REDIS_STRING);
want('setex', $redis->setex($name, 7000, 'foreign'), true);
want('get after setex', $redis->get($name), $value);

// An error throws, except in mget: there it is false, as if no key existed.
$grant = 'open_platform/wxsandboxplatform/wxsandboxcustomer/refresh_token';
try {
    $redis->get($grant);
    want('get of a grant', 'no exception', 'an exception');
} catch (RedisException $e) {
    want('the exception', $e->getMessage(), 'DENIED - write-only');
}
want('mget of a grant', $redis->mget([$name, $grant]), false);
try {
    want('del', $redis->del($name), 1);
    $redis->setex('nothing', 10, 'x');
    want('setex of a missing key', 'no exception', 'an exception');
} catch (RedisException $e) {
    want('the exception', $e->getMessage(), 'DENIED - not a credential: tokend stores WeChat credentials only');
}

$subscriber = new Redis();
$subscriber->connect($socket);
$subscriber->setOption(Redis::OPT_READ_TIMEOUT, 20);
$redis->get($other);
// subscribe does not return, so another process changes the value.
proc_open([PHP_BINARY, '-r', '$r = new Redis(); $r->connect($argv[1]); usleep(300000); $r->rawCommand("REFRESH", $argv[2]);', $socket, $other], [], $pipes);
$subscriber->subscribe([$other], function ($redis, $channel, $message) use ($other) {
    want('the channel', $channel, $other);
    want('the message', substr($message, 0, 6), 'fresh ');
    echo "ok\n";
    exit(0);
});
