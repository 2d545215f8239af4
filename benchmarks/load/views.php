<?php
// Makes page views for SECONDS and prints their number. Each view opens a connection and sends two
// requests.
[, $server, $socket, $name, $seconds] = $argv;
$stale = str_repeat('u', 512);
$end = microtime(true) + (float) $seconds;
for ($views = 0; microtime(true) < $end; $views++) {
    if ($server === 'redis') {
        $redis = new Redis();
        $redis->connect($socket);
        $ok = strlen($redis->get($name)) === 512 && strlen($redis->get($name)) === 512;
        $redis->close();
    } else {
        $tokend = stream_socket_client("unix://$socket");
        fwrite($tokend, "GET $name\n");
        $ok = strncmp((string) fgets($tokend), 'OK ', 3) === 0;
        fwrite($tokend, "REJECT $name $stale\n");
        $ok = $ok && strncmp((string) fgets($tokend), 'OK ', 3) === 0;
        fclose($tokend);
    }
    if (!$ok) {
        fwrite(STDERR, "$server does not answer with a value\n");
        exit(1);
    }
}
echo $views, "\n";
