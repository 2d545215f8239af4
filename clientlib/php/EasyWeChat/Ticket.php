<?php

declare(strict_types=1);

namespace Tokend\EasyWeChat;

use EasyWeChat\OpenPlatform\Contracts\VerifyTicket;
use EasyWeChat\OpenWork\Contracts\SuiteTicket;
use Tokend\Client;

/** A pushed ticket. EasyWeChat's server stores the tickets that it receives in tokend. */
final class Ticket implements SuiteTicket, VerifyTicket
{
    public function __construct(private Client $tokend, private string $name)
    {
    }

    public function getTicket(): string
    {
        return $this->tokend->get($this->name);
    }

    public function setTicket(string $ticket): static
    {
        $this->tokend->put($this->name, $ticket);
        return $this;
    }
}
