// rate-limiter-flexible: `node program.mjs scripted|plain`. Its first choice counts in a script.
import { readFileSync } from 'node:fs';
import { Redis } from 'ioredis';
import flexible from 'rate-limiter-flexible';
import { createClient } from 'redis';
import { check, finish, holds, host, port, Refused, rejects, same, say, until } from './telling.mjs';

const { RateLimiterMemory, RateLimiterRedis, RateLimiterRedisNonAtomic } = flexible;
const ioredis = new Redis({ host, port });
const node = await createClient({ socket: { host, port } }).connect();
say('version', JSON.parse(readFileSync('node_modules/rate-limiter-flexible/package.json')).version);

const clients = [['ioredis', { storeClient: ioredis }], ['node-redis', { storeClient: node, useRedisPackage: true }]];
const limiter = (Kind, client, name, more) =>
  new Kind({ ...client, keyPrefix: name, points: 3, duration: 60, ...more });
const consumed = async (limit, key, times) => {
  for (let number = 1; number <= times; number += 1) same((await limit.consume(key)).consumedPoints, number);
};
const exceeded = async (limit, key) => {
  const refusal = await limit.consume(key).then(() => null, (error) => error);
  holds(refusal && !(refusal instanceof Error) && refusal.remainingPoints === 0, 'a rejection with no points left',
    refusal);
  return refusal.msBeforeNext;
};

for (const [name, client] of process.argv[2] === 'scripted' ? clients : []) {
  await check(`consume-${name}`, async () => {
    const limit = limiter(RateLimiterRedis, client, `s-${name}`);
    await consumed(limit, 'ada', 3);
    holds(await exceeded(limit, 'ada') > 50_000, '60 s');
  });
  await check(`insurance-${name}`, async () => {
    const insuranceLimiter = new RateLimiterMemory({ points: 3, duration: 60 });
    const limit = limiter(RateLimiterRedis, client, `i-${name}`, { insuranceLimiter });
    await consumed(limit, 'ada', 3);
    await exceeded(limit, 'ada');
  });
  await check(`no-duration-${name}`, async () => {
    const limit = limiter(RateLimiterRedis, client, `n-${name}`, { duration: 0 });
    await consumed(limit, 'ada', 3);
    await exceeded(limit, 'ada');
    same((await limit.get('ada')).consumedPoints, 4);
  });
  await check(`block-${name}`, async () => {
    const limit = limiter(RateLimiterRedis, client, `b-${name}`);
    await limit.block('ada', 30);
    const left = (await limit.get('ada')).msBeforeNext;
    holds(left > 20_000 && left <= 30_000, '30 s', left);
  });
}
for (const [name, client] of process.argv[2] === 'plain' ? clients : []) {
  await check(`consume-${name}`, async () => {
    const limit = limiter(RateLimiterRedisNonAtomic, client, `p-${name}`);
    await consumed(limit, 'ada', 3);
    const left = await exceeded(limit, 'ada');
    holds(left > 50_000 && left <= 60_000, '60 s', left);
    await consumed(limit, 'ben', 1);
  });
  await check(`window-ends-${name}`, async () => {
    const limit = limiter(RateLimiterRedisNonAtomic, client, `w-${name}`, { points: 1, duration: 1 });
    await consumed(limit, 'ada', 1);
    await exceeded(limit, 'ada');
    holds(await until(async () => (await limit.get('ada')) === null), 'the end of the window');
    await consumed(limit, 'ada', 1);
  });
  await check(`penalty-and-reward-${name}`, async () => {
    const limit = limiter(RateLimiterRedisNonAtomic, client, `r-${name}`);
    await limit.penalty('ada', 2);
    await limit.reward('ada', 1);
    same((await limit.get('ada')).consumedPoints, 1);
  });
  await check(`block-${name}`, async () => {
    const limit = limiter(RateLimiterRedisNonAtomic, client, `b-${name}`);
    await limit.block('ada', 30);
    const left = await exceeded(limit, 'ada');
    holds(left > 20_000 && left <= 30_000, '30 s', left);
  });
  await check(`delete-${name}`, async () => {
    const limit = limiter(RateLimiterRedisNonAtomic, client, `d-${name}`);
    await consumed(limit, 'ada', 1);
    await rejects(() => limit.delete('ada'), 'refused by design');
    same((await limit.get('ada')).consumedPoints, 1);
    throw new Refused('delete raises, and the count stays until the window ends');
  });
}
ioredis.disconnect();
node.destroy();
finish();
