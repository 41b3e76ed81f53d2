// Cases that nobody here wrote, group by group: `npm run conformance [-- --corpus DIR] [--json]`. Exit code 1: a case fails, or a group has none;
// 2: there is no such folder or option. npm writes a heading of its own to stdout: where that is to be JSON alone, `npm run -s conformance -- --json`.
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { environment, root } from './prepare.mjs';

// What is prepared is told beside the answer, which may be JSON.
const prepared = spawnSync(process.execPath, [join(root, 'scripts/prepare.mjs')], { cwd: root, stdio: ['ignore', 2, 2] });
if (prepared.status !== 0) process.exit(prepared.status ?? 1);
// npm may be asked from below the root: a folder that is named counts from where the person is.
const cwd = process.env.INIT_CWD ?? process.cwd();
const run = spawnSync(join(root, 'node_modules/.bin/node'), [join(root, 'tests/conformance/main.ts'), ...process.argv.slice(2)], {
  cwd,
  stdio: 'inherit',
  env: environment,
});
process.exit(run.status ?? 1);
