// `npm run differential`: our proxy, an Envoy and a simulation beside each other on generated worlds and calls: 20,000 (or --calls N), with a seed of its own (or --seed N).
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { environment, prepare, root } from './prepare.mjs';

const { values } = parseArgs({ options: { calls: { type: 'string', default: '20000' }, seed: { type: 'string', default: String(Date.now() % 2 ** 31) } } });
prepare();
console.log(`outrigger: ${values.calls} calls with seed ${values.seed}`);
const run = spawnSync(join(root, 'node_modules/.bin/vitest'), ['run', '--project', 'peers', 'tests/differential/differential.test.ts', '-t', 'generated'], {
  cwd: root,
  stdio: 'inherit',
  env: { ...environment, OUTRIGGER_DIFFERENTIAL_CALLS: values.calls, OUTRIGGER_DIFFERENTIAL_SEED: values.seed },
});
process.exit(run.status ?? 1);
