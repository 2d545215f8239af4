<?php

declare(strict_types=1);

namespace Tokend\Tests;

use PHPUnit\Framework\TestCase;

/** The shipped files use nothing that is newer than PHP 8.0, and no persistent connection. */
final class SyntaxTest extends TestCase
{
    /** What is newer, as a pattern of the tokens of a file: names as in the file, "v" for a variable. */
    private const NEWER = [
        'readonly' => '~ readonly ~',
        'enum' => '~ enum [A-Za-z_]+ (?:: [a-z]+ |implements [A-Za-z_\\\\, ]+)?\{ ~',
        'first-class callable' => '~ \( \.\.\. \) ~',
        'new in an initializer' => '~ function (?:& )?(?:[A-Za-z_]+ )?\( (?:(?!\) [:{;=]).)*= new ~',
        'never' => '~ \) : never ~',
        'null, true or false as a type' => '~ (?:function|fn) (?:(?!=>)[^{};])*\) : \??(?:null|true|false) (?:[{;]|=>)~i',
        'an intersection type' => '~ [A-Za-z_\\\\]+ & [A-Za-z_\\\\]+ (?:v|\.\.\.) ~',
        'a union in parentheses' => '~\( [A-Za-z_\\\\]+ & ~',
        'a final constant' => '~ final (?:public |protected |private )?const ~',
        'a typed constant' => '~ const \??[A-Za-z_\\\\]+ [A-Za-z_]+ = ~',
        'an octal number' => '~ 0[oO][0-7_]+ ~',
        'a hook' => '~ v \{ (?:& )?(?:get|set) [{=(]~',
        'a newer function' => '~ (?<!-> )(?<!:: )(?<!function )(?:array_is_list|array_find|array_any|array_all|array_first|array_last|fsync|fdatasync|json_validate'
            . '|enum_exists|ini_parse_quantity|memory_reset_peak_usage|str_increment|mb_str_pad|mb_trim|mb_str_split_|grapheme_str_split) \( ~',
        'a newer class' => '~ \\\\?(?:Fiber|SensitiveParameterValue|Random\\\\[A-Za-z]+|Override) (?:\(|::)~',
        'a persistent connection' => '~ (?:pfsockopen|STREAM_CLIENT_PERSISTENT) ~',
    ];

    /** @dataProvider files */
    public function testFile(string $file): void
    {
        self::assertNull(self::newer((string) file_get_contents($file)), $file);
    }

    public function files(): iterable
    {
        $root = dirname(__DIR__);
        foreach (['', 'EasyWeChat/', 'Laravel/', 'examples/'] as $directory) {
            $files = glob("$root/$directory*.php");
            self::assertNotSame([], $files);
            foreach ($files as $file) {
                yield substr($file, strlen($root) + 1) => [$file];
            }
        }
    }

    /** @dataProvider examples */
    public function testFound(string $newer, string $code): void
    {
        self::assertSame($newer, self::newer("<?php $code"));
    }

    public function examples(): iterable
    {
        yield ['readonly', 'class A { public function __construct(private readonly int $a) {} }'];
        yield ['readonly', 'final readonly class A {}'];
        yield ['enum', 'enum Kind: string { case A = "a"; }'];
        yield ['enum', 'enum Kind { }'];
        yield ['first-class callable', '$f = strlen(...);'];
        yield ['first-class callable', '$f = $this->name(...);'];
        yield ['new in an initializer', 'function f(array $a = [], ?A $b = new A()) {}'];
        yield ['never', 'function f(): never {}'];
        yield ['null, true or false as a type', 'function f(): true {}'];
        yield ['an intersection type', 'function f(A&B $a) {}'];
        yield ['a final constant', 'class A { final public const B = 1; }'];
        yield ['a typed constant', 'class A { private const string B = "b"; }'];
        yield ['an octal number', '$a = 0o17;'];
        yield ['a newer function', '$a = array_is_list($b);'];
        yield ['a newer function', '$a = \json_validate($b);'];
        yield ['a newer class', '$a = new Fiber($b);'];
        yield ['a newer class', '$a = new \Fiber($b);'];
        yield ['a hook', 'class A { public int $a { get => 1; } }'];
        yield ['a persistent connection', '$a = pfsockopen("unix:///s", -1);'];
    }

    public function testComposer(): void
    {
        $root = dirname(__DIR__);
        $composer = json_decode((string) file_get_contents("$root/composer.json"), true, 512, JSON_THROW_ON_ERROR);
        self::assertSame(['php' => '>=8.0'], $composer['require']);
        foreach ($composer['autoload']['classmap'] as $file) {
            self::assertFileExists("$root/$file");
        }
        foreach ($composer['autoload']['psr-4'] as $prefix => $directory) {
            foreach (glob("$root/$directory*.php") as $file) {
                self::assertTrue(class_exists($prefix . basename($file, '.php')), $file);
            }
        }
    }

    /** Returns what is newer than PHP 8.0 in a file, if anything. */
    private static function newer(string $code): ?string
    {
        $words = ' ';
        foreach (token_get_all($code) as $token) {
            [$id, $text] = is_array($token) ? $token : [null, $token];
            if (!in_array($id, [T_WHITESPACE, T_COMMENT, T_DOC_COMMENT, T_OPEN_TAG, T_CONSTANT_ENCAPSED_STRING, T_ENCAPSED_AND_WHITESPACE], true)) {
                $words .= ($id === T_VARIABLE ? 'v' : ($id === T_NAME_FULLY_QUALIFIED && substr_count($text, '\\') === 1 ? substr($text, 1) : $text)) . ' ';
            }
        }
        foreach (self::NEWER as $newer => $pattern) {
            if (preg_match($pattern, $words)) {
                return $newer;
            }
        }
        return null;
    }
}
