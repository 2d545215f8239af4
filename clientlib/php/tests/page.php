<?php

declare(strict_types=1);

// A web page that calls an API of WeChat: page.php?name=NAME&parameter=PARAMETER

require '/usr/share/php/Symfony/Component/HttpClient/autoload.php';
require __DIR__ . '/Tokend.php';
require __DIR__ . '/HttpClient.php';

try {
    $tokend = new Tokend\Client(getenv('TOKEND_SOCKET'));
    $http = new Tokend\HttpClient($tokend, Symfony\Component\HttpClient\HttpClient::create());
    $query = [$_GET['parameter'] => $tokend->get($_GET['name'])];
    echo $http->request('GET', getenv('SANDBOX') . '/sandbox/echo', ['query' => $query])->getContent();
} catch (Tokend\Error $e) { // the answers of the table in docs/php.md
    http_response_code($e->retryAfter() === null ? 500 : 503);
    if ($e->retryAfter() !== null) {
        header('Retry-After: ' . $e->retryAfter());
    }
    error_log($e->getMessage());
    echo $e->kind();
}
