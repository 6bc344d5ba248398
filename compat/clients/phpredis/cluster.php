<?php
// phpredis' RedisCluster on three nodes, one of which is lost and comes back.
require 'telling.php';

const FAILOVER_S = 30.0;
$host = getenv('RESPRAM_HOST');
$ports = array_map('intval', explode(',', getenv('RESPRAM_ENCLAVE')));

function forwarded(): int
{
    global $host, $ports;
    $sum = 0;
    foreach ($ports as $port) {
        $node = new Redis();
        $node->connect($host, $port, 5.0);
        $sum += (int) ($node->info('replication')['forwarded_commands'] ?? 0);
        $node->close();
    }
    return $sum;
}

function countAll(RedisCluster $client): void
{
    for ($number = 0; $number < 100; $number++) {
        if (!is_int($client->incr("cluster-$number"))) {
            throw new RuntimeException("cluster-$number was not counted");
        }
    }
}

function ask(string $word, string $answer): void
{
    say($word);
    same(trim(fgets(STDIN)), $answer);
}

/** It reads the map when it is made, and at MOVED. */
function connected(): RedisCluster
{
    global $host, $ports;
    $seeds = array_map(fn ($port) => "$host:$port", $ports);
    $client = new RedisCluster(null, $seeds, 1.0, 1.0);
    $client->setOption(RedisCluster::OPT_SLAVE_FAILOVER, RedisCluster::FAILOVER_NONE);
    return $client;
}

say('version', phpversion('redis'));
$client = connected();
check('connect', fn () => same($client->ping('first'), true));
check('route', function () use ($client) {
    $client->setex('warm', 60, 'v');
    $before = forwarded();
    countAll($client);
    same(forwarded() - $before <= 5, true);
});
check('tags', function () use ($client) {
    $client->mset(['{tag}1' => 'a', '{tag}2' => 'b']);
    same($client->mget(['{tag}1', '{tag}2', '{tag}3']), ['a', 'b', false]);
});
check('transaction', function () use ($client) {
    same(count($client->multi()->setex('{deal}1', 60, 'a')->incr('{deal}2')->exec()), 2);
});
say('skip shard-messages this version has no SSUBSCRIBE');
check('failover', function () use (&$client) {
    ask('kill', 'killed');
    $began = microtime(true);
    while (true) {
        try {
            countAll($client);
            break;
        } catch (RuntimeException | RedisException | RedisClusterException $error) {
            if (microtime(true) - $began > FAILOVER_S) {
                throw $error;
            }
            // A request of PHP begins with a client of its own: so does each try.
            try {
                $client = connected();
            } catch (RedisClusterException) {
                usleep(50_000);
            }
        }
    }
    say(sprintf('figure failover_ms=%d', (microtime(true) - $began) * 1000));
});
check('return', function () use (&$client) {
    ask('start', 'started');
    countAll($client);
    countAll(connected());
});
say('done');
