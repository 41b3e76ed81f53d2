// `npm run check`: types, lint and format, import directions, unused code. All of them run; the first failure counts.
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { environment, prepare, root } from './prepare.mjs';

prepare();
const steps = [
  ['types', 'tsc', ['-b', '--pretty', 'false']],
  ['lint and format', 'biome', ['check', '--error-on-warnings', '.']],
  ['import directions', 'node', [join(root, 'scripts/check-imports.mjs')]],
  ['unused code', 'knip', ['--no-progress']],
];
const results = await Promise.all(
  steps.map(
    ([name, command, args]) =>
      new Promise((resolve) => {
        const started = performance.now();
        const child = spawn(join(root, 'node_modules/.bin', command), args, { cwd: root, env: environment });
        let output = '';
        child.stdout.on('data', (chunk) => (output += chunk));
        child.stderr.on('data', (chunk) => (output += chunk));
        child.on('close', (code) => resolve({ name, code, output, seconds: (performance.now() - started) / 1000 }));
      }),
  ),
);
for (const { name, code, output, seconds } of results) {
  console.log(`${code === 0 ? 'ok  ' : 'FAIL'} ${name} (${seconds.toFixed(1)} s)`);
  if (code !== 0) console.log(output.split('\n').slice(0, 80).join('\n'));
}
process.exit(results.some(({ code }) => code !== 0) ? 1 : 0);
