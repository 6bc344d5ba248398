// express-rate-limit with rate-limit-redis: counts requests, and lets a client start anew.
import { readFileSync } from 'node:fs';
import express from 'express';
import { rateLimit } from 'express-rate-limit';
import { RedisStore } from 'rate-limit-redis';
import { createClient } from 'redis';
import { check, finish, holds, host, port, same, say, until } from './telling.mjs';

const client = await createClient({ socket: { host, port } }).connect();
client.on('error', () => {});
say('version', JSON.parse(readFileSync('node_modules/express-rate-limit/package.json')).version);
process.on('unhandledRejection', () => {});
const store = new RedisStore({ sendCommand: (...args) => client.sendCommand(args) });
const app = express();
const limiter = rateLimit({ windowMs: 60_000, limit: 3, standardHeaders: 'draft-7', legacyHeaders: false, store,
  keyGenerator: () => 'ada' });
app.use(limiter);
app.get('/', (_, response) => response.send('page'));
app.use((error, request, response, next) => response.status(500).send('error'));
const server = await new Promise((resolve) => { const made = app.listen(0, '127.0.0.1', () => resolve(made)); });
const ask = async () => (await fetch(`http://127.0.0.1:${server.address().port}/`)).status;

await check('limits-requests', async () => {
  const got = [];
  for (let number = 0; number < 5; number += 1) got.push(await ask());
  same(got, [200, 200, 200, 429, 429]);
});
await check('reset-key', async () => limiter.resetKey('ada'));
await check('serves-again', async () => same(await ask(), 200));
await check('get-key', async () => same((await limiter.getKey('ada')).totalHits, 1));
await check('window-ends', async () => {
  const brief = new RedisStore({ sendCommand: (...args) => client.sendCommand(args), prefix: 'b:' });
  brief.init({ windowMs: 500 });
  same((await brief.increment('x')).totalHits, 1);
  same((await brief.increment('x')).totalHits, 2);
  holds(await until(async () => (await client.pTTL('b:x')) < 0), 'the window to end');
  same((await brief.increment('x')).totalHits, 1);
});
server.close();
await client.close();
finish();
