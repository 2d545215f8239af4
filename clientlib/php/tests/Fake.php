<?php

declare(strict_types=1);

namespace Tokend\Tests;

use Tokend\Client;

/** A daemon that gives the given replies: see fake.php. */
final class Fake
{
    public string $socket;

    /** @var resource */
    private $process;

    public function __construct(string ...$replies)
    {
        static $count = 0;
        $this->socket = sys_get_temp_dir() . '/tokend-fake-' . getmypid() . '-' . ++$count;
        $this->process = proc_open([PHP_BINARY, __DIR__ . '/fake.php', $this->socket, "$this->socket.log"], [['pipe', 'r']], $pipes);
        fwrite($pipes[0], serialize($replies));
        fclose($pipes[0]);
        Site::wait(fn (): bool => file_exists($this->socket));
    }

    public function __destruct()
    {
        proc_terminate($this->process, 9);
        proc_close($this->process);
        @unlink($this->socket);
        @unlink("$this->socket.log");
    }

    public function client(float $timeout = 35.0): Client
    {
        return new Client($this->socket, 1.0, $timeout);
    }

    /** @return string[] the requests so far */
    public function requests(): array
    {
        return is_file("$this->socket.log") ? file("$this->socket.log", FILE_IGNORE_NEW_LINES) : [];
    }
}
