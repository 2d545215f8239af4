<?php

declare(strict_types=1);

// The shapes of EasyWeChat's OpenWork. An application without tokend fetches its tokens with its secrets
// and keeps them in its cache.

namespace EasyWeChat\OpenWork\Contracts {
    interface SuiteTicket
    {
        public function getTicket(): string;

        public function setTicket(string $ticket): static;
    }
}

namespace EasyWeChat\OpenWork {
    /** A token without tokend: in the cache, or else fetched. */
    abstract class OwnAccessToken implements \EasyWeChat\Kernel\Contracts\AccessToken
    {
        protected const FIELD = '';

        public function __construct(protected Application $app)
        {
        }

        public function getToken(): string
        {
            $cache = $this->app->getCache();
            $token = $cache->get($this->getKey());
            if ($token !== null) {
                return $token;
            }
            $answer = $this->fetch();
            $cache->set($this->getKey(), $answer[static::FIELD], $answer['expires_in']);
            return $answer[static::FIELD];
        }

        public function toQuery(): array
        {
            return [static::FIELD => $this->getToken()];
        }

        protected function post(string $path, array $body, array $query = []): array
        {
            if (in_array('', $body, true)) {
                throw new \LogicException('fetches without a secret');
            }
            return $this->app->getHttpClient()->request('POST', "/cgi-bin/service/$path", ['json' => $body, 'query' => $query])->toArray();
        }

        abstract protected function getKey(): string;

        abstract protected function fetch(): array;
    }

    final class ProviderAccessToken extends OwnAccessToken
    {
        protected const FIELD = 'provider_access_token';

        protected function getKey(): string
        {
            return 'open_work.access_token.' . $this->app->getAccount()->getCorpId();
        }

        protected function fetch(): array
        {
            $account = $this->app->getAccount();
            return $this->post('get_provider_token', ['corpid' => $account->getCorpId(), 'provider_secret' => $account->getProviderSecret()]);
        }
    }

    final class SuiteAccessToken extends OwnAccessToken
    {
        protected const FIELD = 'suite_access_token';

        protected function getKey(): string
        {
            return 'open_work.suite_access_token.' . $this->app->getAccount()->getSuiteId();
        }

        protected function fetch(): array
        {
            $account = $this->app->getAccount();
            return $this->post('get_suite_token', ['suite_id' => $account->getSuiteId(), 'suite_secret' => $account->getSuiteSecret(),
                'suite_ticket' => $this->app->getSuiteTicket()->getTicket()]);
        }
    }

    final class AuthorizerAccessToken extends OwnAccessToken
    {
        protected const FIELD = 'access_token';

        public function __construct(Application $app, private string $corpId, private string $permanentCode)
        {
            parent::__construct($app);
        }

        protected function getKey(): string
        {
            return "open_work.authorizer.access_token.$this->corpId.$this->permanentCode";
        }

        protected function fetch(): array
        {
            $body = ['auth_corpid' => $this->corpId, 'permanent_code' => $this->permanentCode];
            return $this->post('get_corp_token', $body, $this->app->getSuiteAccessToken()->toQuery());
        }
    }

    final class SuiteTicket implements Contracts\SuiteTicket
    {
        public function __construct(private Application $app)
        {
        }

        public function getTicket(): string
        {
            return $this->app->getCache()->get($this->getKey()) ?? throw new \RuntimeException('No suite_ticket found.');
        }

        public function setTicket(string $ticket): static
        {
            $this->app->getCache()->set($this->getKey(), $ticket, 6000);
            return $this;
        }

        private function getKey(): string
        {
            return 'open_work.suite_ticket.' . $this->app->getAccount()->getSuiteId();
        }
    }

    class Application extends \EasyWeChat\Kernel\Application
    {
        private ?\EasyWeChat\Kernel\Contracts\AccessToken $provider = null;
        private ?\EasyWeChat\Kernel\Contracts\AccessToken $suite = null;
        private ?Contracts\SuiteTicket $ticket = null;

        public function getProviderAccessToken(): \EasyWeChat\Kernel\Contracts\AccessToken
        {
            return $this->provider ??= new ProviderAccessToken($this);
        }

        public function setProviderAccessToken(\EasyWeChat\Kernel\Contracts\AccessToken $token): static
        {
            $this->provider = $token;
            return $this;
        }

        public function getSuiteAccessToken(): \EasyWeChat\Kernel\Contracts\AccessToken
        {
            return $this->suite ??= new SuiteAccessToken($this);
        }

        public function setSuiteAccessToken(\EasyWeChat\Kernel\Contracts\AccessToken $token): static
        {
            $this->suite = $token;
            return $this;
        }

        public function getSuiteTicket(): Contracts\SuiteTicket
        {
            return $this->ticket ??= new SuiteTicket($this);
        }

        public function setSuiteTicket(Contracts\SuiteTicket $ticket): Contracts\SuiteTicket
        {
            return $this->ticket = $ticket;
        }

        public function createClient(): \EasyWeChat\Kernel\Client
        {
            return new \EasyWeChat\Kernel\Client($this->getHttpClient(), $this->getProviderAccessToken());
        }

        public function getAuthorizerAccessToken(string $corpId, string $permanentCode): AuthorizerAccessToken
        {
            return new AuthorizerAccessToken($this, $corpId, $permanentCode);
        }

        public function getAuthorizerClient(string $corpId, string $permanentCode): \EasyWeChat\Kernel\Client
        {
            return new \EasyWeChat\Kernel\Client($this->getHttpClient(), $this->getAuthorizerAccessToken($corpId, $permanentCode));
        }
    }
}
