<?php

declare(strict_types=1);

// The shapes of EasyWeChat 6 that Tokend\EasyWeChat uses. The applications are as simple as possible:
// they have setters, a configuration, and a client that adds the token to the query. With a secret, an
// application fetches for itself.

namespace EasyWeChat\Kernel\Contracts {
    interface AccessToken
    {
        public function getToken(): string;

        public function toQuery(): array;
    }

    interface RefreshableAccessToken extends AccessToken
    {
        public function refresh(): string;
    }

    interface JsApiTicket
    {
        public function getTicket(): string;

        public function configSignature(string $url, string $nonce, int $timestamp): array;
    }

    interface RefreshableJsApiTicket extends JsApiTicket
    {
        public function refreshTicket(): string;
    }
}

namespace EasyWeChat\Kernel {
    final class Config
    {
        public function __construct(private array $items)
        {
        }

        public function get(string $key, mixed $default = null): mixed
        {
            return $this->items[$key] ?? $default;
        }
    }

    /** Both the configuration and the account, whose getters read it. */
    final class Account
    {
        public function __construct(private Config $config)
        {
        }

        public function __call(string $getter, array $none): string
        {
            $key = strtolower((string) preg_replace('~(?<=[a-z])[A-Z]~', '_$0', substr($getter, 3)));
            return (string) $this->config->get($key);
        }
    }

    final class Client
    {
        public function __construct(private \Symfony\Contracts\HttpClient\HttpClientInterface $http, private Contracts\AccessToken $token)
        {
        }

        public function request(string $method, string $url, array $options = []): \Symfony\Contracts\HttpClient\ResponseInterface
        {
            $options['query'] = array_merge($options['query'] ?? [], $this->token->toQuery());
            return $this->http->request($method, $url, $options);
        }
    }

    abstract class Application
    {
        private Config $config;
        private ?Client $client = null;
        private ?\Symfony\Contracts\HttpClient\HttpClientInterface $http = null;
        private ?\Psr\SimpleCache\CacheInterface $cache = null;

        public function __construct(array $config)
        {
            $this->config = new Config($config);
        }

        public function getConfig(): Config
        {
            return $this->config;
        }

        public function getAccount(): Account
        {
            return new Account($this->config);
        }

        public function getHttpClient(): \Symfony\Contracts\HttpClient\HttpClientInterface
        {
            $http = $this->config->get('http', []) + ['base_uri' => getenv('WECHAT') ?: 'https://api.weixin.qq.com'];
            unset($http['retry']); // the shape does not retry
            return $this->http ??= \Symfony\Component\HttpClient\HttpClient::create($http);
        }

        public function setHttpClient(\Symfony\Contracts\HttpClient\HttpClientInterface $http): static
        {
            $this->http = $http;
            return $this;
        }

        public function getCache(): \Psr\SimpleCache\CacheInterface
        {
            return $this->cache ??= new \Symfony\Component\Cache\Psr16Cache(new \Symfony\Component\Cache\Adapter\ArrayAdapter());
        }

        public function setCache(\Psr\SimpleCache\CacheInterface $cache): static
        {
            $this->cache = $cache;
            return $this;
        }

        public function getClient(): Client
        {
            return $this->client ??= $this->createClient();
        }

        public function setClient(Client $client): static
        {
            $this->client = $client;
            return $this;
        }

        abstract public function createClient(): Client;
    }

    /** The token of an application without tokend. */
    final class OwnAccessToken implements Contracts\AccessToken
    {
        public function __construct(private Application $app)
        {
        }

        public function getToken(): string
        {
            $query = ['grant_type' => 'client_credential', 'appid' => $this->app->getConfig()->get('app_id'),
                'secret' => $this->app->getConfig()->get('secret') ?? throw new \LogicException('the application fetches its own token')];
            return $this->app->getHttpClient()->request('GET', '/cgi-bin/token', ['query' => $query])->toArray()['access_token'];
        }

        public function toQuery(): array
        {
            return ['access_token' => $this->getToken()];
        }
    }

    trait HasAccessToken
    {
        private ?Contracts\AccessToken $token = null;

        public function getAccessToken(): Contracts\AccessToken
        {
            return $this->token ??= new OwnAccessToken($this);
        }

        public function setAccessToken(Contracts\AccessToken $token): static
        {
            $this->token = $token;
            return $this;
        }

