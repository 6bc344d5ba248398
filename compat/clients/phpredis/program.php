<?php
// phpredis and Predis: `php program.php phpredis|predis`. What differs between the two is in the functions on top.

const MINUTE = 60;
$kind = $argv[1];
$host = getenv('RESPRAM_HOST');
$port = (int) getenv('RESPRAM_PORT');
$socket = getenv('RESPRAM_SOCKET'); // '': the node is reached by its port
$authPort = (int) getenv('RESPRAM_AUTH_PORT');
$password = getenv('RESPRAM_PASSWORD');
if ($kind === 'predis') {
    require 'Predis/Autoloader.php';
    Predis\Autoloader::register();
}

function connect(int $at, array $more = [])
{
    global $kind, $host, $port, $socket;
    if ($kind === 'predis') {
        return new Predis\Client(['host' => $host, 'port' => $at, 'read_write_timeout' => 10] + $more);
    }
    $node = new Redis();
    $place = $socket && $at === $port ? [$socket] : [$host, $at, 5.0];
    $node->connect(...$place);
    if (isset($more['password'])) {
        $node->auth($more['password']);
    }
    if (isset($more['database']) && !$node->select($more['database'])) {
        throw new RuntimeException($node->getLastError());
    }
    return $node;
}

/** SET with options as each of the two spells them; whether it was set. */
function put($node, string $key, string $value, array $options = []): bool
{
    global $kind;
    if ($kind === 'predis') {
        $words = [];
        foreach ($options as $name => $argument) {
            array_push($words, ...(is_int($name) ? [$argument] : [$name, $argument]));
        }
        return (string) $node->set($key, $value, ...$words) === 'OK';
    }
    foreach (['EXAT', 'PXAT'] as $name) { // this version drops them from the options of set()
        if (isset($options[$name])) {
            return (bool) $node->rawCommand('SET', $key, $value, $name, $options[$name]);
        }
    }
    return (bool) $node->set($key, $value, $options);
}

/** Any command, as it is. */
function raw($node, ...$words)
{
    global $kind;
    $answer = $kind === 'predis' ? $node->executeRaw($words, $failed) : $node->rawCommand(...$words);
    if ($kind === 'predis' && $failed) {
        throw new RuntimeException($answer);
    }
    return $answer;
}

/** What a missing key reads as. */
function nothing()
{
    global $kind;
    return $kind === 'predis' ? null : false;
}

function show($value): string
{
    return substr(preg_replace('/\s+/', ' ', var_export($value, true)), 0, 100);
}

function same($got, $expected): void
{
    if ($got !== $expected) {
        throw new DomainException('expected=' . show($expected) . ' got=' . show($got));
    }
}

function between($got, int $low, int $high): void
{
    if (!is_int($got) || $got <= $low || $got > $high) {
        throw new DomainException("expected=$low..$high got=" . show($got));
    }
}

function refused(callable $call, string $words): void
{
    try {
        $got = $call();
    } catch (Exception $error) {
        same(str_contains($error->getMessage(), $words), true);
        return;
    }
    throw new DomainException("expected=an exception with $words got=" . show($got));
}

function check(string $name, callable $call): void
{
    try {
        $call();
        echo "ok $name\n";
    } catch (DomainException $difference) {
        echo "fail $name {$difference->getMessage()}\n";
    } catch (Throwable $error) {
        echo "fail $name expected=no error got=" . preg_replace('/\s+/', ' ', $error->getMessage()) . "\n";
    }
}

/** The second subscriber message that comes on a channel, after the act. */
function heard(string $channel, callable $act): string
{
    global $kind, $port;
    $listener = connect($port);
    $got = '';
    if ($kind === 'predis') {
        $loop = $listener->pubSubLoop();
        $loop->subscribe($channel);
        foreach ($loop as $message) {
            if ($message->kind === 'subscribe') {
                $act();
            } elseif ($message->kind === 'message') {
                $got = $message->payload;
                $loop->stop();
            }
        }
        return $got;
    }
    // phpredis listens until the callback throws or the timeout ends it; the act happens in a child.
    $child = pcntl_fork();
    if ($child === 0) {
        usleep(150_000);
        $act(connect($port));
        posix_kill(getmypid(), SIGKILL);
    }
    $listener->setOption(Redis::OPT_READ_TIMEOUT, 5);
    try {
        $listener->subscribe([$channel], function ($node, $on, $message) use (&$got) {
            $got = $message;
            $node->close();
        });
    } catch (RedisException) { // the closed connection
    }
    pcntl_waitpid($child, $status);
    return $got;
}

