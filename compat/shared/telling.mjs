// How a Node program says what came of a check: the lines of compat/verdict.py, and where the nodes are.
import { createInterface } from 'node:readline';

export const host = process.env.RESPRAM_HOST;
export const port = Number(process.env.RESPRAM_PORT);
export const socket = process.env.RESPRAM_SOCKET; // '': the node is reached by its port
export const authPort = Number(process.env.RESPRAM_AUTH_PORT);
export const password = process.env.RESPRAM_PASSWORD;
export const tlsPort = Number(process.env.RESPRAM_TLS_PORT || 0);
export const tlsCa = process.env.RESPRAM_TLS_CA;
export const enclave = (process.env.RESPRAM_ENCLAVE || '').split(',').filter(Boolean).map(Number);
const CHECK_MS = 40_000;
const LOST_MS = 30_000;

export class Difference extends Error {}
export class Left extends Error {}
export class Refused extends Error {}

const oneLine = (text) => String(text).replace(/\s+/g, ' ').slice(0, 400);
export const say = (...words) => process.stdout.write(words.map(oneLine).join(' ').trimEnd() + '\n');
export const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
export const shown = (value) => {
  const text = Buffer.isBuffer(value) ? `Buffer(${value.length})` : value instanceof Error
    ? value.message : JSON.stringify(value, plain);
  return String(text).slice(0, 120);
};
const plain = (_, value) => (typeof value === 'bigint' ? `${value}n` : value instanceof Error ? value.message : value);

export function same(got, expected) {
  const equal = Buffer.isBuffer(got) && Buffer.isBuffer(expected)
    ? got.equals(expected) : shownWhole(got) === shownWhole(expected);
  if (!equal) throw new Difference(`expected=${shown(expected)} got=${shown(got)}`);
}
const shownWhole = (value) => JSON.stringify(value, plain);

export function holds(fact, expected, got = '') {
  if (!fact) throw new Difference(`expected=${expected} got=${shown(got)}`);
}

export async function rejects(call, words) {
  let got;
  try {
    got = await call();
  } catch (error) {
    holds(String(error?.message ?? error).includes(words), words, error);
    return error;
  }
  throw new Difference(`expected=an error with ${words} got=${shown(got)}`);
}

export async function check(name, call) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Difference(`expected=an end got=none in ${CHECK_MS} ms`)), CHECK_MS);
  });
  try {
    await Promise.race([call(), late]);
    say('ok', name);
  } catch (error) {
    if (error instanceof Left) say('skip', name, error.message);
    else if (error instanceof Refused) say('limit', name, error.message);
    else if (error instanceof Difference) say('fail', name, error.message);
    else say('fail', name, `expected=no error got=${error?.name}: ${error?.message}`);
  } finally {
    clearTimeout(timer);
  }
}

async function ask(word, expected) {
  const lines = createInterface({ input: process.stdin });
  const answer = new Promise((resolve) => lines.once('line', resolve));
  say(word);
  same(await answer, expected);
  lines.close();
}
export const restart = () => ask('restart', 'restarted');

// One of the nodes of a cluster is killed: how long until all is served again.
export async function lost(all) {
  await ask('kill', 'killed');
  const began = Date.now();
  let last;
  while (Date.now() < began + LOST_MS) {
    try {
      await all();
      say(`figure failover_ms=${Date.now() - began}`);
      return;
    } catch (error) {
      last = error;
      await pause(1);
    }
  }
  throw new Difference(`expected=all keys served got=${shown(last)}`);
}

export async function returned(all) {
  await ask('start', 'started');
  await all();
  await all();
}

export async function until(call, ms = 5000) {
  const end = Date.now() + ms;
  for (;;) {
    const got = await call();
    if (got || Date.now() > end) return got;
    await pause(10);
  }
}

// The program has said all; a client that still holds a socket must not keep it alive.
export function finish() {
  say('done');
  process.stdin.destroy();
  setTimeout(() => process.exit(0), 50);
}
