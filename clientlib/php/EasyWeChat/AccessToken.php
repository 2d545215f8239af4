<?php

declare(strict_types=1);

namespace Tokend\EasyWeChat;

use EasyWeChat\Kernel\Contracts\RefreshableAccessToken;
use Tokend\Client;

/** An access token of any kind, from tokend. */
class AccessToken implements RefreshableAccessToken, \Stringable
{
    private Credential $credential;
    private string $parameter;

    public function __construct(Client $tokend, string $name)
    {
        $this->credential = new Credential($tokend, $name);
        $word = substr((string) strrchr($name, '/'), 1);
        $known = ['provider_access_token', 'suite_access_token', 'component_access_token'];
        $this->parameter = in_array($word, $known, true) ? $word : 'access_token';
    }

    public function getToken(): string
    {
        return $this->credential->get();
    }

    /** @return array<string, string> */
    public function toQuery(): array
    {
        return [$this->parameter => $this->getToken()];
    }

    /** Rejects the token that was returned last: WeChat refused it. */
    public function refresh(): string
    {
        return $this->credential->refresh();
    }

    public function __toString(): string
    {
        return $this->getToken();
    }
}
