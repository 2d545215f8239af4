<?php
// Predis over tokend's socket: php predis.php SOCKET NAME OTHER VALUE
require 'Predis/Autoloader.php';
Predis\Autoloader::register();
[, $socket, $name, $other, $value] = $argv;

function want(string $what, $got, $want): void
{
    if ($got !== $want) {
        fwrite(STDERR, "$what: got " . var_export($got, true) . ', want ' . var_export($want, true) . "\n");
        exit(1);
    }
}

$server = ['scheme' => 'unix', 'path' => $socket, 'password' => 'ignored', 'database' => 0];
$redis = new Predis\Client($server);
want('ping', (string) $redis->ping(), 'PONG');
want('get', $redis->get($name), $value);
want('get of a missing key', $redis->get('nothing'), null);
want('mget', $redis->mget([$name, 'nothing']), [$value, null]);
want('ttl', $redis->ttl($name) > 60, true);
want('ttl of a missing key', $redis->ttl('nothing'), -2);
try {
    $redis->get('open_platform/wxsandboxplatform/wxsandboxcustomer/refresh_token');
    want('get of a grant', 'no exception', 'an exception');
} catch (Predis\Response\ServerException $e) {
    want('the exception', $e->getMessage(), 'DENIED - write-only');
}
want('del', $redis->del([$name]), 1);
$redis->get($other);
$subscriber = (new Predis\Client($server + ['read_write_timeout' => 20]))->pubSubLoop();
$subscriber->subscribe($other);
foreach ($subscriber as $message) {
    if ($message->kind === 'subscribe') {
        $redis->executeRaw(['REFRESH', $other]);
    } elseif ($message->kind === 'message') {
        want('the channel', $message->channel, $other);
        want('the message', substr($message->payload, 0, 6), 'fresh ');
        break;
    }
}
echo "ok\n";
