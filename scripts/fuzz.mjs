// `npm run fuzz`: every parser and every way through the proxy, ten minutes (or --seconds N), with a seed of its own (or --seed N).
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { environment, prepare, root } from './prepare.mjs';

const { values } = parseArgs({ options: { seconds: { type: 'string', default: '600' }, seed: { type: 'string', default: String(Date.now() % 2 ** 31) } } });
prepare();
console.log(`outrigger: fuzzing for ${values.seconds} s with seed ${values.seed}`);
const run = spawnSync(join(root, 'node_modules/.bin/vitest'), ['run', '--project', 'mesh', 'tests/wire/fuzz.test.ts'], {
  cwd: root,
  stdio: 'inherit',
  env: { ...environment, OUTRIGGER_FUZZ_SECONDS: values.seconds, OUTRIGGER_FUZZ_SEED: values.seed },
});
process.exit(run.status ?? 1);
