<?php

// Forwards an encrypted callback of WeChat to tokend, which verifies and decrypts it. The address of
// this page belongs into the console of the platform. Pass open_work/<suite_id> for a suite.

require __DIR__ . '/../Tokend.php';

try {
    preg_match('~<Encrypt>\s*(?:<!\[CDATA\[)?([A-Za-z0-9+/=]+)~', (string) file_get_contents('php://input', false, null, 0, 65536), $encrypt);
    $field = static fn (string $key): string => is_string($_GET[$key] ?? null) ? $_GET[$key] : '';
    (new Tokend\Client())->push('open_platform/wxaaaabbbbccccdddd', $field('msg_signature'), $field('timestamp'), $field('nonce'), $encrypt[1] ?? '');
    echo 'success'; // and nothing else: WeChat repeats a push that gets another answer
} catch (Throwable $e) {
    http_response_code($e instanceof InvalidArgumentException ? 400 : 503);
    error_log($e->getMessage()); // contains no secret
}
