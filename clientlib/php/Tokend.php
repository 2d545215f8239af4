<?php

/**
 * The client of tokend for PHP 8.0 and later. This file needs no other file and no package:
 *
 *     $tokend = new Tokend\Client();
 *     $token = $tokend->get('official_account/wx0123456789abcdef/access_token');
 *
 * Every method either returns a value or throws:
 *
 *     InvalidArgumentException  a field is malformed, and nothing was sent
 *     Tokend\NoDaemon           nothing listens at the socket
 *     Tokend\Timeout            no complete reply in time
 *     Tokend\BadReply           the reply does not follow the protocol
 *     Tokend\Error              an ERR reply of the daemon; the three above are subclasses
 *
 * No exception contains a value, neither in its message nor in its stack trace.
 */

declare(strict_types=1);

namespace Tokend;

/** An error. The daemon's text is in the message. */
class Error extends \RuntimeException
{
    public function __construct(
        string $message,
        private string $kind,
        private ?int $retryAfter = null,
        ?\Throwable $previous = null
    ) {
        parent::__construct($message, 0, $previous);
        self::withoutArguments($this);
    }

    /**
     * The code of an ERR reply, such as NOT_FOUND or WAITING; or NO_DAEMON, TIMEOUT, BAD_REPLY. A code
     * that this version does not know becomes INTERNAL, or UNAVAILABLE if a retry may succeed.
     */
    final public function kind(): string
    {
        return $this->kind;
    }

    /** The seconds after which a retry may succeed; null if a person must act first. */
    final public function retryAfter(): ?int
    {
        return $this->retryAfter;
    }

    /**
     * Removes the arguments of calls, which may be values, from the stack trace.
     *
     * @internal
     */
    final public static function withoutArguments(\Throwable $e): \Throwable
    {
        for ($each = $e; $each !== null; $each = $each->getPrevious()) {
            $trace = new \ReflectionProperty($each instanceof \Exception ? \Exception::class : \Error::class, 'trace');
            if (PHP_VERSION_ID < 80100) {
                $trace->setAccessible(true); // later versions do not need it
            }
            $trace->setValue($each, array_map(static function (array $frame): array {
                unset($frame['args']);
                return $frame;
            }, $each->getTrace()));
        }
        return $e;
    }
}

/** Nothing listens at the socket. The message has the path and what to do. */
class NoDaemon extends Error
{
    public function __construct(string $message)
    {
        parent::__construct($message, 'NO_DAEMON');
    }
}

/** No complete reply arrived in time. */
class Timeout extends Error
{
    public function __construct(string $message)
    {
        parent::__construct($message, 'TIMEOUT', 1);
    }
}

/** The reply is malformed or incomplete, or there was none. */
class BadReply extends Error
{
    public function __construct(string $message)
    {
        parent::__construct($message, 'BAD_REPLY');
    }
}

/** A function passed to Client::use throws this exception if WeChat refused the value. */
class Stale extends \Exception
{
}

/** A client. It connects on first use. Only one request at a time uses a connection. */
final class Client
{
    private const SOCKET = '/run/tokend/tokend.sock';
    private const MAX_PATH = 107; // bytes; PHP cuts a longer path
    private const MAX_IDLE = 8;
    private const MAX_VALUE = 32768;
    private const MAX_MESSAGE = 512;

    private const SEGMENT = '[A-Za-z0-9._@-]{1,64}';
    private const NAME = '~^' . self::SEGMENT . '(?:/' . self::SEGMENT . '){2,4}\z~';
    private const OWNER = '~^' . self::SEGMENT . '/' . self::SEGMENT . '\z~';
    private const PRINTABLE = '~^[\x21-\x7e]+\z~';

    private const CODES = ['BAD_REQUEST', 'NOT_FOUND', 'DENIED', 'WAITING', 'UPSTREAM', 'UNAVAILABLE', 'LIMITED',
        'REAUTH', 'BUSY', 'SHUTDOWN', 'INTERNAL'];

    private string $socket;
    private Memory $memory;

