<?php

declare(strict_types=1);

namespace Tokend\Tests;

use PHPUnit\Framework\Assert;

return new class () extends ManualPage {
    public ?string $refused = Site::OFFICIAL;

    public function code(string $code): string
    {
        return str_contains($code, '$tokend =') ? $code : '$tokend = new Tokend\Client(); ' . $code;
    }

    public function check(array $left, Site $site): void
    {
        if (isset($left['token'])) {
            Assert::assertGreaterThan(20, strlen($left['token']));
        }
        if (isset($left['answer'])) {
            Assert::assertArrayHasKey('ip_list', $left['answer']);
        }
        if (isset($left['response'])) {
            Assert::assertArrayHasKey('ip_list', $left['response']->toArray());
        }
    }
};
