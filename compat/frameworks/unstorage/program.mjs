// unstorage with its Redis driver, as an application's cache.
import { readFileSync } from 'node:fs';
import { createStorage } from 'unstorage';
import driver from 'unstorage/drivers/redis';
import { check, finish, holds, host, port, Refused, rejects, same, say, until } from './telling.mjs';

const place = driver({ base: 'app', host, port, ttl: 60, scanCount: 7 });
const storage = createStorage({ driver: place });
const client = place.getInstance();
say('version', JSON.parse(readFileSync('node_modules/unstorage/package.json')).version);

await check('item', async () => {
  await storage.setItem('user:1', { name: 'ada' });
  same(await storage.getItem('user:1'), { name: 'ada' });
  same([await storage.getItem('user:2'), await storage.hasItem('user:1'), await storage.hasItem('user:2')],
    [null, true, false]);
});
await check('default-time-to-live', async () => {
  const left = await client.ttl('app:user:1');
  holds(left > 50 && left <= 60, '60 s', left);
});
await check('time-to-live-of-one', async () => {
  await storage.setItem('brief', 'v', { ttl: 1 });
  same(await storage.getItem('brief'), 'v');
  holds(await until(async () => !(await storage.hasItem('brief'))), 'the end of it');
});
await check('without-time-to-live', async () => {
  const bare = createStorage({ driver: driver({ base: 'bare', host, port }) });
  await bare.setItem('k', 'v');
  same(await bare.getItem('k'), 'v');
  holds((await client.ttl('bare:k')) > 0, 'the default one of the node');
  await bare.dispose();
});
await check('items', async () => {
  await storage.setItems([{ key: 'a', value: 1 }, { key: 'b', value: 'two' }]);
  same((await storage.getItems(['a', 'missing', 'b'])).map((item) => item.value), [1, null, 'two']);
});
await check('raw', async () => {
  const bytes = Buffer.from(Array.from({ length: 256 }, (_, place) => 255 - place));
  await storage.setItemRaw('raw', bytes);
  same(Buffer.from(await storage.getItemRaw('raw')), bytes);
});
await check('keys', async () => {
  for (let number = 0; number < 40; number += 1) await storage.setItem(`many:${number}`, number);
  same((await storage.getKeys('many')).length, 40);
});
await check('remove', async () => {
  await rejects(() => storage.removeItem('a'), 'refused by design');
  same(await storage.getItem('a'), 1);
  throw new Refused('removeItem raises, and the value stays');
});
await check('clear', async () => {
  await rejects(() => storage.clear(), 'refused by design');
  same((await storage.getKeys('many')).length, 40);
  throw new Refused('clear raises, and the values stay');
});
await storage.dispose();
finish();
