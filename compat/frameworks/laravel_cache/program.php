<?php
// Laravel's cache over Redis, as Debian packages its components: `php program.php phpredis|predis`.
use Illuminate\Cache\RateLimiter;
use Illuminate\Cache\RedisStore;
use Illuminate\Cache\Repository;
use Illuminate\Redis\RedisManager;

error_reporting(E_ALL & ~E_DEPRECATED);
require 'telling.php';
require 'Predis/Autoloader.php';
Predis\Autoloader::register();
require 'Illuminate/Redis/autoload.php';
require 'Illuminate/Cache/autoload.php';

$kind = $argv[1];
$place = ['host' => getenv('RESPRAM_HOST'), 'port' => (int) getenv('RESPRAM_PORT'), 'database' => 0];
$manager = new RedisManager(null, $kind, ['default' => $place, 'options' => []]);
$node = $manager->connection('default');
$store = new RedisStore($manager, 'app', 'default');
$cache = new Repository($store);

say('version', trim((string) shell_exec("dpkg-query -W -f='\${Version}' php-illuminate-cache")), 'with', $kind);
check('put-and-get', function () use ($cache, $node) {
    same($cache->put('user', ['name' => 'ada'], 60), true);
    same([$cache->get('user'), $cache->get('missing', 'none'), $cache->has('user')], [['name' => 'ada'], 'none', true]);
    between($node->ttl('app:user'), 50, 60);
});
check('expiry', function () use ($cache) {
    $cache->put('brief', 'v', 1);
    same($cache->get('brief'), 'v');
    same(soon(fn () => $cache->get('brief') === null), true);
});
check('remember', function () use ($cache) {
    $calls = 0;
    $make = function () use (&$calls) {
        return ++$calls;
    };
    same([(int) $cache->remember('made', 60, $make), (int) $cache->remember('made', 60, $make)], [1, 1]);
});
check('forever', function () use ($cache, $node) {
    same($cache->forever('long', 'v'), true);
    same($cache->get('long'), 'v');
    between($node->ttl('app:long'), 0, 1 << 40);
});
check('several', function () use ($cache) {
    same($cache->putMany(['one' => 'a', 'two' => 'b'], 60), true);
    same($cache->many(['one', 'missing', 'two']), ['one' => 'a', 'missing' => null, 'two' => 'b']);
});
check('counter', fn () => same([$cache->increment('n'), $cache->increment('n', 5), $cache->decrement('n', 2)],
    [1, 6, 4]));
check('lock', function () use ($store) {
    same([$store->lock('work', 60)->get(), $store->lock('work', 60)->get()], [true, false]);
});
check('add', fn () => same([$cache->add('once', 'a', 60), $cache->add('once', 'b', 60), $cache->get('once')],
    [true, false, 'a']));
check('rate-limiter', fn () => same([(new RateLimiter($cache))->hit('ada', 60),
    (new RateLimiter($cache))->hit('ada', 60)], [1, 2]));
$held = $store->lock('held', 60);
$held->get();
// What is refused: how the framework reports it, and that nothing has changed.
foreach ([
    'forget' => [fn () => $cache->forget('user'), fn () => $cache->get('user'), ['name' => 'ada'], 'forget is a DEL'],
    'pull' => [fn () => $cache->pull('one'), fn () => $cache->get('one'), 'a', 'pull forgets: a DEL'],
    'put-in-the-past' => [fn () => $cache->put('two', 'c', -1), fn () => $cache->get('two'), 'b',
        'a time in the past is a DEL'],
    'flush' => [fn () => $cache->flush(), fn () => $cache->get('one'), 'a', 'flush is FLUSHDB'],
    'lock-release' => [fn () => $held->release(), fn () => $store->lock('held', 60)->get(), false,
        'a release deletes in a script: a lock lasts until its time is up'],
] as $name => [$act, $look, $expected, $reason]) {
    check($name, function () use ($act, $look, $expected, $reason) {
        $said = thrown($act);
        same($look(), $expected);
        same([$said, str_contains($said, 'refused by design')], [$said, true]);
        throw new Refused("$reason; it throws");
    });
}
say('done');