        public function createClient(): Client
        {
            return new Client($this->getHttpClient(), $this->getAccessToken());
        }
    }
}

namespace EasyWeChat\OfficialAccount {
    class Application extends \EasyWeChat\Kernel\Application
    {
        use \EasyWeChat\Kernel\HasAccessToken;

        private ?\EasyWeChat\Kernel\Contracts\JsApiTicket $ticket = null;

        public function getTicket(): \EasyWeChat\Kernel\Contracts\JsApiTicket
        {
            return $this->ticket;
        }

        public function setTicket(\EasyWeChat\Kernel\Contracts\JsApiTicket $ticket): static
        {
            $this->ticket = $ticket;
            return $this;
        }
    }
}

namespace EasyWeChat\MiniApp {
    class Application extends \EasyWeChat\Kernel\Application
    {
        use \EasyWeChat\Kernel\HasAccessToken;
    }
}

namespace EasyWeChat\Work {
    class JsApiTicket
    {
        public function __construct(protected string $corpId)
        {
            throw new \LogicException('creates a file cache');
        }

        public function getTicket(): string
        {
            throw new \LogicException('fetches');
        }

        public function getAgentTicket(int $agentId): string
        {
            throw new \LogicException('fetches');
        }

        public function createConfigSignature(string $url, string $nonce, int $timestamp): array
        {
            throw new \LogicException('fetches');
        }

        public function createAgentConfigSignature(int $agentId, string $url, string $nonce, int $timestamp): array
        {
            throw new \LogicException('fetches');
        }
    }

    class Application extends \EasyWeChat\Kernel\Application
    {
        use \EasyWeChat\Kernel\HasAccessToken;

        private ?JsApiTicket $ticket = null;

        public function getTicket(): JsApiTicket
        {
            return $this->ticket;
        }

        public function setTicket(JsApiTicket $ticket): static
        {
            $this->ticket = $ticket;
            return $this;
        }
    }
}

namespace EasyWeChat\OpenPlatform\Contracts {
    interface VerifyTicket
    {
        public function getTicket(): string;

        public function setTicket(string $ticket): static;
    }
}

namespace EasyWeChat\OpenPlatform {
    class AuthorizerAccessToken implements \EasyWeChat\Kernel\Contracts\AccessToken, \Stringable
    {
        public function __construct(protected string $appId, protected string $accessToken)
        {
        }

        public function getAppId(): string
        {
            return $this->appId;
        }

        public function getToken(): string
        {
            return $this->accessToken;
        }

        public function __toString()
        {
            return $this->accessToken;
        }

        public function toQuery(): array
        {
            return ['access_token' => $this->getToken()];
        }
    }

    class Application extends \EasyWeChat\Kernel\Application
    {
        private ?\EasyWeChat\Kernel\Contracts\AccessToken $token = null;
        private ?Contracts\VerifyTicket $ticket = null;

        public function getComponentAccessToken(): \EasyWeChat\Kernel\Contracts\AccessToken
        {
            return $this->token;
        }

        public function setComponentAccessToken(\EasyWeChat\Kernel\Contracts\AccessToken $token): static
        {
            $this->token = $token;
            return $this;
        }

        public function getVerifyTicket(): Contracts\VerifyTicket
        {
            return $this->ticket;
        }

        public function setVerifyTicket(Contracts\VerifyTicket $ticket): static
        {
            $this->ticket = $ticket;
            return $this;
        }

        public function createClient(): \EasyWeChat\Kernel\Client
        {
            return new \EasyWeChat\Kernel\Client($this->getHttpClient(), $this->token);
        }

        public function getOfficialAccount(AuthorizerAccessToken $token, array $config = []): \EasyWeChat\OfficialAccount\Application
        {
            $http = $this->getConfig()->get('http', []);
            return (new \EasyWeChat\OfficialAccount\Application(['app_id' => $token->getAppId(), 'http' => $http] + $config))->setAccessToken($token);
        }

        public function getMiniApp(AuthorizerAccessToken $token, array $config = []): \EasyWeChat\MiniApp\Application
        {
            $http = $this->getConfig()->get('http', []);
            return (new \EasyWeChat\MiniApp\Application(['app_id' => $token->getAppId(), 'http' => $http] + $config))->setAccessToken($token);
        }
    }
}
