<?php

declare(strict_types=1);

namespace Tokend\EasyWeChat;

use EasyWeChat\Kernel\Contracts\RefreshableAccessToken;
use EasyWeChat\OpenPlatform\AuthorizerAccessToken as Authorizer;
use Tokend\Client;

/**
 * The access token of a customer of a platform, for getOfficialAccount and getMiniApp. EasyWeChat's
 * own class holds one token forever; this one asks tokend for each request.
 */
final class AuthorizerAccessToken extends Authorizer implements RefreshableAccessToken
{
    private Credential $credential;

    public function __construct(Client $tokend, string $component, string $appId)
    {
        parent::__construct($appId, '');
        $this->credential = new Credential($tokend, "open_platform/$component/$appId/access_token");
    }

    public function getToken(): string
    {
        return $this->credential->get();
    }

    /** @return array<string, string> */
    public function toQuery(): array
    {
        return ['access_token' => $this->getToken()];
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
