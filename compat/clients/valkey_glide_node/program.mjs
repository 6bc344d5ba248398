// valkey-glide for Node: its core is in Rust; batches for pipelines and transactions, subscriptions in the
// configuration.
import { readFileSync } from 'node:fs';
import { Batch, Decoder, GlideClient, ProtocolVersion, TimeUnit } from '@valkey/valkey-glide';
import { authPort, check, finish, holds, host, password, pause, port, rejects, restart, same, say, tlsCa,
  tlsPort } from './telling.mjs';

const opened = [];
async function connect(at = port, options = {}) {
  const client = await GlideClient.createClient({ addresses: [{ host, port: at }], requestTimeout: 10_000,
    ...options });
  opened.push(client);
  return client;
}
const seconds = (count) => ({ expiry: { type: TimeUnit.Seconds, count } });

say('version', JSON.parse(readFileSync('node_modules/@valkey/valkey-glide/package.json')).version);
const client = await connect();
await check('connect', async () => same(await client.ping(), 'PONG'));
for (const [name, protocol] of [['resp2', ProtocolVersion.RESP2], ['resp3', ProtocolVersion.RESP3]]) {
  await check(name, async () => {
    const other = await connect(port, { protocol });
    await other.set('resp', 'v', seconds(60));
    same(await other.mget(['resp', 'missing']), ['v', null]);
    const info = String(await other.customCommand(['CLIENT', 'INFO']));
    holds(info.includes(`resp=${name.at(-1)}`), name, info);
  });
}
for (const [form, type, count] of [
  ['set-ex', TimeUnit.Seconds, 60],
  ['set-px', TimeUnit.Milliseconds, 60_000],
  ['set-exat', TimeUnit.UnixSeconds, Math.floor(Date.now() / 1000) + 60],
  ['set-pxat', TimeUnit.UnixMilliseconds, Date.now() + 60_000],
]) {
  await check(form, async () => {
    same(await client.set(form, 'v', { expiry: { type, count } }), 'OK');
    const left = await client.pttl(form);
    holds(left > 50_000 && left <= 60_000, '50000..60000 ms', left);
  });
}
await check('set-keepttl', async () => {
  await client.set('kept', 'a', seconds(60));
  same(await client.set('kept', 'b', { expiry: 'keepExisting' }), 'OK');
  const left = await client.ttl('kept');
  same([await client.get('kept'), left > 50 && left <= 60], ['b', true]);
});
await check('default-ttl', async () => {
  await client.set('bare', 'v');
  holds((await client.ttl('bare')) > 0, 'a time to live');
});
await check('get', async () => same(await client.get('set-ex'), 'v'));
await check('get-missing', async () => same(await client.get('missing'), null));
await check('mget', async () => same(await client.mget(['set-ex', 'missing', 'set-px']), ['v', null, 'v']));
await check('set-nx', async () => {
  const set = (value) => client.set('once', value, { conditionalSet: 'onlyIfDoesNotExist', ...seconds(60) });
  same([await set('a'), await set('b'), await client.get('once')], ['OK', null, 'a']);
});
await check('expire', async () => {
  await client.set('shortened', 'v', seconds(600));
  same([await client.expire('shortened', 100), await client.pexpire('missing', 100)], [true, false]);
  const left = await client.ttl('shortened');
  holds(left > 95 && left <= 100, '100 s', left);
});
await check('ttl', async () => same([await client.ttl('missing'), (await client.ttl('set-ex')) > 50], [-2, true]));
await check('incr', async () => {
  same([await client.incr('n'), await client.incrBy('n', 5), await client.decr('n')], [1, 6, 5]);
  same(Number(await client.incrByFloat('f', 1.5)), 1.5);
});
await check('scan', async () => {
  await Promise.all(Array.from({ length: 300 }, (_, i) => client.set(`scan:${i}`, `${i}`, seconds(60))));
  const seen = new Set();
  let cursor = '0';
  do {
    const [next, keys] = await client.scan(cursor, { match: 'scan:*', count: 17 });
    for (const key of keys) seen.add(key);
    cursor = next;
  } while (cursor !== '0');
  same(seen.size, 300);
});
await check('pipeline', async () => {
  const batch = new Batch(false);
  for (let i = 0; i < 200; i += 1) batch.set(`pipe:${i}`, `${i}`, seconds(60)).get(`pipe:${i}`);
  same(await client.exec(batch, true), Array.from({ length: 200 }, (_, i) => ['OK', `${i}`]).flat());
});
await check('multi', async () =>
  same(await client.exec(new Batch(true).set('m', '1', seconds(60)).incr('m').get('m'), true), ['OK', 2, '2']));
