// ioredis and its fork: `node program.mjs ioredis|iovalkey`.
import { readFileSync } from 'node:fs';
import {
  authPort, check, finish, holds, host, Left, password, port, rejects, restart, same, say, socket, tlsCa,
  tlsPort, until,
} from './telling.mjs';

const name = process.argv[2];
const module = await import(name);
const Redis = module.Redis ?? module.default;
const opened = [];

function connect(options = {}) {
  const place = socket && !options.port ? { path: socket } : { host, port };
  const client = new Redis({ ...place, retryStrategy: () => 20, ...options });
  client.on('error', () => {});
  opened.push(client);
  return client;
}

say('version', JSON.parse(readFileSync(`node_modules/${name}/package.json`)).version);
await check('connect', async () => {
  const other = connect();
  same(await other.ping(), 'PONG');
  same((await other.client('INFO')).includes(` addr=${socket}:0 `), Boolean(socket));
});
const client = connect({ maxRetriesPerRequest: 100 });
const withProtocol = (protocol) => async () => {
  const other = connect({ protocol });
  await other.set('resp', 'v', 'EX', 60);
  same(await other.mget('resp', 'missing'), ['v', null]);
  const line = (await other.client('INFO')).split(' ').find((one) => one.startsWith('resp='));
  if (protocol === 3 && line === 'resp=2') throw new Left('this client speaks RESP2 only');
  same(line?.trim(), `resp=${protocol}`);
};
await check('resp2', withProtocol(2));
await check('resp3', withProtocol(3));

