<?php

declare(strict_types=1);

namespace Tokend\Tests;

use PHPUnit\Framework\Assert;

return new class () extends ManualPage {
    /** The blocks call the function of the README. */
    public function code(string $code): string
    {
        if (function_exists('tokend')) {
            return $code;
        }
        preg_match('~^```php\n(const TOKEND .*?)^\$name = ~ms', (string) file_get_contents(dirname(__DIR__, 4) . '/README.md'), $m);
        return $m[1] . $code;
    }

    public function check(array $left, Site $site): void
    {
        if (isset($left['signature'])) {
            $ticket = $site->client()->get('official_account/wxsandboxofficial/jsapi_ticket');
            $signed = "jsapi_ticket=$ticket&noncestr=$left[nonce]&timestamp=$left[timestamp]&url=https://example.com/pay?id=7";
            Assert::assertSame(sha1($signed), $left['signature']);
        }
    }
};