await check('watch', async () => {
  const other = await connect();
  await client.watch(['watched']);
  await other.set('watched', '2', seconds(60));
  same([await client.exec(new Batch(true).set('watched', '3', seconds(60)), true), await client.get('watched')],
    [null, '2']);
});
const listening = (mode, name) =>
  connect(port, { protocol: ProtocolVersion.RESP3,
    pubsubSubscriptions: { channelsAndPatterns: { [mode]: new Set([name]) } } });
const EXACT = 0;
const PATTERN = 1;
await check('publish-subscribe', async () => {
  const listener = await listening(PATTERN, 'ne*');
  same([await client.publish('one', 'news'), await client.publish('x', 'nobody')], [1, 0]);
  const got = await listener.getPubSubMessage();
  same([got.channel, got.message], ['news', 'one']);
});
await check('expired-event', async () => {
  const listener = await listening(EXACT, '__keyevent@0__:expired');
  await client.set('brief', 'v', { expiry: { type: TimeUnit.Milliseconds, count: 80 } });
  same([(await listener.getPubSubMessage()).message, await client.get('brief')], ['brief', null]);
});
const asBytes = { decoder: Decoder.Bytes };
await check('binary', async () => {
  const key = Buffer.from([0, 255, 13, 10]);
  const value = Buffer.concat([Buffer.from(Array.from({ length: 256 }, (_, i) => 255 - i)),
    Buffer.from('\r\n$-1\r\n')]);
  await client.set(key, value, seconds(60));
  same(await client.get(key, asBytes), value);
});
await check('mebibyte', async () => {
  const value = Buffer.alloc(1 << 20, Buffer.from(Array.from({ length: 251 }, (_, i) => i)));
  await client.set('large', value, seconds(60));
  same(await client.strlen('large'), 1 << 20);
  same(await client.get('large', asBytes), value);
});
await check('auth', async () => same(await (await connect(authPort, { credentials: { password } })).ping(), 'PONG'));
await check('auth-refused', async () => {
  // Its core passes the node's words on, or its own "AuthenticationFailed": which of the two is a matter of time.
  const { message } = await rejects(() => connect(authPort, { credentials: { password: 'wrong' } }), '');
  holds(/invalid username-password pair|AuthenticationFailed/.test(message), 'WRONGPASS', message);
});
await check('select', async () => {
  const other = await connect(port, { databaseId: 5 });
  await other.set('there', 'v', seconds(60));
  same([await other.get('there'), await client.get('there')], ['v', null]);
  await rejects(() => other.select(99), 'DB index is out of range');
});
await check('del-refused', async () => {
  await client.set('stays', 'v', seconds(60));
  await rejects(() => client.del(['stays']), 'refused by design');
  await rejects(() => client.flushdb(), 'refused by design');
  same(await client.get('stays'), 'v');
});
await check('del-in-multi', async () => {
  const got = await client.exec(new Batch(true).set('sibling', 'v', seconds(60)).del(['sibling']), false);
  same([got[0], String(got[1]?.message).includes('refused by design'), await client.get('sibling')], ['OK', true, 'v']);
});
await check('restart', async () => {
  await restart();
  for (let tries = 0; tries < 200; tries += 1) {
    try {
      same(await client.ping(), 'PONG');
      break;
    } catch {
      await pause(20);
    }
  }
  same([await client.set('after', 'v', seconds(60)), await client.get('after')], ['OK', 'v']);
});
await check('tls', async () => {
  const advancedConfiguration = { tlsAdvancedConfiguration: { rootCertificates: readFileSync(tlsCa) } };
  same(await (await connect(tlsPort, { useTLS: true, advancedConfiguration })).ping(), 'PONG');
});
for (const one of opened) one.close();
finish();
