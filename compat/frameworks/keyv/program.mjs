// Runs the suite and says each of its tests: `node program.mjs plain|letting-go`.
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { finish, say } from './telling.mjs';

const kind = process.argv[2];
const run = spawnSync('node',
  ['node_modules/vitest/vitest.mjs', 'run', '--reporter=json', '--outputFile=suite.json', '--testTimeout=8000',
  '--hookTimeout=8000'], {
  env: { ...process.env, KEYV_STORE: kind, CI: '1' },
  encoding: 'utf8',
  timeout: 80_000,
});
const version = (name) => JSON.parse(readFileSync(`node_modules/${name}/package.json`)).version;
say('version', `${version('keyv')} with @keyv/redis ${version('@keyv/redis')}`);
// What the suite cannot find as it wants it on the plain client, each with its reason. One that passes fails here.
const expected = kind === 'plain' ? JSON.parse(readFileSync('expected.json')) : {};
const report = JSON.parse(readFileSync('suite.json'));
const tests = report.testResults.flatMap((file) => file.assertionResults);
if (tests.length === 0) say('fail suite', `expected=tests got=${run.stderr.slice(-300)}`);
const counts = new Map();
for (const one of tests) {
  const title = one.title.trim().replace(/\s+/g, ' ');
  const plainName = title.replace(/\s+/g, '-');
  counts.set(plainName, (counts.get(plainName) ?? 0) + 1);
  const name = counts.get(plainName) > 1 ? `${plainName}-${counts.get(plainName)}` : plainName;
  const said = one.failureMessages.join(' ');
  if (one.status === 'passed' && title in expected) say('fail', name, `expected=${expected[title]} got=a pass`);
  else if (one.status === 'passed') say('ok', name);
  else if (one.status !== 'failed') say('skip', name, 'left out by the suite');
  else if (title in expected) say('limit', name, expected[title]);
  else say('fail', name, said);
}
finish();
