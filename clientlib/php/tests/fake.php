<?php

declare(strict_types=1);

// A daemon that misbehaves: fake.php SOCKET LOG, and the serialized replies on standard input. Each
// request gets the next reply. Three words in a reply are not sent: "close" closes the connection,
// "wait" does nothing for 10 s, and "full" refuses the next connection. Requests are appended to LOG.

[, $socket, $log] = $argv;
$replies = unserialize((string) stream_get_contents(STDIN));
$server = stream_socket_server("unix://$socket.new");
rename("$socket.new", $socket); // now it accepts connections
$connections = [];
for ($parent = posix_getppid(); posix_getppid() === $parent;) { // until the test ends
    $ready = [$server, ...$connections];
    $none = null;
    stream_select($ready, $none, $none, 1);
    foreach ($ready as $stream) {
        if ($stream === $server) {
            $connection = stream_socket_accept($server);
            if (($replies[0] ?? '') === 'full') {
                array_shift($replies);
                fwrite($connection, "ERR BUSY 1 too many connections\n");
                fclose($connection);
            } else {
                $connections[] = $connection;
            }
            continue;
        }
        $request = fgets($stream);
        $parts = $request === false ? ['close'] : explode('|', $replies === [] ? 'close' : array_shift($replies));
        file_put_contents($log, (string) $request, FILE_APPEND);
        foreach ($parts as $part) {
            if ($part === 'close') {
                unset($connections[array_search($stream, $connections, true)]);
                fclose($stream);
                break;
            }
            $part === 'wait' ? sleep(10) : fwrite($stream, $part);
        }
    }
}
