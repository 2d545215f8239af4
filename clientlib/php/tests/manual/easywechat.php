<?php

declare(strict_types=1);

namespace Tokend\Tests;

use EasyWeChat\Kernel\Application;
use EasyWeChat\Kernel\Client;
use PHPUnit\Framework\Assert;

return new class () extends ManualPage {
    public ?string $refused = Site::OFFICIAL;

    public function check(array $left, Site $site): void
    {
        foreach ($left as $value) {
            $client = $value instanceof Application ? $value->getClient() : $value;
            if ($client instanceof Client) { // the echo checks the token as every business API does
                Assert::assertSame(0, $client->request('GET', "$site->url/sandbox/echo")->toArray()['errcode']);
            }
        }
        if (isset($left['customer'])) {
            Assert::assertSame('open_platform/wxsandboxplatform/wxmanual', $left['customer']);
        }
    }
};