for (const [form, token, value] of [
  ['set-ex', 'EX', 60],
  ['set-px', 'PX', 60_000],
  ['set-exat', 'EXAT', Math.floor(Date.now() / 1000) + 60],
  ['set-pxat', 'PXAT', Date.now() + 60_000],
]) {
  await check(form, async () => {
    same(await client.set(form, 'v', token, value), 'OK');
    const left = await client.pttl(form);
    holds(left > 50_000 && left <= 60_000, '50000..60000 ms', left);
  });
}
await check('set-keepttl', async () => {
  await client.set('kept', 'a', 'EX', 60);
  same(await client.set('kept', 'b', 'KEEPTTL'), 'OK');
  const left = await client.ttl('kept');
  same([await client.get('kept'), left > 50 && left <= 60], ['b', true]);
});
await check('default-ttl', async () => {
  await client.set('bare', 'v');
  holds((await client.ttl('bare')) > 0, 'a time to live');
});
await check('get', async () => same(await client.get('set-ex'), 'v'));
await check('get-missing', async () => same(await client.get('missing'), null));
await check('mget', async () => same(await client.mget('set-ex', 'missing', 'set-px'), ['v', null, 'v']));
await check('set-nx', async () => {
  const set = (value) => client.set('once', value, 'EX', 60, 'NX');
  same([await set('a'), await set('b'), await client.get('once')], ['OK', null, 'a']);
});
await check('expire', async () => {
  await client.set('shortened', 'v', 'EX', 600);
  same([await client.expire('shortened', 100), await client.pexpire('missing', 100)], [1, 0]);
  const left = await client.ttl('shortened');
  holds(left > 95 && left <= 100, '100 s', left);
});
await check('ttl', async () => same([await client.ttl('missing'), (await client.ttl('set-ex')) > 50], [-2, true]));
await check('incr', async () => {
  same([await client.incr('n'), await client.incrby('n', 5), await client.decr('n')], [1, 6, 5]);
  same(Number(await client.incrbyfloat('f', 1.5)), 1.5);
});
await check('scan', async () => {
  await Promise.all(Array.from({ length: 300 }, (_, i) => client.set(`scan:${i}`, i, 'EX', 60)));
  const seen = new Set();
  for await (const keys of client.scanStream({ match: 'scan:*', count: 17 })) for (const key of keys) seen.add(key);
  same(seen.size, 300);
});
await check('pipeline', async () => {
  const pipe = client.pipeline();
  for (let i = 0; i < 200; i += 1) pipe.set(`pipe:${i}`, i, 'EX', 60).get(`pipe:${i}`);
  same(await pipe.exec(), Array.from({ length: 200 }, (_, i) => [[null, 'OK'], [null, `${i}`]]).flat());
});
await check('multi', async () => {
  same(await client.multi().set('m', 1, 'EX', 60).incr('m').get('m').exec(), [[null, 'OK'], [null, 2], [null, '2']]);
});
await check('watch', async () => {
  const other = connect();
  await client.set('watched', 1, 'EX', 60);
  await other.watch('watched');
  await client.set('watched', 2, 'EX', 60);
  same(await other.multi().set('watched', 3, 'EX', 60).exec(), null);
  same(await client.get('watched'), '2');
});
await check('publish-subscribe', async () => {
  const listener = connect();
  const got = [];
  listener.on('message', (channel, message) => got.push([channel, message]));
  listener.on('pmessage', (pattern, channel, message) => got.push([channel, message]));
  same([await listener.subscribe('news'), await listener.psubscribe('ne?t')], [1, 2]);
  same([await client.publish('news', 'one'), await client.publish('next', 'two'), await client.publish('nobody', 'x')],
    [1, 1, 0]);
  await until(() => got.length === 2);
  same(got, [['news', 'one'], ['next', 'two']]);
  same([await listener.unsubscribe('news'), await listener.punsubscribe('ne?t')], [1, 0]);
  same(await listener.get('missing'), null);
});
await check('expired-event', async () => {
  const listener = connect();
  const got = [];
  listener.on('message', (channel, key) => got.push(key));
  await listener.subscribe('__keyevent@0__:expired');
  await client.set('brief', 'v', 'PX', 80);
  await until(() => got.includes('brief'));
  same([got.filter((key) => key === 'brief'), await client.get('brief')], [['brief'], null]);
});
await check('binary', async () => {
  const key = Buffer.from([0, 255, 13, 10]);
  const value = Buffer.concat([Buffer.from(Array.from({ length: 256 }, (_, i) => 255 - i)),
    Buffer.from('\r\n$-1\r\n')]);
  await client.set(key, value, 'EX', 60);
  same(await client.getBuffer(key), value);
});
await check('mebibyte', async () => {
  const value = Buffer.alloc(1 << 20, Buffer.from(Array.from({ length: 251 }, (_, i) => i)));
  await client.set('large', value, 'EX', 60);
  same(await client.strlen('large'), 1 << 20);
  same(await client.getBuffer('large'), value);
});
await check('auth', async () => same(await connect({ port: authPort, password }).ping(), 'PONG'));
await check('auth-refused', async () => {
  const other = connect({ port: authPort, password: 'wrong', retryStrategy: null, maxRetriesPerRequest: 0 });
  const errors = [];
  other.on('error', (error) => errors.push(error.message));
  await rejects(() => other.ping(), '');
  holds(errors.some((text) => text.includes('invalid username-password pair')), 'WRONGPASS', errors);
});
await check('select', async () => {
  const other = connect({ db: 5 });
  await other.set('there', 'v', 'EX', 60);
  same([await other.get('there'), await client.get('there')], ['v', null]);
  await rejects(() => other.select(99), 'DB index is out of range');
  other.disconnect(); // it would select 99 again whenever it connects
});
await check('del-refused', async () => {
  await client.set('stays', 'v', 'EX', 60);
  await rejects(() => client.del('stays'), 'refused by design');
  await rejects(() => client.flushdb(), 'refused by design');
  same(await client.get('stays'), 'v');
});
await check('del-in-multi', async () => {
  const got = await client.multi().set('sibling', 'v', 'EX', 60).del('sibling').exec();
  same([got[0], String(got[1][0]?.message).includes('refused by design')], [[null, 'OK'], true]);
  same(await client.get('sibling'), 'v');
});
await check('restart', async () => {
  await restart();
  same([await client.set('after', 'v', 'EX', 60), await client.get('after')], ['OK', 'v']);
});
await check('tls', async () => {
  if (!tlsPort) throw new Left('the node has no TLS for clients');
  same(await connect({ port: tlsPort, tls: { ca: readFileSync(tlsCa) } }).ping(), 'PONG');
});
for (const one of opened) one.disconnect();
finish();