    /** @var Connection[] the most recently used one is last */
    private array $idle = [];

    private int $process = 0; // that opened the idle connections

    /**
     * @param string|null $socket path; without one, $TOKEND_SOCKET or /run/tokend/tokend.sock
     * @param float $connectTimeout seconds
     * @param float $timeout seconds for a request. The daemon replies within 30 s, with the reason.
     */
    public function __construct(
        ?string $socket = null,
        private float $connectTimeout = 1.0,
        private float $timeout = 35.0
    ) {
        $this->socket = ($socket ?? '') !== '' ? $socket : (getenv('TOKEND_SOCKET') ?: self::SOCKET);
        if (strlen($this->socket) > self::MAX_PATH || preg_match('/[[:cntrl:]]/', $this->socket)) {
            throw new \InvalidArgumentException('tokend: the path of a socket has at most ' . self::MAX_PATH
                . ' bytes and no control character');
        }
        if (!($connectTimeout > 0 && $timeout > 0 && $connectTimeout < 1e6 && $timeout < 1e6)) {
            throw new \InvalidArgumentException('tokend: a timeout is a positive number of seconds');
        }
        $this->memory = new Memory();
    }

    public function __clone()
    {
        $this->idle = [];
    }

    public function __serialize(): array
    {
        throw new \LogicException('tokend: a client cannot be serialized; create one in each process');
    }

    /** Returns a valid value. Waits for WeChat only if the daemon has none. */
    public function get(string $name): string
    {
        return $this->value('GET', self::name($name));
    }

    /**
     * Reports that WeChat refused a value and returns the value to use instead. If it is the same one,
     * WeChat has just confirmed it.
     */
    public function reject(string $name, string $value): string
    {
        return $this->value('REJECT', self::name($name), self::printable('value', $value));
    }

    /** Fetches a new value in any case, which spends quota. For operators; never repeated. */
    public function refresh(string $name): string
    {
        return $this->value('REFRESH', self::name($name));
    }

    /**
     * Calls $f with a value and returns its result. If $f throws Stale, use rejects the value and calls
     * $f again, once. If the rejection fails, the caller gets the exception of $f.
     *
     * @param callable(string): mixed $f
     */
    public function use(string $name, callable $f): mixed
    {
        $value = $this->get($name);
        try {
            try {
                return $f($value);
            } catch (Stale $stale) {
                try {
                    $value = $this->reject($name, $value);
                } catch (Error) {
                    throw $stale;
                }
            }
            return $f($value);
        } catch (\Throwable $e) {
            throw Error::withoutArguments($e);
        }
    }

    /**
     * Returns the JS-SDK signature of a page, made with a jsapi_ticket or agent_config_ticket.
     *
     * @return array{timestamp: int, nonce: string, signature: string}
     */
    public function sign(string $name, string $url): array
    {
        self::check('URL', $url, '~^[^\x00-\x20\x7f]+\z~u', self::MAX_VALUE);
        $parse = static fn (string $fields): ?array =>
            preg_match('~^(\d{1,18}) ([\x21-\x7e]{1,64}) ([\x21-\x7e]{1,64})\z~', $fields, $m)
                ? ['timestamp' => (int) $m[1], 'nonce' => $m[2], 'signature' => $m[3]] : null;
        return $this->ask($parse, 'SIGN', self::name($name), $url);
    }

    /** Stores a pushed ticket or a grant. It is durable when put returns. */
    public function put(string $name, string $value): void
    {
        $this->ask([self::class, 'none'], 'PUT', self::name($name), self::printable('value', $value));
    }

    /**
     * Forwards an encrypted callback for an owner, such as open_platform/<component_appid>. A web page
     * answers "success" only after push returns.
     */
    public function push(string $owner, string $msgSignature, string $timestamp, string $nonce, string $encrypt): void
    {
        self::check('owner', $owner, self::OWNER, 255);
        self::check('msg_signature', $msgSignature, '~^[0-9A-Fa-f]{40}\z~', 40);
        self::check('timestamp', $timestamp, '~^[0-9]+\z~', 20);
        self::check('nonce', $nonce, self::PRINTABLE, 128);
        self::check('encrypt', $encrypt, '~^[A-Za-z0-9+/=]+\z~', 61440);
        $this->ask([self::class, 'none'], 'PUSH', $owner, $msgSignature, $timestamp, $nonce, $encrypt);
    }

