// Brings a clone to where it can run: dependencies, generated messages, the bundle. Each step is skipped when its
// inputs are those of the last time, so that a second start costs some milliseconds. Runs on any Node >= 20.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = fileURLToPath(new URL('..', import.meta.url));
const stamps = join(root, '.build/stamps');
const bin = join(root, 'node_modules/.bin');
const node = join(bin, 'node');

/** Environment in which `node` is the one that the project pins. */
export const environment = { ...process.env, PATH: bin + delimiter + (process.env.PATH ?? '') };

export function prepare() {
  const started = performance.now();
  step('dependencies', [readFileSync(join(root, 'package-lock.json')), ...workspaceManifests()], existsSync(node), () => {
    say('installing dependencies (about 30 s, once) ...');
    run(process.platform === 'win32' ? 'npm.cmd' : 'npm', ['ci', '--no-audit', '--no-fund', '--loglevel=error'], process.env);
  });
  run(node, [join(root, 'scripts/generate-protos.mjs')]);
  step('bundle', sources(), existsSync(join(root, 'packages/cli/dist/rig.js')), () => {
    say('building ...');
    run(node, [join(root, 'scripts/build.mjs')]);
  });
  const elapsedMs = performance.now() - started;
  if (elapsedMs > 1000) say(`ready after ${(elapsedMs / 1000).toFixed(1)} s`);
}

/** Of each package what npm installs by. */
function workspaceManifests() {
  return readdirSync(join(root, 'packages')).map((name) => {
    const { dependencies, devDependencies, optionalDependencies, bin } = JSON.parse(readFileSync(join(root, 'packages', name, 'package.json'), 'utf8'));
    return JSON.stringify([dependencies, devDependencies, optionalDependencies, bin]);
  });
}

/** Path, size and time of every source file: enough to know that nothing has changed. */
function* sources() {
  for (const folder of ['packages', 'scripts', 'examples']) yield* walk(join(root, folder));
}

function* walk(folder) {
  if (!existsSync(folder)) return;
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    if (entry.name === 'node_modules' || entry.name === 'dist' || entry.name.startsWith('.')) continue;
    const path = join(folder, entry.name);
    if (entry.isDirectory()) yield* walk(path);
    else if (!entry.name.endsWith('.test.ts')) {
      const stat = statSync(path);
      yield `${path}:${stat.size}:${stat.mtimeMs}`;
    }
  }
}

function step(name, inputs, present, work) {
  const hash = createHash('sha256');
  for (const input of inputs) hash.update(input).update('\0');
  const stamp = hash.digest('hex');
  const file = join(stamps, name);
  if (present && existsSync(file) && readFileSync(file, 'utf8') === stamp) return;
  work();
  mkdirSync(stamps, { recursive: true });
  writeFileSync(file, stamp);
}

function run(command, args, env = environment) {
  const done = spawnSync(command, args, { cwd: root, stdio: ['ignore', 'inherit', 'inherit'], env });
  if (done.status !== 0) {
    console.error(
      `outrigger: \`${[command, ...args].join(' ')}\` ended with ${done.status ?? done.error?.message}. Its message is above; after mending it, the same command goes on where this one stopped.`,
    );
    process.exit(1);
  }
}

function say(text) {
  console.log(`outrigger: ${text}`);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) prepare();
