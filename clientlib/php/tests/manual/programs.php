<?php

declare(strict_types=1);

namespace Tokend\Tests;

use PHPUnit\Framework\Assert;

return new class () extends ManualPage {
    /** Makes a call with the program, in a process of its own: the blocks declare the same functions. */
    public function code(string $code): string
    {
        $call = current(array_filter(Program::CALLS, static fn (string $word): bool => str_contains($code, $word), ARRAY_FILTER_USE_KEY));
        return 'return (new Tokend\Tests\Program(' . var_export($code, true) . '))->run(Tokend\Tests\Program::directory(), ' . var_export($call, true) . ');';
    }

    public function check(array $left, Site $site): void
    {
        Assert::assertSame(0, $left['returned']['errcode']);
    }
};