    /** Exchanges an authorization code, stores the grant and returns owner/child. Never repeated. */
    public function exchange(string $owner, string $code): string
    {
        self::check('owner', $owner, self::OWNER, 255);
        $parse = static fn (string $fields): ?string =>
            preg_match('~^' . self::SEGMENT . '(?:/' . self::SEGMENT . '){2}\z~', $fields) ? $fields : null;
        return $this->ask($parse, 'EXCHANGE', $owner, self::printable('code', $code));
    }

    /**
     * Lists the credentials whose names begin with $prefix.
     *
     * @return array<array{name: string, state: string, ttl: ?int}>
     */
    public function list(string $prefix = ''): array
    {
        if ($prefix !== '') {
            self::check('prefix', $prefix, '~^[A-Za-z0-9._@/-]+\z~', 255);
        }
        $lines = self::lines(static fn (string $line): ?array =>
            preg_match('~^([A-Za-z0-9._@/-]{1,255}) ([\x21-\x7e]{1,64}) (\d{1,18}|-)\z~', $line, $m)
                ? ['name' => $m[1], 'state' => $m[2], 'ttl' => $m[3] === '-' ? null : (int) $m[3]] : null);
        return $this->ask($lines, 'LIST', ...($prefix === '' ? [] : [$prefix]));
    }

    /**
     * Returns the status of a credential. It contains no secret and no value.
     *
     * @return array<string, string> "-" if there is none
     */
    public function status(string $name): array
    {
        $lines = self::lines(static fn (string $line): ?array => ($m = explode(' ', $line, 2)) && isset($m[1]) ? $m : null);
        return array_column($this->ask($lines, 'STATUS', self::name($name)), 1, 0);
    }

    /**
     * Returns the name of a value that this client has handed out.
     *
     * @internal for Tokend\HttpClient
     */
    public function nameOf(string $value): ?string
    {
        return $this->memory->nameOf($value);
    }

    /**
     * Returns the value of a credential that this client has handed out last.
     *
     * @internal for Tokend\Cache
     */
    public function lastOf(string $name): ?string
    {
        return $this->memory->lastOf($name);
    }

    private function value(string $verb, string ...$fields): string
    {
        $parse = static fn (string $reply): ?string =>
            preg_match('~^[1-9]\d{0,17} ([\x21-\x7e]+)\z~', $reply, $m) && strlen($m[1]) <= self::MAX_VALUE ? $m[1] : null;
        $value = $this->ask($parse, $verb, ...$fields);
        $this->memory->add($value, $fields[0]);
        return $value;
    }

    /**
     * Sends a request and returns what $parse makes of the reply.
     *
     * @param callable $parse gets the fields after OK and the connection; null is a malformed reply
     */
    private function ask(callable $parse, string $verb, string ...$fields): mixed
    {
        // A prefix may be anything, such as a value that the caller confused with it.
        $what = 'tokend: ' . ($verb === 'LIST' ? $verb : "$verb $fields[0]");
        $deadline = hrtime(true) / 1e9 + $this->timeout;
        // REFRESH would spend quota twice, EXCHANGE would use a code twice. They use a new connection:
        // an idle connection may be closed, and there is no second attempt.
        $once = $verb === 'REFRESH' || $verb === 'EXCHANGE';
        $connection = $once ? null : $this->take();
        for ($attempts = $once ? 1 : 2;; $attempts--) {
            $connection ??= new Connection($this->socket, $this->connectTimeout);
            $reply = $connection->request(implode(' ', [$verb, ...$fields]) . "\n", $what, $deadline);
            if ($reply !== null) {
                break;
            }
            if ($attempts === 1) {
                throw new BadReply("$what: the daemon at $this->socket closed the connection without a reply");
            }
            $connection = null;
            $this->idle = []; // the daemon has closed these too
        }
        if (preg_match('~^ERR ([A-Z_]{1,32}) (\d{1,18}|-) (\S(?:.*\S)?)\z~', $reply, $m) && strlen($m[3]) <= self::MAX_MESSAGE) {
            if ($m[1] !== 'SHUTDOWN') {
                $this->give($connection, $what);
            }
            $retryAfter = $m[2] === '-' ? null : (int) $m[2];
            $unknown = $retryAfter === null ? 'INTERNAL' : 'UNAVAILABLE';
            throw new Error("$what: $reply", in_array($m[1], self::CODES, true) ? $m[1] : $unknown, $retryAfter);
        }
        $result = preg_match('~^OK(?: (\S.*))?\z~', $reply, $m) ? $parse($m[1] ?? '', $connection) : null;
        if ($result === null) {
            throw new BadReply("$what: the reply is malformed");
        }
        $this->give($connection, $what);
        return $result;
    }

