// `npm test`: everything, then one line "N passed, N failed[, N skipped]". Arguments go to vitest; --long: the long forms of tests that have one.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { environment, prepare, root } from './prepare.mjs';

prepare();
const strict = process.env.CI === 'true';
console.log('outrigger: looking for peers ...');
const peers = spawnSync('bash', [join(root, 'scripts/peers')], { cwd: root, stdio: 'inherit', env: environment });
if (peers.status !== 0 && strict) console.error('outrigger: a peer is missing; with CI=true the tests that need it fail');

const args = process.argv.slice(2).filter((argument) => argument !== '--long');
if (process.argv.includes('--long')) environment.OUTRIGGER_LONG = '1';
const report = join(root, '.build/test-report.json');
mkdirSync(join(root, '.build'), { recursive: true });
rmSync(report, { force: true });
const vitest = spawnSync(join(root, 'node_modules/.bin/vitest'), ['run', '--reporter=default', '--reporter=json', `--outputFile.json=${report}`, ...args], {
  cwd: root,
  stdio: 'inherit',
  env: environment,
});
if (!existsSync(report)) {
  console.error('outrigger: the test runner wrote no report');
  console.log('0 passed, 1 failed');
  process.exit(1);
}
const result = JSON.parse(readFileSync(report, 'utf8'));
// A suite that could not be loaded has no test of its own that failed.
const broken = result.testResults.filter((suite) => suite.status === 'failed' && suite.assertionResults.every((test) => test.status !== 'failed')).length;
let failed = result.numFailedTests + broken;
if (vitest.status !== 0 && failed === 0) failed = 1;
const skipped = result.numPendingTests + (result.numTodoTests ?? 0);
console.log(`${result.numPassedTests} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`);
process.exit(failed > 0 ? 1 : 0);
