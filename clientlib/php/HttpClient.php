<?php

declare(strict_types=1);

namespace Tokend;

use Symfony\Component\HttpClient\AsyncDecoratorTrait;
use Symfony\Component\HttpClient\Response\AsyncContext;
use Symfony\Component\HttpClient\Response\AsyncResponse;
use Symfony\Contracts\HttpClient\ChunkInterface;
use Symfony\Contracts\HttpClient\Exception\TransportExceptionInterface;
use Symfony\Contracts\HttpClient\HttpClientInterface;
use Symfony\Contracts\HttpClient\ResponseInterface;
use Symfony\Contracts\Service\ResetInterface;

/**
 * An HTTP client that replaces a stale token. If WeChat refuses a token that the client of tokend has
 * handed out, the token is rejected and the request repeated once with the new one. All other
 * requests and responses pass unchanged.
 */
final class HttpClient implements HttpClientInterface, ResetInterface
{
    use AsyncDecoratorTrait;

    /** The errcodes that say that the token in a query parameter is stale: testdata/stale.json. */
    public const STALE = [
        'access_token' => [40001, 40014, 42001],
        'component_access_token' => [40001, 40014, 42001],
        'suite_access_token' => [40014, 40082, 42001, 42009],
        'provider_access_token' => [40014, 40082, 42001],
    ];

    private const MAX_BODY = 65536; // bytes; errors of WeChat are shorter

    public function __construct(private Client $tokend, HttpClientInterface $inner)
    {
        $this->client = $inner;
    }

    /** Returns the client of tokend. */
    public function tokend(): Client
    {
        return $this->tokend;
    }

    public function request(string $method, string $url, array $options = []): ResponseInterface
    {
        $token = $this->find($url, $options);
        if ($token === null) {
            return new AsyncResponse($this->client, $method, $url, $options);
        }
        // Until the body shows whether the token is stale, the response's beginning is held back.
        $first = null;
        $held = '';
        $release = static function (ChunkInterface $last, AsyncContext $context) use (&$first, &$held): \Generator {
            $context->passthru();
            if ($first !== null) {
                yield $first;
            }
            if ($held !== '') {
                yield $context->createChunk($held);
            }
            yield $last;
        };
        $filter = function (ChunkInterface $chunk, AsyncContext $context) use ($method, $url, $options, $token, &$first, &$held, $release): \Generator {
            try {
                if ($context->getInfo('canceled') || $chunk->isTimeout() || $chunk->getInformationalStatus() !== null) {
                    yield $chunk;
                    return;
                }
            } catch (TransportExceptionInterface) {
                yield from $release($chunk, $context);
                return;
            }
            if ($chunk->isFirst()) {
                if ($context->getStatusCode() !== 200 || (int) ($context->getHeaders()['content-length'][0] ?? 0) > self::MAX_BODY) {
                    yield from $release($chunk, $context);
                } else {
                    $first = $chunk;
                }
                return;
            }
            if (!$chunk->isLast()) {
                if (!self::mayBeError($held . $chunk->getContent())) {
                    yield from $release($chunk, $context);
                } else {
                    $held .= $chunk->getContent();
                }
                return;
            }
            $replacement = $this->replacement($token, $held);
            if ($replacement === null || !self::repeatable($options['body'] ?? '')) {
                yield from $release($chunk, $context);
                return;
            }
            $context->getResponse()->cancel();
            [$newURL, $newOptions] = self::replace($url, $options, $token, $replacement);
            $context->replaceRequest($method, $newURL, $newOptions);
            $context->passthru(); // once
        };
        return new AsyncResponse($this->client, $method, $url, $options, $filter);
    }

    /**
     * Returns the query parameter, the value and the name of the token in a request, if tokend has
     * handed it out.
     *
     * @return ?array{string, string, string}
     */
    private function find(string $url, array $options): ?array
    {
        foreach (array_keys(self::STALE) as $parameter) {
            // An option replaces the parameter in the URL.
            $value = $options['query'][$parameter] ?? self::inURL($url, $parameter);
            $name = is_string($value) ? $this->tokend->nameOf($value) : null;
            if ($name !== null) {
                return [$parameter, $value, $name];
            }
        }
        return null;
    }

    private static function inURL(string $url, string $parameter): ?string
    {
        return preg_match("~\\?(?:[^#]*&)?$parameter=([^&#]*)~", $url, $m) ? rawurldecode($m[1]) : null;
    }

    /** Reports whether $body may be the beginning of a short JSON object. */
    private static function mayBeError(string $body): bool
    {
        $start = strspn($body, " \t\r\n");
        return strlen($body) <= self::MAX_BODY && ($start === strlen($body) || $body[$start] === '{');
    }

    /**
     * Returns the value that replaces the token, or null if the response does not say that the token is
     * stale, or there is no other value. Then the caller gets WeChat's response.
     */
    private function replacement(array $token, string $body): ?string
    {
        [$parameter, $value, $name] = $token;
        $answer = json_decode($body, true);
        if (!is_array($answer) || !in_array($answer['errcode'] ?? 0, self::STALE[$parameter], true)) {
            return null;
        }
        try {
            $replacement = $this->tokend->reject($name, $value);
        } catch (Error) {
            return null;
        }
        return $replacement === $value ? null : $replacement;
    }

    /** Reports whether a body can be sent again. A stream or an iterator cannot. */
    private static function repeatable(mixed $body): bool
    {
        if (is_array($body)) {
            array_walk_recursive($body, static function ($field) use (&$used): void {
                $used = $used || is_resource($field) || $field instanceof \Traversable || $field instanceof \Closure;
            });
            return !$used;
        }
        return is_string($body);
    }

    /** Returns the URL and the options with the replacement in the place of the token. */
    private static function replace(string $url, array $options, array $token, string $replacement): array
    {
        [$parameter] = $token;
        if (isset($options['query'][$parameter])) {
            $options['query'][$parameter] = $replacement;
        } else {
            $url = preg_replace_callback(
                "~(\\?(?:[^#]*&)?$parameter=)[^&#]*~",
                static fn (array $m): string => $m[1] . rawurlencode($replacement),
                $url,
                1
            );
        }
        return [$url, $options];
    }
}
