// Apollo Server's cache of persisted queries over Keyv in the node: stored, found, deleted, gone.
import { readFileSync } from 'node:fs';
import { ApolloServer } from '@apollo/server';
import { KeyvAdapter } from '@apollo/utils.keyvadapter';
import KeyvRedis from '@keyv/redis';
import Keyv from 'keyv';
import { createHash } from 'node:crypto';
import { check, finish, holds, host, port, same, say } from './telling.mjs';

say('version', JSON.parse(readFileSync('node_modules/@apollo/server/package.json')).version);
const Store = Keyv.Keyv ?? Keyv;
const Backend = KeyvRedis.default ?? KeyvRedis;
const keyv = new Store({ store: new Backend(`redis://${host}:${port}`) });
const cache = new KeyvAdapter(keyv);
const server = new ApolloServer({ typeDefs: 'type Query { hello: String }',
  resolvers: { Query: { hello: () => 'world' } }, cache });
await server.start();
const query = '{ hello }';
const sha256Hash = createHash('sha256').update(query).digest('hex');
const ask = async (text) => {
  const answer = await server.executeHTTPGraphQLRequest({
    httpGraphQLRequest: {
      method: 'POST', headers: new Map([['content-type', 'application/json']]), search: '',
      body: { query: text, extensions: { persistedQuery: { version: 1, sha256Hash } } },
    },
    context: async () => ({}),
  });
  return JSON.parse(answer.body.string);
};
await check('unknown-query', async () => same((await ask()).errors[0].extensions.code, 'PERSISTED_QUERY_NOT_FOUND'));
await check('stored-query', async () => same((await ask(query)).data, { hello: 'world' }));
await check('found-query', async () => {
  for (let wait = 0; wait < 20 && (await ask()).errors; wait += 1)
    await new Promise((resolve) => setTimeout(resolve, 100));
  same((await ask()).data, { hello: 'world' });
});
await check('set-and-get', async () => { await cache.set('k', 'v', { ttl: 60 }); same(await cache.get('k'), 'v'); });
await check('delete', async () => { same(await keyv.delete('k'), true); same(await cache.get('k'), undefined); });
await server.stop();
holds(true, '');
finish();
process.exit(0);
