// cache-manager over Keyv's Redis adapter: `node program.mjs plain|letting-go`.
import { readFileSync } from 'node:fs';
import KeyvRedis from '@keyv/redis';
import { createCache } from 'cache-manager';
import { createClient } from '@redis/client';
import { Keyv } from 'keyv';
import { lettingGo } from './letting_go.mjs';
import { check, finish, holds, host, pause, port, Refused, same, say, until } from './telling.mjs';

const adapted = process.argv[2] === 'letting-go';
const open = async () => {
  const client = await createClient({ socket: { host, port } }).connect();
  return adapted ? lettingGo(client) : client;
};
const client = await open();
const store = new Keyv({ store: new KeyvRedis(client, { namespace: 'cm' }), useKeyPrefix: false, throwOnErrors: true });
const cache = createCache({ stores: [store], ttl: 60_000 });
const version = (name) => JSON.parse(readFileSync(`node_modules/${name}/package.json`)).version;
say('version', `${version('cache-manager')} with @keyv/redis ${version('@keyv/redis')}`);

await check('set-and-get', async () => {
  await cache.set('user', { name: 'ada', tags: ['a', 'b'] });
  same(await cache.get('user'), { name: 'ada', tags: ['a', 'b'] });
  same((await cache.get('missing')) ?? null, null);
});
await check('default-time-to-live', async () => {
  const [key] = await client.keys('*user');
  const left = await client.pTTL(key);
  holds(left > 50_000 && left <= 60_000, '60 s', left);
});
await check('expiry', async () => {
  await cache.set('brief', 'v', 80);
  same(await cache.get('brief'), 'v');
  holds(await until(async () => (await cache.get('brief')) == null), 'the end of it');
});
await check('several', async () => {
  await cache.mset([{ key: 'one', value: 1 }, { key: 'two', value: 2, ttl: 30_000 }]);
  same((await cache.mget(['one', 'missing', 'two'])).map((value) => value ?? null), [1, null, 2]);
});
await check('wrap', async () => {
  let calls = 0;
  const made = () => cache.wrap('made', async () => { calls += 1; return calls; }, 60_000);
  same(await Promise.all([made(), made(), made()]), [1, 1, 1]);
  same([await made(), calls], [1, 1]);
});
await check('refresh-in-the-background', async () => {
  let calls = 0;
  const made = () => cache.wrap('fresh', async () => { calls += 1; return calls; }, 60_000, 70_000);
  same(await made(), 1);
  await made();
  holds(await until(async () => (await cache.get('fresh')) >= 2), 'a second call behind the first answer', calls);
});
for (const [name, act, kept] of [
  ['delete', () => cache.del('user'), () => cache.get('user')],
  ['clear', () => cache.clear(), () => cache.get('two')],
]) {
  await check(name, async () => {
    let failure;
    try {
      await act();
    } catch (error) {
      failure = error;
    }
    await pause(5);
    const left = (await kept()) ?? null;
    if (adapted) return same([failure?.message ?? null, left], [null, null]);
    holds(left !== null, 'the value stays', left);
    if (failure) {
      holds(failure.message.includes('refused by design'), 'an error that says so', failure);
      throw new Refused(`${name} raises, and the values stay`);
    }
    throw new Refused(`${name} reports no error, and the values stay`);
  });
}
client.destroy();
finish();
