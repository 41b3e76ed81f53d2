// `npm start`: whatever is missing is installed, generated and built; then the demo mesh runs.
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { environment, prepare, root } from './prepare.mjs';

if (Number(process.versions.node.split('.')[0]) < 20) {
  console.error(`outrigger: needs Node >= 20 to start, this is ${process.version}.`);
  process.exit(1);
}
prepare();
// Where the system can, the demo ends with this process, however that ends.
const setpriv = '/usr/bin/setpriv';
const [program, ...args] = [
  ...(existsSync(setpriv) ? [setpriv, '--pdeathsig', 'TERM', '--'] : []),
  join(root, 'node_modules/.bin/node'),
  join(root, 'packages/cli/dist/rig.js'),
  'demo',
  ...process.argv.slice(2),
];
const rig = spawn(program, args, {
  cwd: root,
  stdio: 'inherit',
  env: environment,
});
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => rig.kill(signal === 'SIGINT' ? 'SIGINT' : 'SIGTERM'));
rig.on('exit', (code, signal) => process.exit(signal ? 1 : (code ?? 1)));
