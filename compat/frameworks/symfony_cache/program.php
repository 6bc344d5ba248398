<?php
// Symfony's cache over Redis, as Debian packages it: `php program.php phpredis|predis`.
use Symfony\Component\Cache\Adapter\RedisAdapter;
use Symfony\Component\Cache\Adapter\TagAwareAdapter;
use Symfony\Contracts\Cache\ItemInterface;

error_reporting(E_ALL & ~E_DEPRECATED);
require 'telling.php';
require 'Symfony/Component/Cache/autoload.php';
require 'Predis/Autoloader.php';
Predis\Autoloader::register();

/** What the cache logs: it hides the errors of the server from the application. */
class Heard extends Psr\Log\AbstractLogger
{
    public array $said = [];

    public function log($level, $message, array $context = []): void
    {
        $this->said[] = $level . ': ' . $message . ' ' . (isset($context['exception'])
            ? $context['exception']->getMessage() : '');
    }
}

$kind = $argv[1];
$class = $kind === 'predis' ? Predis\Client::class : Redis::class;
$url = 'redis://' . getenv('RESPRAM_HOST') . ':' . getenv('RESPRAM_PORT');
$node = RedisAdapter::createConnection($url, ['class' => $class, 'lazy' => false]);
$heard = new Heard();
$cache = new RedisAdapter($node, 'app', 60);
$cache->setLogger($heard);

say('version', trim((string) shell_exec("dpkg-query -W -f='\${Version}' php-symfony-cache")), 'with', $kind);
check('get', function () use ($cache) {
    $calls = 0;
    $make = function (ItemInterface $item) use (&$calls) {
        $item->expiresAfter(60);
        return ['name' => 'ada', 'calls' => ++$calls];
    };
    same([$cache->get('user', $make), $cache->get('user', $make)], array_fill(0, 2, ['name' => 'ada', 'calls' => 1]));
});
check('time-to-live', function () use ($cache, $node) {
    $cache->save($cache->getItem('timed')->set('v'));
    $keys = $node->keys('app:timed');
    same(count($keys), 1);
    between($node->ttl($keys[0]), 50, 60);
});
check('without-time-to-live', function () use ($node) {
    $bare = new RedisAdapter($node, 'bare');
    $bare->save($bare->getItem('k')->set('v'));
    same($bare->getItem('k')->get(), 'v');
    between($node->ttl($node->keys('bare:k')[0]), 0, 1 << 40);
});
check('expiry', function () use ($cache) {
    $cache->save($cache->getItem('brief')->set('v')->expiresAfter(1));
    same($cache->getItem('brief')->isHit(), true);
    same(soon(fn () => !$cache->getItem('brief')->isHit()), true);
});
check('deferred', function () use ($cache) {
    foreach (['one', 'two'] as $key) {
        $cache->saveDeferred($cache->getItem($key)->set($key));
    }
    same($cache->commit(), true);
    $found = [];
    foreach ($cache->getItems(['one', 'missing', 'two']) as $key => $item) {
        $found[$key] = $item->get();
    }
    ksort($found);
    same($found, ['missing' => null, 'one' => 'one', 'two' => 'two']);
});
check('binary', function () use ($cache) {
    $bytes = implode('', array_map('chr', range(255, 0)));
    $cache->save($cache->getItem('binary')->set($bytes));
    same($cache->getItem('binary')->get() === $bytes, true);
});
check('tags', function () use ($cache) {
    $tagged = new TagAwareAdapter($cache);
    $make = fn (ItemInterface $item) => $item->tag('people')->getKey();
    same($tagged->get('ada', $make), 'ada');
    same($tagged->getItem('ada')->isHit(), true);
});
check('no-error-before', fn () => same($heard->said, []));
foreach ([
    'delete' => fn () => $cache->deleteItem('one'),
    'delete-several' => fn () => $cache->deleteItems(['one', 'two']),
    'clear' => fn () => $cache->clear(),
] as $name => $act) {
    check($name, function () use ($act, $cache, $heard, $kind) {
        $heard->said = [];
        $answer = null;
        $error = thrown(function () use ($act, &$answer) {
            $answer = $act();
        });
        same($cache->getItem('one')->get(), 'one');
        $said = $error . implode(' ', $heard->said);
        if ($kind === 'predis' && $said === '') { // its replies in a pipeline are not looked at
            same($answer, true);
            throw new Refused('Symfony does not look at the reply and answers true, and the values stay');
        }
        same($answer, false);
        same([$said !== '', str_contains($said, 'refused by design') || str_contains($said, 'runs no scripts')],
            [true, true]);
        throw new Refused($error ? 'it throws, and the values stay'
            : 'it answers false and logs the refusal, and the values stay');
    });
}
say('done');
