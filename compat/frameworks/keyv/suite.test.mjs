// Keyv's own suite for storage adapters, on @keyv/redis as it is, or with the client of letting_go.mjs.
import KeyvRedis, { createClient } from '@keyv/redis';
import keyvTestSuite, { keyvIteratorTests } from '@keyv/test-suite';
import Keyv from 'keyv';
import * as test from 'vitest';
import { lettingGo } from './letting_go.mjs';

const url = `redis://${process.env.RESPRAM_HOST}:${process.env.RESPRAM_PORT}`;
const store = () => {
  const client = createClient({ url });
  return new KeyvRedis(process.env.KEYV_STORE === 'plain' ? client : lettingGo(client), { throwOnErrors: true });
};
keyvTestSuite(test, Keyv, store);
keyvIteratorTests(test, Keyv, store);
