// Two socket.io servers with the redis-adapter: a message of one reaches the clients of the other; rooms are left.
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { createAdapter } from '@socket.io/redis-adapter';
import { createClient } from 'redis';
import { Server } from 'socket.io';
import { io } from 'socket.io-client';
import { check, finish, host, port, same, say } from './telling.mjs';

say('version', JSON.parse(readFileSync('node_modules/@socket.io/redis-adapter/package.json')).version);
const make = async () => {
  const one = await createClient({ socket: { host, port } }).connect();
  const two = await one.duplicate().connect();
  const http = createServer();
  const server = new Server(http, { adapter: createAdapter(one, two) });
  await new Promise((resolve) => { http.listen(0, '127.0.0.1', resolve); });
  return { server, http };
};
const [left, right] = [await make(), await make()];
const client = io(`http://127.0.0.1:${right.http.address().port}`);
const joined = new Promise((resolve) => {
  right.server.on('connection', (socket) => { socket.join('room');
  resolve(socket);
  });
});
const socket = await joined;
const heard = (name) => new Promise((resolve, reject) => {
  client.once(name, resolve);
  setTimeout(() => reject(new Error('nothing heard')), 5000);
});
await new Promise((resolve) => { setTimeout(resolve, 500); });

await check('emit-crosses', async () => {
  const got = heard('news');
  left.server.to('room').emit('news', 'x');
  same(await got, 'x');
});
await check('fetch-sockets', async () => same((await left.server.in('room').fetchSockets()).length, 1));
await check('leave', async () => {
  await socket.leave('room');
  same((await left.server.in('room').fetchSockets()).length, 0);
});
client.close();
finish();
process.exit(0);
