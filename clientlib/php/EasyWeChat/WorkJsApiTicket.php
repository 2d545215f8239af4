<?php

declare(strict_types=1);

namespace Tokend\EasyWeChat;

use EasyWeChat\Work\JsApiTicket;
use Tokend\Client;

/**
 * The tickets of an app of a corp. tokend signs with its own nonce and timestamp, which replace those
 * of the caller.
 */
final class WorkJsApiTicket extends JsApiTicket
{
    /** @param string $owner work/<corpid>/<agentid> */
    public function __construct(private Client $tokend, private string $owner)
    {
        $this->corpId = basename(dirname($owner)); // the parent's constructor creates a file cache
    }

    public function getTicket(): string
    {
        return $this->tokend->get("$this->owner/jsapi_ticket");
    }

    public function getAgentTicket(int $agentId): string
    {
        return $this->tokend->get($this->agentTicket($agentId));
    }

    /** @return array{appId: string, nonceStr: string, timestamp: int, url: string, signature: string} */
    public function createConfigSignature(string $url, string $nonce, int $timestamp): array
    {
        $signed = $this->tokend->sign("$this->owner/jsapi_ticket", $url);
        return [
            'appId' => $this->corpId,
            'nonceStr' => $signed['nonce'],
            'timestamp' => $signed['timestamp'],
            'url' => $url,
            'signature' => $signed['signature'],
        ];
    }

    /** @return array{corpid: string, agentid: int, nonceStr: string, timestamp: int, url: string, signature: string} */
    public function createAgentConfigSignature(int $agentId, string $url, string $nonce, int $timestamp): array
    {
        $signed = $this->tokend->sign($this->agentTicket($agentId), $url);
        return [
            'corpid' => $this->corpId,
            'agentid' => $agentId,
            'nonceStr' => $signed['nonce'],
            'timestamp' => $signed['timestamp'],
            'url' => $url,
            'signature' => $signed['signature'],
        ];
    }

    private function agentTicket(int $agentId): string
    {
        return "work/$this->corpId/$agentId/agent_config_ticket";
    }
}
