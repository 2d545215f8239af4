<?php

declare(strict_types=1);

namespace Tokend\Tests;

use Tokend\Client;

/** A daemon and a sandbox that all tests share, in a directory of their own. */
final class Site
{
    public const OFFICIAL = 'official_account/wxsandboxofficial/access_token';
    public const ROTATING = 'official_account/wxsandboxrotating/access_token';
    public const WORK = 'work/wwsandboxcorp/1000002/access_token';
    public const SECOND = 'work/wwsandboxcorp/1000003/access_token';

    /** A credential of each kind, and the query parameter and the endpoint of its token. */
    public const KINDS = [
        'official account' => [self::OFFICIAL, 'access_token', '/cgi-bin/stable_token wxsandboxofficial'],
        'rotating' => [self::ROTATING, 'access_token', '/cgi-bin/token wxsandboxrotating'],
        'mini program' => ['mini_program/wxsandboxmini/access_token', 'access_token', '/cgi-bin/stable_token wxsandboxmini'],
        'work' => [self::WORK, 'access_token', '/cgi-bin/gettoken wwsandboxcorp/1000002'],
        'provider' => ['open_work/wwsandboxprovider/provider_access_token', 'provider_access_token',
            '/cgi-bin/service/get_provider_token wwsandboxprovider'],
        'suite' => ['open_work/wwsandboxsuite/suite_access_token', 'suite_access_token', '/cgi-bin/service/get_suite_token wwsandboxsuite'],
        'corp' => ['open_work/wwsandboxsuite/wwsandboxcustomer/access_token', 'access_token',
            '/cgi-bin/service/get_corp_token wwsandboxsuite/wwsandboxcustomer'],
        'component' => ['open_platform/wxsandboxplatform/component_access_token', 'component_access_token',
            '/cgi-bin/component/api_component_token wxsandboxplatform'],
        'authorizer' => ['open_platform/wxsandboxplatform/wxsandboxcustomer/access_token', 'access_token',
            '/cgi-bin/component/api_authorizer_token wxsandboxplatform/wxsandboxcustomer'],
    ];

    private static ?self $shared = null;

    public string $directory;
    public string $socket;
    public string $url;

    /** @var resource[] */
    private array $processes = [];

    public static function shared(): self
    {
        return self::$shared ??= new self();
    }

    private function __construct()
    {
        $binary = getenv('TOKEND') ?: '';
        if (!is_executable($binary)) {
            throw new \RuntimeException('the tests need the program tokend in $TOKEND');
        }
        $this->directory = sys_get_temp_dir() . '/tokend-php-' . getmypid();
        mkdir($this->directory, 0755);
        $process = getmypid();
        pcntl_async_signals(true);
        foreach ([SIGINT, SIGTERM] as $signal) {
            pcntl_signal($signal, static fn () => exit(1)); // calls the function below
        }
        register_shutdown_function(function () use ($process): void {
            if (getmypid() === $process) { // not in a child of a test
                $this->stop();
            }
        });
        $this->socket = "$this->directory/tokend.sock";
        [$listen, $callback] = ['127.0.0.1:' . self::port(), '127.0.0.1:' . self::port()];
        $this->url = "http://$listen";
        $this->start('sandbox', '--listen', $listen, '--callback', $callback, '--config-out', "$this->directory/tokend.toml");
        self::wait(fn (): bool => is_file("$this->directory/tokend.toml") && @file_get_contents("$this->url/sandbox/calls") !== false);
        $toml = (string) file_get_contents("$this->directory/tokend.toml");
        file_put_contents("$this->directory/tokend.toml", "socket_mode = \"0666\"\n$toml");
        $this->serve();
        foreach (['corp', 'authorizer'] as $kind) { // the sandbox pushes tickets and authorizations
            self::wait(function () use ($kind): bool {
                try {
                    return $this->client()->get(self::KINDS[$kind][0]) !== '';
                } catch (\Tokend\Error) {
                    return false;
                }
            });
        }
    }

    public function client(): Client
    {
        return new Client($this->socket);
    }

    public function serve(): void
    {
        $this->start('serve', '--config', "$this->directory/tokend.toml");
        self::wait(fn (): bool => @stream_socket_client("unix://$this->socket") !== false);
    }

    /** Stops the daemon, not the sandbox. */
    public function stopDaemon(): void
    {
        $this->end('serve');
    }

    /** Makes the sandbox refuse the current value of a credential. */
    public function kill(string $name): void
    {
        $this->post("kill?name=$name");
    }

    /** Returns the number of calls to an endpoint with an account, or of all calls. */
    public function calls(string $line = 'total'): int
    {
        $all = (string) file_get_contents("$this->url/sandbox/calls");
        return preg_match('~^' . preg_quote($line, '~') . ' (\d+)$~m', $all, $m) ? (int) $m[1] : 0;
    }

    /** Returns a counter of the daemon. */
    public function stat(string $key): int
    {
        $socket = stream_socket_client("unix://$this->socket");
        fwrite($socket, "STATS\n");
        stream_socket_shutdown($socket, STREAM_SHUT_WR);
        return preg_match('~^' . preg_quote($key, '~') . ' (\d+)$~m', (string) stream_get_contents($socket), $m) ? (int) $m[1] : 0;
    }

    public function post(string $command): string
    {
        $context = stream_context_create(['http' => ['method' => 'POST', 'ignore_errors' => true, 'header' => 'Content-Length: 0']]);
        $answer = (string) file_get_contents("$this->url/sandbox/$command", false, $context);
        if (!str_contains($http_response_header[0], ' 200 ')) {
            throw new \RuntimeException("$command: $answer");
        }
        return trim($answer);
    }

    /** Starts a program that stop() ends. */
    public function run(string $name, array $command): void
    {
        $log = ['file', "$this->directory/$name.log", 'a'];
        $process = proc_open($command, [['file', '/dev/null', 'r'], $log, $log], $pipes, $this->directory);
        if ($process === false) {
            throw new \RuntimeException("$name does not start");
        }
        $this->processes[$name] = $process;
    }

    public static function port(): int
    {
        $server = stream_socket_server('tcp://127.0.0.1:0');
        return (int) substr((string) strrchr(stream_socket_get_name($server, false), ':'), 1);
    }

    /** Waits until $done returns true. */
    public static function wait(callable $done, int $seconds = 20): void
    {
        for ($deadline = microtime(true) + $seconds; !$done(); usleep(5000)) {
            if (microtime(true) > $deadline) {
                throw new \RuntimeException("not done within $seconds s");
            }
        }
    }

    private function start(string ...$arguments): void
    {
        $this->run($arguments[0], [getenv('TOKEND'), ...$arguments]);
    }

    private function end(string $name): void
    {
        proc_terminate($this->processes[$name]);
        self::wait(fn (): bool => !proc_get_status($this->processes[$name])['running']);
        proc_close($this->processes[$name]);
        unset($this->processes[$name]);
    }

    private function stop(): void
    {
        foreach (array_reverse(array_keys($this->processes)) as $name) {
            $this->end($name);
        }
        exec('rm -rf ' . escapeshellarg($this->directory));
    }
}
