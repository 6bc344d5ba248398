// An Express application with sessions in the node: `node program.mjs plain|letting-go`.
import { readFileSync } from 'node:fs';
import { RedisStore } from 'connect-redis';
import express from 'express';
import session from 'express-session';
import { createClient } from 'redis';
import { lettingGo } from './letting_go.mjs';
import { check, finish, holds, host, port, Refused, same, say } from './telling.mjs';

const adapted = process.argv[2] === 'letting-go';
const plain = createClient({ url: `redis://${host}:${port}` });
plain.on('error', () => {});
await plain.connect();
const store = new RedisStore({ client: adapted ? lettingGo(plain) : plain, prefix: 'express:' });

const app = express();
app.use(session({ store, secret: 'of the matrix', resave: false, saveUninitialized: false,
  cookie: { maxAge: 60_000 } }));
const answer = (response, next, text) => (error) => (error ? next(error) : response.send(text));
app.get('/enter/:name', (request, response) => {
  request.session.name = request.params.name;
  response.send('in');
});
app.get('/rotate', (request, response, next) => request.session.regenerate(answer(response, next, 'rotated')));
app.get('/leave', (request, response, next) => request.session.destroy(answer(response, next, 'out')));
app.get('/who', (request, response) => response.send(request.session.name ?? 'nobody'));
app.use((error, request, response, next) => response.status(500).send(error.message));
const server = app.listen(0, '127.0.0.1');
await new Promise((resolve) => server.once('listening', resolve));
const url = `http://127.0.0.1:${server.address().port}`;

async function visit(path, cookie) {
  const response = await fetch(url + path, { headers: cookie ? { cookie } : {} });
  return { text: await response.text(), status: response.status,
    cookie: response.headers.get('set-cookie')?.split(';')[0] };
}

const version = (name) => JSON.parse(readFileSync(`node_modules/${name}/package.json`)).version;
say('version', `${version('express-session')} with connect-redis ${version('connect-redis')}`);
await check('session', async () => {
  const { cookie } = await visit('/enter/ada');
  same((await visit('/who', cookie)).text, 'ada');
  same((await visit('/who')).text, 'nobody');
});
for (const [name, path, expected] of [['logout', '/leave', 'out'], ['rotation', '/rotate', 'rotated']]) {
  await check(name, async () => {
    const { cookie } = await visit('/enter/ada');
    const { text, status } = await visit(path, cookie);
    if (!adapted) {
      holds(status === 500 && text.includes('refused by design'), 'an error that says so', text);
      same((await visit('/who', cookie)).text, 'ada');
      throw new Refused('the error reaches the application, and the old cookie still logs in');
    }
    same([text, (await visit('/who', cookie)).text], [expected, 'nobody']);
  });
}
await check('expiry', async () => {
  const { cookie } = await visit('/enter/ada');
  const [key] = await plain.keys(`express:${decodeURIComponent(cookie).split('s:')[1].split('.')[0]}`);
  const left = await plain.ttl(key);
  holds(left > 50 && left <= 60, '60 s', left);
});
server.close();
plain.destroy();
finish();
