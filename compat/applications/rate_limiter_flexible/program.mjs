// rate-limiter-flexible over ioredis: its atomic limiter, blocks, rewards, penalties, and deleting a key.
import { readFileSync } from 'node:fs';
import { Redis } from 'ioredis';
import flexible from 'rate-limiter-flexible';
import { check, finish, holds, host, port, same, say, until } from './telling.mjs';

const client = new Redis({ host, port });
say('version', JSON.parse(readFileSync('node_modules/rate-limiter-flexible/package.json')).version);
const limit = new flexible.RateLimiterRedis({ storeClient: client, keyPrefix: 'l', points: 3, duration: 60 });
const refused = async (one, key) => {
  const refusal = await one.consume(key).then(() => null, (error) => error);
  holds(refusal && !(refusal instanceof Error), 'a refusal', refusal);
  return refusal;
};

await check('consume', async () => {
  for (let number = 1; number <= 3; number += 1) same((await limit.consume('ada')).consumedPoints, number);
});
await check('exceeded', async () => holds((await refused(limit, 'ada')).msBeforeNext > 0, 'a time to wait'));
await check('get', async () => same((await limit.get('ada')).consumedPoints, 4));
await check('reward', async () => same((await limit.reward('ada', 2)).consumedPoints, 2));
await check('penalty', async () => same((await limit.penalty('ada', 1)).consumedPoints, 3));
await check('set', async () => { await limit.set('bob', 2, 60); same((await limit.get('bob')).consumedPoints, 2); });
await check('block', async () => { await limit.block('eve', 60); await refused(limit, 'eve'); });
await check('delete', async () => { same(await limit.delete('ada'), true); same(await limit.get('ada'), null); });
await check('after-delete', async () => same((await limit.consume('ada')).consumedPoints, 1));
await check('no-duration', async () => {
  const kept = new flexible.RateLimiterRedis({ storeClient: client, keyPrefix: 'n', points: 2, duration: 0 });
  await kept.consume('x');
  same((await kept.consume('x')).consumedPoints, 2);
});
await check('window-ends', async () => {
  const brief = new flexible.RateLimiterRedis({ storeClient: client, keyPrefix: 'b', points: 1, duration: 1 });
  await brief.consume('x');
  await refused(brief, 'x');
  holds(await until(async () => (await brief.get('x')) === null), 'the window to end');
  await brief.consume('x');
});
client.disconnect();
finish();
