<?php

declare(strict_types=1);

namespace Tokend\EasyWeChat;

use EasyWeChat\MiniApp\Application as MiniApp;
use EasyWeChat\OfficialAccount\Application as OfficialAccount;
use EasyWeChat\OpenPlatform\Application as OpenPlatform;
use EasyWeChat\OpenWork\Application as OpenWork;
use EasyWeChat\Work\Application as Work;
use Tokend\Cache;
use Tokend\Client;
use Tokend\HttpClient;

/** Makes an application of EasyWeChat 6 use tokend: one line after its creation. */
final class Plug
{
    /**
     * Makes $app use tokend and returns $app. Its configuration needs no secret.
     *
     * @template T of object
     * @param T $app
     * @param Client|null $client without one, a new client
     * @param string|null $owner open_platform/<component_appid> for the app of a customer; or
     *     work/<corpid>/<agentid> instead of agent_id in the configuration
     * @return T
     */
    public static function into(object $app, ?Client $client = null, ?string $owner = null): object
    {
        $client ??= new Client();
        $expected = $app instanceof Work ? 'work/<corpid>/<agentid>' : 'open_platform/<component_appid>';
        if ($owner !== null && !preg_match('~^' . preg_replace('~<\w+>~', '[^/]+', $expected) . '\z~', $owner)) {
            throw new \InvalidArgumentException("tokend: the owner for this application is $expected");
        }
        if ($app instanceof OfficialAccount) {
            $account = ($owner ?? 'official_account') . '/' . self::id($app->getAccount()->getAppId(), 'app_id');
            $app->setAccessToken(new AccessToken($client, "$account/access_token"));
            $app->setTicket(new JsApiTicket($client, "$account/jsapi_ticket"));
        } elseif ($app instanceof MiniApp) {
            $account = ($owner ?? 'mini_program') . '/' . self::id($app->getAccount()->getAppId(), 'app_id');
            $app->setAccessToken(new AccessToken($client, "$account/access_token"));
        } elseif ($app instanceof Work) {
            $owner ??= 'work/' . self::id($app->getAccount()->getCorpId(), 'corp_id')
                . '/' . self::id($app->getConfig()->get('agent_id'), 'agent_id');
            $app->setAccessToken(new AccessToken($client, "$owner/access_token"));
            $app->setTicket(new WorkJsApiTicket($client, $owner));
        } elseif ($app instanceof OpenPlatform) {
            $owner = 'open_platform/' . self::id($app->getAccount()->getAppId(), 'app_id');
            $app->setComponentAccessToken(new AccessToken($client, "$owner/component_access_token"));
            $app->setVerifyTicket(new Ticket($client, "$owner/component_verify_ticket"));
        } elseif ($app instanceof OpenWork) {
            $owner = self::openWork($app, $client);
        } else {
            throw new \InvalidArgumentException('tokend: ' . get_class($app) . ' has no credential that tokend serves');
        }
        if (!$app->getHttpClient() instanceof HttpClient) { // plugged in before
            $app->setHttpClient(new HttpClient($client, $app->getHttpClient()));
        }
        if (!$app->getCache() instanceof Cache) {
            $app->setCache(new Cache($client, $app->getCache(), $owner));
        }
        if (method_exists($app, 'setClient')) { // the application may have created it with the old token
            $app->setClient($app->createClient());
        }
        return $app;
    }

    /**
     * Returns the official account of a platform's customer, with tokend.
     *
     * @param OpenPlatform $platform on which into() was called
     * @param array<string, mixed> $config as of getOfficialAccount
     */
    public static function customer(object $platform, string $appId, array $config = []): OfficialAccount
    {
        [$client, $component, $token] = self::authorizer($platform, $appId);
        return self::into($platform->getOfficialAccount($token, $config), $client, "open_platform/$component");
    }

    /**
     * Returns the mini program of a platform's customer, with tokend.
     *
     * @param OpenPlatform $platform on which into() was called
     * @param array<string, mixed> $config as of getMiniApp
     */
    public static function miniCustomer(object $platform, string $appId, array $config = []): MiniApp
    {
        [$client, $component, $token] = self::authorizer($platform, $appId);
        return self::into($platform->getMiniApp($token, $config), $client, "open_platform/$component");
    }

    /** @return array{Client, string, AuthorizerAccessToken} */
    private static function authorizer(object $platform, string $appId): array
    {
        $http = $platform->getHttpClient();
        $client = $http instanceof HttpClient ? $http->tokend() : new Client();
        $component = self::id($platform->getAccount()->getAppId(), 'app_id');
        return [$client, $component, new AuthorizerAccessToken($client, $component, self::id($appId, 'app_id'))];
    }

    /** Plugs in a provider, a suite or both. Returns the owner of the suite's customers, if any. */
    private static function openWork(object $app, Client $client): ?string
    {
        $provider = $app->getAccount()->getCorpId();
        if ($provider !== '') {
            $app->setProviderAccessToken(new AccessToken($client, 'open_work/' . self::id($provider, 'corp_id') . '/provider_access_token'));
        }
        $suite = $app->getAccount()->getSuiteId();
        if ($suite === '') {
            return null;
        }
        $owner = 'open_work/' . self::id($suite, 'suite_id');
        $app->setSuiteAccessToken(new AccessToken($client, "$owner/suite_access_token"));
        $app->setSuiteTicket(new Ticket($client, "$owner/suite_ticket"));
        return $owner;
    }

    /** Returns an id of the configuration. */
    private static function id(mixed $id, string $key): string
    {
        if (!is_scalar($id) || !preg_match('~^[A-Za-z0-9._@-]{1,64}\z~', (string) $id)) {
            throw new \InvalidArgumentException("tokend: $key is missing in the configuration of the application, or malformed");
        }
        return (string) $id;
    }
}