    private function take(): ?Connection
    {
        if ($this->process !== getmypid()) { // the parent uses the connections of before a fork
            $this->idle = [];
            $this->process = getmypid();
        }
        while ($this->idle) {
            $connection = array_pop($this->idle);
            if ($connection->isIdle()) {
                return $connection;
            }
        }
        return null;
    }

    /** Puts a connection into the pool after a complete reply. */
    private function give(Connection $connection, string $what): void
    {
        if ($connection->hasMore()) {
            throw new BadReply("$what: more than one reply");
        }
        if ($this->process === getmypid() && count($this->idle) < self::MAX_IDLE) {
            $this->idle[] = $connection;
        }
    }

    /** Returns a parser of a count and that many lines. */
    private static function lines(callable $parse): callable
    {
        return static function (string $fields, Connection $connection) use ($parse): ?array {
            if (!preg_match('~^(?:0|[1-9]\d{0,8})\z~', $fields)) {
                return null;
            }
            $all = [];
            for ($left = (int) $fields; $left > 0; $left--) {
                $item = $parse($connection->line());
                if ($item === null) {
                    return null;
                }
                $all[] = $item;
            }
            return $all;
        };
    }

    private static function none(string $fields): ?bool
    {
        return $fields === '' ? true : null;
    }

    private static function name(string $name): string
    {
        return self::check('name', $name, self::NAME, 255, ': family/owner[/child]/credential');
    }

    private static function printable(string $what, string $field): string
    {
        return self::check($what, $field, self::PRINTABLE, self::MAX_VALUE);
    }

    /** Returns a field if it is well-formed. The exception does not show the field. */
    private static function check(string $what, string $field, string $pattern, int $limit, string $form = ''): string
    {
        $wrong = match (true) {
            $field === '' => 'is empty',
            strlen($field) > $limit => "has at most $limit bytes, this one " . strlen($field),
            preg_match($pattern, $field) !== 1 => 'is malformed' . $form,
            default => null,
        };
        if ($wrong !== null) {
            throw Error::withoutArguments(new \InvalidArgumentException("tokend: the $what $wrong"));
        }
        return $field;
    }
}

/**
 * One connection. Requests on it are sequential.
 *
 * @internal
 */
final class Connection
{
    private const MAX_LINE = 65536; // bytes, with the LF
    private const EAGAIN = [11, 35]; // Linux; macOS and FreeBSD
    private const EACCES = 13;

    /** @var resource */
    private $stream;

    private string $buffer = '';
    private int $at = 0; // in the buffer: the bytes before are used up
    private string $what = '';
    private float $deadline = 0;

