<?php

declare(strict_types=1);

namespace Tokend\EasyWeChat;

use EasyWeChat\Kernel\Contracts\RefreshableJsApiTicket;
use Tokend\Client;

/** The jsapi_ticket of an official account. tokend signs, so the ticket stays in tokend. */
final class JsApiTicket implements RefreshableJsApiTicket
{
    private Credential $credential;

    public function __construct(private Client $tokend, private string $name)
    {
        $this->credential = new Credential($tokend, $name);
    }

    public function getTicket(): string
    {
        return $this->credential->get();
    }

    /** Rejects the ticket that was returned last: WeChat refused it. */
    public function refreshTicket(): string
    {
        return $this->credential->refresh();
    }

    /**
     * Returns the signature of a page with tokend's own nonce and timestamp, which replace those of
     * the caller.
     *
     * @return array{url: string, nonceStr: string, timestamp: int, appId: string, signature: string}
     */
    public function configSignature(string $url, string $nonce, int $timestamp): array
    {
        $signed = $this->tokend->sign($this->name, $url);
        return [
            'url' => $url,
            'nonceStr' => $signed['nonce'],
            'timestamp' => $signed['timestamp'],
            'appId' => basename(dirname($this->name)),
            'signature' => $signed['signature'],
        ];
    }
}
