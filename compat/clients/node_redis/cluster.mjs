// node-redis's cluster on three nodes, one of which is lost and comes back.
import { readFileSync } from 'node:fs';
import { createClient, createCluster } from 'redis';
import { check, enclave, finish, holds, host, lost, returned, same, say, until } from './telling.mjs';

const keys = Array.from({ length: 100 }, (_, number) => `cluster-${number}`);
// Of a node that is lost it asks the others after 5 s, where nothing else is said.
const refresh = { topologyRefreshOnReconnectionAttemptStrategy: 1000 };
const client = createCluster({ rootNodes: enclave.map((port) => ({ url: `redis://${host}:${port}` })), ...refresh });
client.on('error', () => {});
const countAll = () => Promise.all(keys.map((key) => client.incr(key)));

async function forwarded() {
  let sum = 0;
  for (const port of enclave) {
    const node = await createClient({ url: `redis://${host}:${port}` }).connect();
    sum += Number(/forwarded_commands:(\d+)/.exec(await node.info('replication'))[1]);
    node.destroy();
  }
  return sum;
}

say('version', JSON.parse(readFileSync('node_modules/redis/package.json')).version);
await check('connect', async () => {
  await client.connect();
  same(await client.set('first', 'v', { EX: 60 }), 'OK');
});
await check('route', async () => {
  const before = await forwarded();
  await countAll();
  const more = (await forwarded()) - before;
  holds(more <= keys.length / 20, 'each command at its home', more);
});
await check('tags', async () => {
  await client.mSet([['{tag}1', 'a'], ['{tag}2', 'b']]);
  same(await client.mGet(['{tag}1', '{tag}2', '{tag}3']), ['a', 'b', null]);
});
await check('transaction', async () =>
  same(await client.multi().set('{deal}1', 'a', { EX: 60 }).get('{deal}1').exec(), ['OK', 'a']));
await check('shard-messages', async () => {
  const heard = [];
  await client.sSubscribe('shard', (message) => heard.push(message));
  await until(async () => (await client.sPublish('shard', 'hello')) >= 0 && heard.length, 10_000);
  same(heard[0], 'hello');
  await client.sUnsubscribe('shard');
});
await check('failover', () => lost(countAll));
await check('return', () => returned(countAll));
client.destroy();
finish();