    public function __construct(string $socket, float $timeout)
    {
        $deadline = hrtime(true) / 1e9 + $timeout;
        while (($stream = @stream_socket_client("unix://$socket", $errno, $error, $timeout)) === false) {
            // On Linux the queue of connections that the daemon has not accepted is full.
            if (!in_array($errno, self::EAGAIN, true)) {
                throw new NoDaemon("tokend: no daemon at the socket $socket ($error): " . ($errno === self::EACCES
                    ? 'add the user of PHP to the group of the socket (usermod -aG tokend www-data), then restart PHP'
                    : 'start it with systemctl start tokend, or pass its socket to Tokend\Client'));
            }
            if (hrtime(true) / 1e9 >= $deadline) {
                throw new Timeout("tokend: the daemon at $socket does not accept connections");
            }
            usleep(2000);
        }
        $this->stream = $stream;
        stream_set_read_buffer($stream, 0);
    }

    public function __destruct()
    {
        fclose($this->stream);
    }

    /** Returns the first line of the reply, or null if the connection is closed before its first byte. */
    public function request(string $line, string $what, float $deadline): ?string
    {
        [$this->what, $this->deadline] = [$what, $deadline];
        @fwrite($this->stream, $line); // on failure there may still be a reply, such as ERR BUSY
        return $this->read() ? $this->line() : null;
    }

    /** Returns the next line. */
    public function line(): string
    {
        $from = $this->at;
        while (($end = strpos($this->buffer, "\n", $from)) === false) {
            [$this->buffer, $this->at] = [substr($this->buffer, $this->at), 0];
            $from = strlen($this->buffer);
            if ($from >= self::MAX_LINE) {
                break;
            }
            if (!$this->read()) {
                throw new BadReply("$this->what: the connection was closed in the middle of the reply");
            }
        }
        if ($end === false || $end - $this->at >= self::MAX_LINE) {
            throw new BadReply("$this->what: the reply has a line of more than " . self::MAX_LINE . ' bytes');
        }
        $line = substr($this->buffer, $this->at, $end - $this->at);
        if (preg_match('~[\x00-\x1f\x7f]~', $line) || !preg_match('~~u', $line)) {
            throw new BadReply("$this->what: the reply has control characters or is not UTF-8");
        }
        $this->at = $end + 1;
        if ($this->at === strlen($this->buffer)) {
            [$this->buffer, $this->at] = ['', 0]; // it contained a value
        }
        return $line;
    }

    /** Reports whether bytes follow the reply, which then belongs to no request. */
    public function hasMore(): bool
    {
        return $this->buffer !== '';
    }

    /** Reports whether the connection is open and nothing has arrived since the last reply. */
    public function isIdle(): bool
    {
        stream_set_blocking($this->stream, false);
        $idle = @fread($this->stream, 1) === '' && !feof($this->stream);
        stream_set_blocking($this->stream, true);
        return $idle;
    }

    /** Reads what has arrived, after waiting for it. Returns false if the connection is closed. */
    private function read(): bool
    {
        do {
            $left = $this->deadline - hrtime(true) / 1e9;
            if ($left <= 0) {
                throw new Timeout("$this->what: no complete reply in time");
            }
            stream_set_timeout($this->stream, (int) $left, (int) (fmod($left, 1) * 1e6));
            $bytes = (string) @fread($this->stream, self::MAX_LINE);
            $this->buffer .= $bytes;
        } while ($bytes === '' && !feof($this->stream));
        return $bytes !== '';
    }
}

/**
 * The last values that were handed out, and their names. The values are not in a property, where
 * dumps of the object would show them.
 *
 * @internal
 */
final class Memory
{
    private const LIMIT = 256;

    /** @var ?\WeakMap<self, array<string>> names by value, the latest last */
    private static ?\WeakMap $names = null;

    public function __construct()
    {
        self::$names ??= new \WeakMap();
        self::$names[$this] = [];
    }

    public function add(string $value, string $name): void
    {
        $names = &self::$names[$this];
        unset($names[$value]);
        $names[$value] = $name;
        if (count($names) > self::LIMIT) {
            unset($names[array_key_first($names)]);
        }
    }

    public function nameOf(string $value): ?string
    {
        return self::$names[$this][$value] ?? null;
    }

    public function lastOf(string $name): ?string
    {
        $values = array_keys(self::$names[$this], $name, true);
        return $values === [] ? null : (string) end($values);
    }
}