$node = connect($port);
echo 'version ' . ($kind === 'predis' ? Predis\Client::VERSION : phpversion('redis')) . "\n";
check('connect', function () use ($node, $socket) {
    same(str_contains((string) (is_bool($node->ping()) ? 'PONG' : $node->ping()), 'PONG'), true);
    same(str_contains(raw($node, 'CLIENT', 'INFO'), " addr=$socket:0 "), (bool) $socket);
});
check('resp2', fn () => same(array_slice(raw($node, 'HELLO', '2'), 4, 2), ['proto', 2]));
echo "skip resp3 this client speaks RESP2 only\n";
$forms = ['set-ex' => ['EX' => MINUTE], 'set-px' => ['PX' => 60_000], 'set-exat' => ['EXAT' => time() + 60],
    'set-pxat' => ['PXAT' => (time() + 60) * 1000]];
foreach ($forms as $form => $options) {
    check($form, function () use ($node, $form, $options) {
        same(put($node, $form, 'v', $options), true);
        between($node->pttl($form), 50_000, 61_000);
    });
}
check('set-keepttl', function () use ($node) {
    put($node, 'kept', 'a', ['EX' => MINUTE]);
    same([put($node, 'kept', 'b', ['KEEPTTL']), $node->get('kept')], [true, 'b']);
    between($node->ttl('kept'), 50, 60);
});
check('default-ttl', function () use ($node) {
    $node->set('bare', 'v');
    between($node->ttl('bare'), 0, PHP_INT_MAX);
});
check('get', fn () => same($node->get('set-ex'), 'v'));
check('get-missing', fn () => same($node->get('missing'), nothing()));
check('mget', fn () => same($node->mget(['set-ex', 'missing', 'set-px']), ['v', nothing(), 'v']));
check('set-nx', function () use ($node) {
    same([put($node, 'once', 'a', ['EX' => MINUTE, 0 => 'NX']), put($node, 'once', 'b', ['EX' => MINUTE, 0 => 'NX'])],
        [true, false]);
    same($node->get('once'), 'a');
});
check('expire', function () use ($node) {
    $node->setex('short', 600, 'v');
    same((int) $node->expire('short', 100), 1);
    between($node->ttl('short'), 95, 100);
});
check('ttl', fn () => same([$node->ttl('missing'), $node->ttl('set-ex') > 50], [-2, true]));
check('incr', fn () => same([$node->incr('n'), $node->incrby('n', 5), $node->decr('n'),
    (float) $node->incrbyfloat('f', 1.5)], [1, 6, 5, 1.5]));
check('scan', function () use ($node, $kind) {
    for ($number = 0; $number < 300; $number++) {
        $node->setex("scan:$number", MINUTE, $number);
    }
    $seen = [];
    if ($kind === 'predis') {
        foreach (new Predis\Collection\Iterator\Keyspace($node, 'scan:*', 17) as $key) {
            $seen[$key] = true;
        }
    } else {
        $node->setOption(Redis::OPT_SCAN, Redis::SCAN_RETRY);
        $cursor = null;
        while ($page = $node->scan($cursor, 'scan:*', 17)) {
            $seen += array_fill_keys($page, true);
        }
    }
    same(count($seen), 300);
});
check('pipeline', function () use ($node, $kind) {
    $pipe = $kind === 'predis' ? $node->pipeline() : $node->multi(Redis::PIPELINE);
    for ($number = 0; $number < 200; $number++) {
        $pipe->setex("pipe:$number", MINUTE, $number);
        $pipe->get("pipe:$number");
    }
    $got = $kind === 'predis' ? $pipe->execute() : $pipe->exec();
    same([count($got), $got[399]], [400, '199']);
});
check('multi', function () use ($node, $kind) {
    $block = $kind === 'predis' ? $node->transaction() : $node->multi();
    $block->setex('m', MINUTE, 1);
    $block->incr('m');
    same(($kind === 'predis' ? $block->execute() : $block->exec())[1], 2);
});
check('watch', function () use ($node, $port, $kind) {
    $other = connect($port);
    $node->watch('watched');
    $other->setex('watched', MINUTE, '2');
    if ($kind === 'predis') {
        raw($node, 'MULTI');
        raw($node, 'SET', 'watched', '3', 'EX', '60');
        same(raw($node, 'EXEC'), null);
    } else {
        same($node->multi()->setex('watched', MINUTE, '3')->exec(), false);
    }
    same($node->get('watched'), '2');
});
check('publish-subscribe',
    fn () => same(heard('news', fn ($other = null) => ($other ?? connect($port))->publish('news', 'one')), 'one'));
