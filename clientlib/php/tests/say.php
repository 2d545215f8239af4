<?php

declare(strict_types=1);

// The PHP client for the conversations in testdata/conversations: say.php SOCKET. It makes the requests
// on standard input and prints each reply as the daemon must have written it.

require dirname(__DIR__) . '/Tokend.php';

$tokend = new Tokend\Client($argv[1], 1.0, 5.0);
while (($line = fgets(STDIN)) !== false) {
    $fields = explode(' ', rtrim($line, "\n"));
    $verb = strtolower(array_shift($fields));
    try {
        $result = $tokend->$verb(...$fields);
        $reply = match ($verb) {
            'get', 'reject', 'refresh' => "OK * $result", // the client does not tell the seconds
            'exchange' => "OK $result",
            'put', 'push' => 'OK',
            'sign' => 'OK ' . implode(' ', $result),
            'list' => 'OK ' . implode("\n", [count($result), ...array_map(
                static fn (array $each): string => "$each[name] $each[state] " . ($each['ttl'] ?? '-'),
                $result
            )]),
            'status' => 'OK ' . implode("\n", [count($result), ...array_map(
                static fn (string $key, string $value): string => "$key $value",
                array_keys($result),
                $result
            )]),
        };
    } catch (Tokend\Error $e) {
        $reply = substr($e->getMessage(), (int) strpos($e->getMessage(), ': ERR ') + 2);
    }
    echo $reply, "\n";
}
