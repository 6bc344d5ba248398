// node-redlock: a lock over resources, contested, extended, released, and used by its wrapper.
import { readFileSync } from 'node:fs';
import { Redis } from 'ioredis';
import redlock from 'redlock';
import { check, finish, holds, host, port, same, say, until } from './telling.mjs';

const Redlock = redlock.default ?? redlock;
const client = new Redis({ host, port });
say('version', JSON.parse(readFileSync('node_modules/redlock/package.json')).version);
const locks = new Redlock([client], { retryCount: 0 });
locks.on('error', () => {});
let lock;
const taken = async () => (await locks.acquire(['a', 'b'], 1000).then((got) => got, (error) => error)) instanceof Error;

await check('acquire', async () => {
  lock = await locks.acquire(['a', 'b'], 30_000);
  holds(lock.expiration > Date.now(), 'an expiration');
});
await check('contested', async () => same(await taken(), true));
await check('extend', async () => {
  lock = await lock.extend(60_000);
  holds((await client.pttl('a')) > 30_000, 'a longer life');
});
await check('release', async () => { await lock.release(); });
await check('free-at-once', async () => same(await client.exists('a', 'b'), 0));
await check('using', async () => {
  const got = await locks.using(['c'], 5_000, async () => client.exists('c'));
  same(got, 1);
  same(await client.exists('c'), 0);
});
await check('ends-by-itself', async () => {
  await locks.acquire(['d'], 300);
  holds(await until(async () => (await client.exists('d')) === 0), 'the lock to end');
  await (await locks.acquire(['d'], 5_000)).release();
});
client.disconnect();
finish();