check('expired-event', function () use ($node, $port) {
    same(heard('__keyevent@0__:expired', fn ($other = null) => ($other ?? connect($port))->psetex('brief', 80, 'v')),
        'brief');
    same($node->get('brief'), nothing());
});
check('binary', function () use ($node) {
    $bytes = implode('', array_map('chr', range(255, 0)));
    $node->setex($bytes, MINUTE, $bytes);
    same($node->get($bytes) === $bytes, true);
});
check('mebibyte', function () use ($node) {
    $bytes = str_repeat("0123456789abcde\0", 1 << 16);
    $node->setex('large', MINUTE, $bytes);
    same([$node->strlen('large'), $node->get('large') === $bytes], [1 << 20, true]);
});
check('auth', function () use ($authPort, $password) {
    $other = connect($authPort, ['password' => $password]);
    $other->setex('a', MINUTE, 'v');
    same($other->get('a'), 'v');
});
check('auth-refused', fn () => refused(fn () => connect($authPort, ['password' => 'wrong'])->get('a'), 'WRONGPASS'));
check('select', function () use ($node, $port) {
    $other = connect($port, ['database' => 5]);
    $other->setex('there', MINUTE, 'v');
    same([$other->get('there'), $node->get('there')], ['v', nothing()]);
    refused(fn () => connect($port, ['database' => 99])->get('a'), 'DB index is out of range');
});
check('del-refused', function () use ($node) {
    $node->setex('stays', MINUTE, 'v');
    refused(fn () => $node->del('stays'), 'refused by design');
    refused(fn () => $node->flushdb(), 'refused by design');
    same($node->get('stays'), 'v');
});
check('del-in-multi', function () use ($node, $kind) {
    if ($kind === 'predis') {
        raw($node, 'MULTI');
        raw($node, 'SET', 'sibling', 'v', 'EX', '60');
        raw($node, 'DEL', 'sibling');
        same(count(raw($node, 'EXEC')), 2);
    } else {
        refused(fn () => $node->multi()->setex('sibling', MINUTE, 'v')->del('sibling')->exec(), 'refused by design');
    }
    same($node->get('sibling'), 'v');
});
check('restart', function () use ($node, $port, $kind) {
    echo "restart\n";
    same(trim(fgets(STDIN)), 'restarted');
    try {
        $node->get('before');
    } catch (Exception) {
    }
    $again = $kind === 'predis' ? $node : connect($port);
    $again->setex('after', MINUTE, 'v');
    same($again->get('after'), 'v');
});
check('tls', function () use ($kind, $host) {
    [$tlsPort, $authority] = [(int) getenv('RESPRAM_TLS_PORT'), getenv('RESPRAM_TLS_CA')];
    if ($kind === 'predis') {
        $other = connect($tlsPort, ['scheme' => 'tls', 'ssl' => ['cafile' => $authority, 'verify_peer' => true]]);
    } else {
        $other = new Redis();
        $other->connect("tls://$host", $tlsPort, 5.0, null, 0, 0,
            ['stream' => ['cafile' => $authority, 'verify_peer' => true]]);
    }
    $other->setex('tls', MINUTE, 'v');
    same($other->get('tls'), 'v');
});
echo "done\n";
