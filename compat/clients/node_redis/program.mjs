// node-redis, in RESP2 or RESP3: `node program.mjs 2|3`.
import { readFileSync } from 'node:fs';
import { createClient, RESP_TYPES, WatchError } from 'redis';
import {
  authPort, check, finish, holds, host, Left, password, pause, port, rejects, restart, same, say, tlsCa, tlsPort, until,
} from './telling.mjs';

const protocol = Number(process.argv[2]);
const opened = [];

async function connect(options = {}) {
  const { at = port, ...more } = options;
  const client = createClient({ RESP: protocol, socket: { host, port: at, reconnectStrategy: 20 }, ...more });
  client.on('error', () => {});
  opened.push(client);
  await client.connect();
  return client;
}

async function withResp(version) {
  const client = await connect({ RESP: version });
  await client.set('resp', 'v', { EX: 60 });
  same(await client.mGet(['resp', 'missing']), ['v', null]);
  const hello = await client.hello(version);
  same(hello.proto, version);
}

say('version', JSON.parse(readFileSync('node_modules/redis/package.json')).version);
await check('connect', async () => {
  const client = createClient({ socket: { host, port } });
  client.on('error', () => {});
  opened.push(client);
  await client.connect();
  same(await client.ping(), 'PONG');
});
await check('resp2', () => withResp(2));
await check('resp3', () => withResp(3));
const client = await connect();

const inSeconds = Math.floor(Date.now() / 1000) + 60;
for (const [name, expiration] of [
  ['set-ex', { type: 'EX', value: 60 }],
  ['set-px', { type: 'PX', value: 60_000 }],
  ['set-exat', { type: 'EXAT', value: inSeconds }],
  ['set-pxat', { type: 'PXAT', value: Date.now() + 60_000 }],
]) {
  await check(name, async () => {
    same(await client.set(name, 'v', { expiration }), 'OK');
    const left = await client.pTTL(name);
    holds(left > 50_000 && left <= 60_000, '50000..60000 ms', left);
  });
}
await check('set-keepttl', async () => {
  await client.set('kept', 'a', { EX: 60 });
  same(await client.set('kept', 'b', { expiration: 'KEEPTTL' }), 'OK');
  const left = await client.ttl('kept');
  same([await client.get('kept'), left > 50 && left <= 60], ['b', true]);
});
await check('default-ttl', async () => {
  await client.set('bare', 'v');
  holds((await client.ttl('bare')) > 0, 'a time to live');
});
await check('get', async () => same(await client.get('set-ex'), 'v'));
await check('get-missing', async () => same(await client.get('missing'), null));
await check('mget', async () => same(await client.mGet(['set-ex', 'missing', 'set-px']), ['v', null, 'v']));
await check('set-nx', async () => {
  const set = (value) => client.set('once', value, { EX: 60, condition: 'NX' });
  same([await set('a'), await set('b'), await client.get('once')], ['OK', null, 'a']);
});
await check('expire', async () => {
  await client.set('shortened', 'v', { EX: 600 });
  same([await client.expire('shortened', 100), await client.pExpire('missing', 100)], [1, 0]);
  const left = await client.ttl('shortened');
  holds(left > 95 && left <= 100, '100 s', left);
});
await check('ttl', async () => same([await client.ttl('missing'), (await client.ttl('set-ex')) > 50], [-2, true]));
await check('incr', async () => {
  same([await client.incr('n'), await client.incrBy('n', 5), await client.decr('n')], [1, 6, 5]);
  same(Number(await client.incrByFloat('f', 1.5)), 1.5);
});
await check('scan', async () => {
  await Promise.all(Array.from({ length: 300 }, (_, i) => client.set(`scan:${i}`, `${i}`, { EX: 60 })));
  const seen = new Set();
  for await (const keys of client.scanIterator({ MATCH: 'scan:*', COUNT: 17 })) for (const key of keys) seen.add(key);
  same(seen.size, 300);
});
await check('pipeline', async () => {
  const asked = Array.from({ length: 200 }, (_, i) =>
    [client.set(`pipe:${i}`, `${i}`, { EX: 60 }), client.get(`pipe:${i}`)]);
  same(await Promise.all(asked.flat()), Array.from({ length: 200 }, (_, i) => ['OK', `${i}`]).flat());
});
await check('multi', async () =>
  same(await client.multi().set('m', '1', { EX: 60 }).incr('m').get('m').exec(), ['OK', 2, '2']));
