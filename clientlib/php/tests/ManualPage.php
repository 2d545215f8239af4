<?php

declare(strict_types=1);

namespace Tokend\Tests;

/** What the blocks of a page of the manual need around them. Pages without a file in manual need nothing. */
class ManualPage
{
    /** The credential whose token WeChat refuses before the first block after the change runs again. */
    public ?string $refused = null;

    public static function of(string $page): self
    {
        $file = __DIR__ . '/manual/' . basename($page, '.md') . '.php';
        return is_file($file) ? require $file : new self();
    }

    /** Returns the code to run, which may be a part of a program. */
    public function code(string $code): string
    {
        return $code;
    }

    /**
     * Uses what a block has left, and checks that it works.
     *
     * @param array<string, mixed> $left the variables of the block, and its value as "returned"
     */
    public function check(array $left, Site $site): void
    {
    }
}
