<?php

declare(strict_types=1);

namespace Tokend\Laravel;

use Illuminate\Support\ServiceProvider as LaravelServiceProvider;
use Tokend\Client;
use Tokend\EasyWeChat\Plug;

/**
 * Makes the accounts of overtrue/laravel-wechat use tokend that have 'tokend' => true in
 * config/easywechat.php. The socket is services.tokend.socket, or $TOKEND_SOCKET.
 */
final class ServiceProvider extends LaravelServiceProvider
{
    private const FAMILIES = ['official_account', 'mini_app', 'work', 'open_platform', 'open_work'];

    public function register(): void
    {
        $this->app->singleton(Client::class, static fn ($app): Client => new Client($app['config']->get('services.tokend.socket')));
        $config = (array) $this->app['config']->get('easywechat', []);
        foreach (self::FAMILIES as $family) {
            $accounts = (array) ($config[$family] ?? []);
            if (!empty($accounts['app_id']) || !empty($accounts['corp_id'])) { // one account, without a name
                $accounts = ['default' => $accounts];
            }
            foreach ($accounts as $account => $settings) {
                $settings = array_merge((array) ($config['defaults'] ?? []), (array) $settings);
                if (filter_var($settings['tokend'] ?? false, FILTER_VALIDATE_BOOLEAN)) {
                    $this->app->extend("easywechat.$family.$account", static fn ($wechat, $app) =>
                        Plug::into($wechat, $app->make(Client::class)));
                }
            }
        }
    }
}
