// The formats of docs/patterns/formats.md in Node, on nothing but its own modules: written for the Python library to
// read, and the reverse.
//   node program.mjs vectors formats.json          every key and sealed text of the vectors
//   node program.mjs write PORT NAME SECRET        one of each core pattern under NAME
//   node program.mjs read PORT NAME SECRET         what the library wrote under NAME
import { createCipheriv, createDecipheriv, createHash, hkdfSync, randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { connect } from 'node:net';

const SAFE = /[A-Za-z0-9_.~/@+,=!$&'()*;\- ]/;
const fail = (what, got, expected) => {
  console.error(`fail ${what}: expected=${expected} got=${got}`);
  process.exit(1);
};
const same = (what, got, expected) => {
  const [a, b] = [got, expected].map((each) => (Buffer.isBuffer(each) ? each.toString('hex') : JSON.stringify(each)));
  if (a !== b) fail(what, a, b);
};
const hex = (bytes) => Buffer.from(bytes).toString('hex');
const sha256 = (bytes) => createHash('sha256').update(bytes).digest('hex');

// -- keys ------------------------------------------------------------------------------------------
export function level(text) {
  return [...Buffer.from(text)].map((byte) => {
    const letter = String.fromCharCode(byte);
    return SAFE.test(letter) ? letter : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`;
  }).join('');
}
export function derived(prefix, ...parts) {
  const digest = createHash('sha256');
  for (const part of parts) {
    const length = Buffer.alloc(8);
    length.writeBigUInt64BE(BigInt(Buffer.byteLength(part)));
    digest.update(length).update(part);
  }
  return `${prefix}:${digest.digest('hex')}`;
}

// -- sealing ---------------------------------------------------------------------------------------
const secretBytes = (secret) => Buffer.from(secret, 'base64url');
const stretched = (secret, salt, purpose, length) =>
  Buffer.from(hkdfSync('sha256', secretBytes(secret), salt, `respram patterns 1 ${purpose}`, length));
const relayKey = (secret, slot) => hex(stretched(secret, '', `slot ${slot}`, 16));
function seal(secret, plain, context) {
  const salt = randomBytes(16);
  const keys = stretched(secret, salt, 'seal', 40);
  const header = Buffer.concat([Buffer.from([1]), salt, keys.subarray(32)]);
  const cipher = createCipheriv('aes-256-gcm', keys.subarray(0, 32), Buffer.alloc(12));
  cipher.setAAD(Buffer.concat([header, Buffer.from(context)]));
  return Buffer.concat([header, cipher.update(plain), cipher.final(), cipher.getAuthTag()]);
}
function open(secret, sealed, context) {
  const header = sealed.subarray(0, 25);
  const keys = stretched(secret, header.subarray(1, 17), 'seal', 40);
  same('check bytes', header.subarray(17), keys.subarray(32));
  const cipher = createDecipheriv('aes-256-gcm', keys.subarray(0, 32), Buffer.alloc(12));
  cipher.setAAD(Buffer.concat([header, Buffer.from(context)]));
  cipher.setAuthTag(sealed.subarray(sealed.length - 16));
  return Buffer.concat([cipher.update(sealed.subarray(25, sealed.length - 16)), cipher.final()]);
}

// -- a client of RESP, as small as it can be --------------------------------------------------------
class Client {
  constructor(port) {
    this.socket = connect(port, '127.0.0.1');
    this.data = Buffer.alloc(0);
    this.waiting = [];
    this.socket.on('data', (data) => {
      this.data = Buffer.concat([this.data, data]);
      for (let found = this.parse(0); found; found = this.parse(0)) {
        this.data = this.data.subarray(found[1]);
        this.waiting.shift()(found[0]);
      }
    });
    this.socket.on('error', (error) => fail('connection', error.message, 'none'));
  }

  parse(at) {
    const end = this.data.indexOf('\r\n', at);
    if (end < 0) return null;
    const [kind, text] = [String.fromCharCode(this.data[at]), this.data.toString('latin1', at + 1, end)];
    if (kind === '+') return [text, end + 2];
    if (kind === '-') return fail('reply', text, 'no error');
    if (kind === ':') return [Number(text), end + 2];
    const count = Number(text);
    if (count < 0) return [null, end + 2];
    if (kind === '$') return this.data.length < end + 4 + count
      ? null : [this.data.subarray(end + 2, end + 2 + count), end + 4 + count];
    const parts = [];
    let next = end + 2;
    for (let i = 0; i < count; i += 1) {
      const part = this.parse(next);
      if (!part) return null;
      parts.push(part[0]);
      next = part[1];
    }
    return [parts, next];
  }

  do(...words) {
    const parts = words.map((word) => (Buffer.isBuffer(word) ? word : Buffer.from(String(word))));
    this.socket.write(Buffer.concat([Buffer.from(`*${parts.length}\r\n`),
      ...parts.flatMap((part) => [Buffer.from(`$${part.length}\r\n`), part, Buffer.from('\r\n')])]));
    return new Promise((resolve) => this.waiting.push(resolve));
  }
}

// -- the core patterns -------------------------------------------------------------------------------
const CHUNKS = [Buffer.from('first '), Buffer.from('second')];
const head = (next, life, closed) => {
  const bytes = Buffer.alloc(17);
  bytes.writeBigUInt64BE(BigInt(next), 0);
  bytes.writeBigUInt64BE(life, 8);
  bytes[16] = closed;
  return bytes;
};

const claim = (holder) => JSON.stringify({ holder, nonce: hex(randomBytes(16)) });
// Claims what is free, and lets go of it: another's claim stays as it is, and the key is free at once.
async function letGo(client, key) {
  const mine = claim('passing');
  same('claim', await client.do('SET', key, mine, 'NX', 'PX', 60_000), 'OK');
  same("letting go of another's", await client.do('SET', key, '', 'IFEQ', claim('passing'), 'PX', 1), null);
  same('still held', String(await client.do('GET', key)), mine);
  same('letting go', await client.do('SET', key, '', 'IFEQ', mine, 'PX', 1), 'OK');
}
async function enter(client, base, name, ms) {
  await client.do('HSETEX', base, 'PX', ms, 'FIELDS', 1, name, '');
  await client.do('PEXPIRE', base, ms, 'NX');
  await client.do('PEXPIRE', base, ms, 'GT');
}

async function write(port, name, secret) {
  const client = new Client(port);
  const [ms, group] = [60_000, level(name)];
  await client.do('SET', derived('handoff', name, 'a', 'b'), 'a drop', 'PX', ms);
  same('claim', await client.do('SET', `lock:${name}`, claim('other'), 'NX', 'PX', ms), 'OK');
  await letGo(client, `lock:${name}:gone`);
  await client.do('SET', `heartbeat:${group}:worker`, 'load 1', 'PX', ms);
  await enter(client, `roster:heartbeat:${group}`, 'worker', ms);
  await client.do('SET', `state:${name}`, JSON.stringify({ state: 'queued', detail: { by: 'other' } }), 'PX', ms);
  same('first', await client.do('SET', `dedup:${group}:event%3A1`, randomBytes(16), 'NX', 'PX', ms), 'OK');
  const key = relayKey(secret, name);
  await client.do('SET', key, seal(secret, Buffer.from('the papers'), key), 'PX', ms);
  const stream = `stream:${group}`;
  await client.do('MULTI');
  await client.do('SET', `${stream}:0`, Buffer.concat([Buffer.from('M'), CHUNKS[0]]), 'PX', ms);
  await client.do('SET', `${stream}:1`, Buffer.concat([Buffer.from('l'), CHUNKS[1]]), 'PX', ms);
  await client.do('SET', `${stream}:head`, head(2, 12345n, 1), 'PX', ms);
  await client.do('EXEC');
  const lane = hex(randomBytes(16));
  await client.do('SET', `stream:lane/${lane}/:0`, 'Lfor all', 'PX', ms);
  await client.do('SET', `stream:lane/${lane}/:head`, head(1, 12345n, 0), 'PX', ms + 120_000);
  await enter(client, 'roster:lane', lane, ms);
  const content = Buffer.from('content');
  await client.do('SET', `content:${group}:${sha256(content)}`, content, 'NX', 'PX', ms);
  await client.do('SET', `label:${group}:app%3Aconfig`, sha256(content), 'PX', ms);
  client.socket.end();
}

async function read(port, name, secret) {
  const client = new Client(port);
  const group = level(name);
  const text = async (key) => String(await client.do('GET', key));
  same('dead drop', await text(derived('handoff', name, 'a', 'b')), 'a drop');
  same('token is held', await client.do('SET', `lock:${name}`, 'x', 'NX', 'PX', 60_000), null);
  same('token', JSON.parse(await text(`lock:${name}`)).holder, 'python');
  await letGo(client, `lock:${name}:gone`);
  same('heartbeat', await text(`heartbeat:${group}:worker`), 'load 1');
  same('roster', (await client.do('HKEYS', `roster:heartbeat:${group}`)).map(String), ['worker']);
  const state = JSON.parse(await text(`state:${name}`));
  same('state', [state.state, state.detail], ['queued', { by: 'python' }]);
  same('dedup', await client.do('EXISTS', `dedup:${group}:event%3A1`), 1);
  const key = relayKey(secret, name);
  same('relay', open(secret, await client.do('GET', key), key), Buffer.from('the papers'));
  const stream = `stream:${group}`;
  const found = await client.do('GET', `${stream}:head`);
  same('stream head', [found.length, found.readBigUInt64BE(0) === 2n, found[16]], [17, true, 1]);
  const chunks = await client.do('MGET', `${stream}:0`, `${stream}:1`);
  same('stream', chunks.map(String), ['Mfirst ', 'lsecond']);
  const said = [];
  for (const lane of await client.do('HKEYS', 'roster:lane'))
    said.push(String(await client.do('GET', `stream:lane/${lane}/:0`)));
  same('broadcast', said.includes('Lfor all'), true);
  const hash = await text(`label:${group}:app%3Aconfig`);
  const content = await client.do('GET', `content:${group}:${hash}`);
  same('content', [String(content), sha256(content)], ['content', hash]);
  client.socket.end();
}

function vectors(path) {
  const all = JSON.parse(readFileSync(path));
  for (const { text, level: expected } of all.levels) same('level', level(text), expected);
  for (const { prefix, parts, key } of all.derived) same('derived', derived(prefix, ...parts), key);
  for (const { secret, slot, key } of all.relay_keys) same('relay key', relayKey(secret, slot), key);
  for (const { secret, context, sealed, plain, algorithm } of all.sealed) {
    if (algorithm === 'aes-256-gcm')
      same('sealed', open(secret, Buffer.from(sealed, 'hex'), Buffer.from(context, 'hex')), Buffer.from(plain, 'hex'));
  }
  for (const { next, life, closed, bytes } of all.stream_heads)
    same('head', hex(head(next, BigInt(life), closed ? 1 : 0)), bytes);
}

const [task, ...rest] = process.argv.slice(2);
await { vectors, write, read }[task](...rest);
console.log('ok', task);
