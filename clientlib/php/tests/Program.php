<?php

declare(strict_types=1);

namespace Tokend\Tests;

/** A program of docs/programs.md, with the accounts of the sandbox. Each run is a process of its own. */
final class Program
{
    /** A call of a business API by each program: by a word in its code. */
    public const CALLS = [
        'function corp_call' => "corp_call('wwsandboxsuite', 'wwsandboxcustomer', getenv('WECHAT') . '/sandbox/echo')",
        'OpenWork' => "\$client->request('GET', '/sandbox/echo')->toArray()",
        'class Component' => "\\app\\service\\Component::call('wxsandboxplatform', getenv('WECHAT') . '/sandbox/echo', [])",
    ];

    private const SECRETS = [
        "'provider_secret' => '0123456789abcdef'" => "'provider_secret' => 'sandbox-secret-of-the-provider'",
        "'suite_secret' => '0123456789abcdef'" => "'suite_secret' => 'sandbox-secret-of-the-suite'",
        "'component_appsecret' => '0123456789abcdef'" => "'component_appsecret' => 'sandbox-secret-of-the-platform'",
    ];

    /** What the program has done before, such as in its callback page, by a word in the program that needs it. */
    private const PUSHED = [
        "'suite_secret'" => "files(\$app); \$app->getSuiteTicket()->setTicket(pushed('open_work/wwsandboxsuite/suite_ticket'));",
        'facade\Db' => "row('wxsandboxplatform'); Component::ticket('wxsandboxplatform', pushed('open_platform/wxsandboxplatform/component_verify_ticket'));",
    ];

    private static int $files = 0;

    private string $text;

    public function __construct(string $text, bool $pushed = true)
    {
        $url = Site::shared()->url;
        $this->text = strtr($text, self::SECRETS + ManualTest::ACCOUNTS + ['https://api.weixin.qq.com' => $url, 'https://qyapi.weixin.qq.com' => $url]);
        foreach (self::PUSHED as $word => $code) {
            $this->text .= $pushed && str_contains($text, $word) ? $code : '';
        }
    }

    /** Returns a directory for the files that runs keep. */
    public static function directory(): string
    {
        $directory = Site::shared()->directory . '/program-' . ++self::$files;
        mkdir($directory);
        return $directory;
    }

    /** Runs the program in a directory and returns the value of a call, as JSON can hold it. */
    public function run(string $directory, string $call): mixed
    {
        return $this->together(1, $directory, $call)[0];
    }

    /** Runs the program in several processes at once, which meet() before they fetch and before they use a token. */
    public function together(int $processes, string $directory, string $call): array
    {
        $site = Site::shared();
        $file = "$directory/program-" . ++self::$files . '.php';
        file_put_contents($file, "<?php\n$this->text\necho json_encode($call);");
        mkdir($meeting = "$file.meeting");
        $environment = ['TMPDIR' => $directory, 'TOKEND_SOCKET' => $site->socket, 'WECHAT' => $site->url,
            'MEETING' => $meeting, 'PROCESSES' => (string) $processes] + getenv();
        $command = [PHP_BINARY, '-d', 'display_errors=stderr', '-d', 'auto_prepend_file=' . __DIR__ . '/program.php', $file];
        $running = [];
        for ($i = 0; $i < $processes; $i++) {
            $process = proc_open($command, [['file', '/dev/null', 'r'], ['pipe', 'w'], ['file', "$file.log", 'a']], $pipes, null, $environment);
            $running[] = [$process, $pipes[1]];
        }
        $results = [];
        foreach ($running as [$process, $output]) {
            $text = (string) stream_get_contents($output);
            if (proc_close($process) !== 0) {
                throw new \RuntimeException((string) file_get_contents("$file.log"));
            }
            $results[] = json_decode($text, true, 512, JSON_THROW_ON_ERROR);
        }
        return $results;
    }
}
