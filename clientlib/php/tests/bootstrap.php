<?php

declare(strict_types=1);

// The tests of the PHP client. They use the classes as composer would load them, Debian's Symfony and
// PSR packages, and the shapes of EasyWeChat and Laravel in tests/shapes.

error_reporting(E_ALL);
ini_set('zend.exception_ignore_args', '0'); // stack traces with all arguments, as without a php.ini

foreach (['Symfony/Component/HttpClient', 'Symfony/Component/Cache', 'Psr/SimpleCache'] as $package) {
    require_once "/usr/share/php/$package/autoload.php";
}

spl_autoload_register(static function (string $class): void {
    $root = dirname(__DIR__);
    static $composer = null;
    $composer ??= json_decode((string) file_get_contents("$root/composer.json"), true)['autoload'];
    foreach ($composer['psr-4'] as $prefix => $directory) {
        $file = $root . '/' . $directory . str_replace('\\', '/', substr($class, strlen($prefix))) . '.php';
        if (str_starts_with($class, $prefix) && is_file($file)) {
            require $file;
            return;
        }
    }
    if (str_starts_with($class, 'Tokend\\')) {
        foreach ($composer['classmap'] as $file) {
            if (preg_match('~^(?:final )?class ' . substr($class, 7) . '\b~m', (string) file_get_contents("$root/$file"))) {
                require_once "$root/$file";
            }
        }
    }
});

foreach (
    ['EasyWeChat\\Work\\Application' => 'easywechat', 'EasyWeChat\\OpenWork\\Application' => 'openwork',
        'Illuminate\\Support\\ServiceProvider' => 'laravel'] as $class => $shapes
) {
    if (!class_exists($class)) { // unless a developer tests with the real packages
        require_once __DIR__ . "/shapes/$shapes.php";
    }
}
require_once __DIR__ . '/Site.php';
require_once __DIR__ . '/Fake.php';
require_once __DIR__ . '/ManualPage.php';
require_once __DIR__ . '/Program.php';