await check('watch', async () => {
  const other = await connect();
  await client.set('watched', '1', { EX: 60 });
  await other.watch('watched');
  await client.set('watched', '2', { EX: 60 });
  try {
    await other.multi().set('watched', '3', { EX: 60 }).exec();
    holds(false, 'WatchError', 'none');
  } catch (error) {
    holds(error instanceof WatchError, 'WatchError', error);
  }
  same(await client.get('watched'), '2');
});
await check('publish-subscribe', async () => {
  const listener = await connect();
  const got = [];
  await listener.subscribe('news', (message, channel) => got.push([channel, message]));
  await listener.pSubscribe('ne?t', (message, channel) => got.push([channel, message]));
  same([await client.publish('news', 'one'), await client.publish('next', 'two'), await client.publish('nobody', 'x')],
    [1, 1, 0]);
  await until(() => got.length === 2);
  same(got, [['news', 'one'], ['next', 'two']]);
  await listener.unsubscribe('news');
  same(await client.publish('news', 'three'), 0);
});
await check('expired-event', async () => {
  const listener = await connect();
  const got = [];
  await listener.subscribe('__keyevent@0__:expired', (key) => got.push(key));
  await client.set('brief', 'v', { PX: 80 });
  await until(() => got.includes('brief'));
  same([got.filter((key) => key === 'brief'), await client.get('brief')], [['brief'], null]);
});
const bytes = client.withTypeMapping({ [RESP_TYPES.BLOB_STRING]: Buffer });
await check('binary', async () => {
  const value = Buffer.concat([Buffer.from(Array.from({ length: 256 }, (_, i) => 255 - i)),
    Buffer.from('\r\n$-1\r\n')]);
  await client.set(Buffer.from([0, 255, 13, 10]), value, { EX: 60 });
  same(await bytes.get(Buffer.from([0, 255, 13, 10])), value);
});
await check('mebibyte', async () => {
  const value = Buffer.alloc(1 << 20, Buffer.from(Array.from({ length: 251 }, (_, i) => i)));
  await client.set('large', value, { EX: 60 });
  same(await client.strLen('large'), 1 << 20);
  same(await bytes.get('large'), value);
});
await check('auth', async () => same(await (await connect({ at: authPort, password })).ping(), 'PONG'));
await check('auth-refused', async () => {
  const other = createClient({ RESP: protocol, password: 'wrong',
    socket: { host, port: authPort, reconnectStrategy: false } });
  other.on('error', () => {});
  await rejects(() => other.connect(), 'invalid username-password pair');
});
await check('select', async () => {
  const other = await connect({ database: 5 });
  await other.set('there', 'v', { EX: 60 });
  same([await other.get('there'), await client.get('there')], ['v', null]);
  await rejects(() => other.select(99), 'DB index is out of range');
  other.destroy(); // it would select 99 again whenever it connects
});
await check('del-refused', async () => {
  await client.set('stays', 'v', { EX: 60 });
  await rejects(() => client.del('stays'), 'refused by design');
  await rejects(() => client.flushDb(), 'refused by design');
  same(await client.get('stays'), 'v');
});
await check('del-in-multi', async () => {
  try {
    const got = await client.multi().set('sibling', 'v', { EX: 60 }).del('sibling').exec();
    holds(false, 'MultiErrorReply', got);
  } catch (error) {
    same([error.replies?.[0], String(error.replies?.[1]).includes('refused by design')], ['OK', true]);
  }
  same(await client.get('sibling'), 'v');
});
await check('restart', async () => {
  await restart();
  await until(() => client.isReady);
  await pause(20);
  same([await client.set('after', 'v', { EX: 60 }), await client.get('after')], ['OK', 'v']);
});
await check('tls', async () => {
  if (!tlsPort) throw new Left('the node has no TLS for clients');
  const other = createClient({ RESP: protocol, socket: { host, port: tlsPort, tls: true, ca: readFileSync(tlsCa) } });
  opened.push(other);
  await other.connect();
  same(await other.ping(), 'PONG');
});
for (const one of opened.filter((one) => one.isOpen)) one.destroy();
finish();
