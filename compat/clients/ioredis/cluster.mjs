// ioredis's Cluster on three nodes, one of which is lost and comes back.
import { readFileSync } from 'node:fs';
import { Cluster, Redis } from 'ioredis';
import { check, enclave, finish, holds, host, lost, returned, same, say, until } from './telling.mjs';

const keys = Array.from({ length: 100 }, (_, number) => `cluster-${number}`);
const client = new Cluster([{ host, port: enclave[0] }]);
client.on('error', () => {});
const countAll = () => Promise.all(keys.map((key) => client.incr(key)));

async function forwarded() {
  let sum = 0;
  for (const port of enclave) {
    const node = new Redis({ host, port });
    sum += Number(/forwarded_commands:(\d+)/.exec(await node.info('replication'))[1]);
    node.disconnect();
  }
  return sum;
}

say('version', JSON.parse(readFileSync('node_modules/ioredis/package.json')).version);
await check('connect', async () => same(await client.ping(), 'PONG'));
await check('route', async () => {
  await client.set('warm', 'v', 'EX', 60);
  const before = await forwarded();
  await countAll();
  const more = (await forwarded()) - before;
  holds(more <= keys.length / 20, 'each command at its home', more);
});
await check('tags', async () => {
  await client.mset('{tag}1', 'a', '{tag}2', 'b');
  same(await client.mget('{tag}1', '{tag}2', '{tag}3'), ['a', 'b', null]);
});
await check('transaction', async () => {
  const found = await client.multi().set('{deal}1', 'a', 'EX', 60).incr('{deal}2').exec();
  same([found.length, found[0]], [2, [null, 'OK']]);
});
await check('shard-messages', async () => {
  const listener = new Cluster([{ host, port: enclave[0] }], { shardedSubscribers: true });
  listener.on('error', () => {});
  const heard = [];
  listener.on('smessage', (channel, message) => heard.push(message));
  await listener.ssubscribe('shard');
  await until(async () => (await client.spublish('shard', 'hello')) >= 0 && heard.length, 10_000);
  same(heard[0], 'hello');
  listener.disconnect();
});
await check('failover', () => lost(countAll));
await check('return', () => returned(countAll));
client.disconnect();
finish();
