<?php

declare(strict_types=1);

namespace Tokend\Tests;

use PHPUnit\Framework\TestCase;
use Symfony\Component\HttpClient\CurlHttpClient;

/** Pages in php-fpm behind nginx, as another user than the daemon. */
final class PageTest extends TestCase
{
    private static string $url = '';

    public static function setUpBeforeClass(): void
    {
        $site = Site::shared();
        $root = "$site->directory/www";
        mkdir($root);
        chmod($root, 0755);
        $example = (string) file_get_contents(dirname(__DIR__) . '/examples/callback.php');
        $pages = [
            'page.php' => (string) file_get_contents(__DIR__ . '/page.php'),
            'callback.php' => strtr($example, ["'/../Tokend.php'" => "'/Tokend.php'", 'wxaaaabbbbccccdddd' => 'wxsandboxplatform']),
        ];
        foreach (['Tokend.php', 'HttpClient.php'] as $file) {
            $pages[$file] = (string) file_get_contents(dirname(__DIR__) . "/$file");
        }
        foreach ($pages as $file => $text) {
            file_put_contents("$root/$file", $text);
            chmod("$root/$file", 0644);
        }
        $user = posix_getuid() === 0 ? "user = www-data\ngroup = www-data\nlisten.owner = www-data\n" : '';
        file_put_contents("$site->directory/fpm.conf", <<<FPM
            [global]
            daemonize = no
            error_log = $site->directory/fpm.log
            [www]
            {$user}listen = $site->directory/fpm.sock
            pm = static
            pm.max_children = 5
            catch_workers_output = yes
            env[TOKEND_SOCKET] = $site->socket
            env[SANDBOX] = $site->url
            FPM);
        $port = Site::port();
        $nginx = posix_getuid() === 0 ? "user www-data;\n" : '';
        $temporary = implode("\n", array_map(
            static fn (string $name): string => "{$name}_temp_path $site->directory/$name;",
            ['client_body', 'fastcgi', 'proxy', 'scgi', 'uwsgi']
        ));
        file_put_contents("$site->directory/nginx.conf", <<<NGINX
            {$nginx}daemon off;
            pid $site->directory/nginx.pid;
            error_log $site->directory/nginx.log;
            events { }
            http {
                access_log off;
                $temporary
                server {
                    listen 127.0.0.1:$port;
                    location / {
                        fastcgi_pass unix:$site->directory/fpm.sock;
                        fastcgi_param SCRIPT_FILENAME $root\$fastcgi_script_name;
                        fastcgi_param REQUEST_METHOD \$request_method;
                        fastcgi_param QUERY_STRING \$query_string;
                        fastcgi_param CONTENT_TYPE \$content_type;
                        fastcgi_param CONTENT_LENGTH \$content_length;
                    }
                }
            }
            NGINX);
        $site->run('fpm', [getenv('FPM') ?: 'php-fpm', '-n', '-d', 'extension=curl', '-y', "$site->directory/fpm.conf"]);
        $site->run('nginx', ['nginx', '-e', "$site->directory/nginx.log", '-c', "$site->directory/nginx.conf"]);
        self::$url = "http://127.0.0.1:$port";
        Site::wait(static fn (): bool => @file_get_contents(self::$url . '/page.php?name=' . Site::WORK . '&parameter=access_token') !== false);
    }

    public function testKilledToken(): void
    {
        $site = Site::shared();
        [$name, $parameter, $endpoint] = Site::KINDS['provider'];
        $page = self::$url . "/page.php?name=$name&parameter=$parameter";
        $http = new CurlHttpClient();
        self::assertSame(0, $http->request('GET', $page)->toArray()['errcode']);
        $site->kill($name);
        $fetched = $site->calls($endpoint);
        $responses = [];
        for ($i = 0; $i < 5; $i++) {
            $responses[] = $http->request('GET', $page);
        }
        foreach ($responses as $response) {
            self::assertSame(0, $response->toArray()['errcode']);
        }
        self::assertSame($fetched + 1, $site->calls($endpoint));
    }

    /** @dataProvider errors */
    public function testError(string $name, int $status, string $kind): void
    {
        $answer = (new CurlHttpClient())->request('GET', self::$url . "/page.php?parameter=access_token&name=$name");
        self::assertSame([$status, $kind], [$answer->getStatusCode(), $answer->getContent(false)]);
        self::assertSame($status === 503, isset($answer->getHeaders(false)['retry-after']));
    }

    public function errors(): iterable
    {
        yield ['official_account/wxnobody/access_token', 500, 'NOT_FOUND'];
        yield ['official_account/wxsandboxofficial/nothing', 500, 'NOT_FOUND'];
        yield ['open_platform/wxsandboxplatform/wxsandboxcustomer/refresh_token', 500, 'DENIED'];
        yield ['open_platform/wxsandboxplatform/wxnobody/access_token', 500, 'REAUTH'];
    }

    public function testCallback(): void
    {
        $site = Site::shared();
        $name = 'open_platform/wxsandboxplatform/component_verify_ticket';
        $ticket = $site->client()->get($name);
        [$query, $body] = self::push($ticket);
        $http = new CurlHttpClient();
        $answer = $http->request('POST', self::$url . "/callback.php?$query", ['body' => $body]);
        self::assertSame([200, 'success'], [$answer->getStatusCode(), $answer->getContent(false)]);
        self::assertSame($ticket, $site->client()->get($name));
        foreach (
            [
                [503, str_replace('nonce=n', 'nonce=x', $query), $body], // not signed: tokend answers DENIED
                [400, $query, '<xml></xml>'],
                [400, "$query&nonce=%0AGET", $body],
                [400, "$query&nonce[]=a", $body],
                [400, '', $body],
            ] as [$status, $query, $body]
        ) {
            $answer = $http->request('POST', self::$url . "/callback.php?$query", ['body' => $body]);
            self::assertSame([$status, ''], [$answer->getStatusCode(), $answer->getContent(false)], $query);
        }
        $site->stopDaemon();
        [$query, $body] = self::push($ticket);
        self::assertSame(503, $http->request('POST', self::$url . "/callback.php?$query", ['body' => $body])->getStatusCode());
        $site->serve();
    }

    /** @return array{string, string} the query and the body of a push with a ticket */
    private static function push(string $ticket): array
    {
        $app = 'wxsandboxplatform';
        $xml = "<xml><AppId>$app</AppId><CreateTime>" . time() . '</CreateTime><InfoType>component_verify_ticket</InfoType>'
            . "<ComponentVerifyTicket>$ticket</ComponentVerifyTicket></xml>";
        $key = base64_decode('sandboxkeyoftheplatform0000000000000000000A=');
        $plain = random_bytes(16) . pack('N', strlen($xml)) . $xml . $app;
        $padding = 32 - strlen($plain) % 32;
        $plain .= str_repeat(chr($padding), $padding);
        $encrypt = openssl_encrypt($plain, 'aes-256-cbc', $key, OPENSSL_RAW_DATA | OPENSSL_ZERO_PADDING, substr($key, 0, 16));
        $signed = ['sandbox-platform-signs', (string) time(), 'n', base64_encode((string) $encrypt)];
        $query = "msg_signature=SIGNATURE&timestamp=$signed[1]&nonce=n";
        $body = "<xml><ToUserName>$app</ToUserName><Encrypt><![CDATA[$signed[3]]]></Encrypt></xml>";
        sort($signed, SORT_STRING);
        return [str_replace('SIGNATURE', sha1(implode('', $signed)), $query), $body];
    }
}
