// `npm run bench:analysis`: how long `rig simulate` takes with 100 files; then, drawn as growth.svg, `rig analyze` by resources, `rig simulate` by files, and
// compiling a table by routes. `-- --simulate`: the first alone. `-- --profile`: analysis once, in process.
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { drawGrowth } from './growth.mjs';
import { meshFiles, singleFiles } from './mesh-files.mjs';

const COUNTS = [250, 500, 1000, 2500, 5000, 10_000];
const ROUNDS = 3;
const SIMULATED_FILES = 100;
const SIMULATE_ROUNDS = 9;
const SIMULATED_SIZES = [10, 25, 50, 100, 200];
const GROWTH_ROUNDS = 5;
const FIRST_RUNS = 4;
const MS_PER_TICK = 10;
const known = new Set();
const rig = process.env.OUTRIGGER_RIG ?? fileURLToPath(new URL('../../packages/cli/dist/rig.js', import.meta.url));

if (process.argv.includes('--profile')) await inProcess();
else {
  simulate();
  if (!process.argv.includes('--simulate'))
    drawGrowth(COUNTS.map(analyze), SIMULATED_SIZES.map(simulateOf), `${cpus()[0].model.trim()}, ${cpus().length} cores`);
}

function analyze(count) {
  return inFolder(meshFiles(count), (mesh) => ({ at: count, ...measure(`analyze, ${count} resources`, ROUNDS, ['analyze', mesh]) }));
}

/** Of a caller, a gateway and a workload that is called. */
function simulate() {
  for (const of of ['resource', 'service']) {
    inFolder(singleFiles(SIMULATED_FILES, { of }), (mesh) => {
      const asked = (...args) => measure(`simulate ${args[0]}, ${SIMULATED_FILES} files of a ${of} each`, SIMULATE_ROUNDS, ['simulate', '-f', mesh, ...args]);
      asked('--from', 'team-0/svc-1', '--request', 'GET http://svc-7/v2');
      asked('--gateway', 'team-0/edge', '--request', 'GET http://svc-7.team-0.example.com/v2');
      asked('--to', 'team-0/svc-7:8080', '--from', 'team-0/svc-8', '--request', 'GET /');
    });
  }
}

function simulateOf(count) {
  return inFolder(singleFiles(count, { of: 'resource' }), (mesh) => {
    const args = ['simulate', '-f', mesh, '--from', 'team-0/svc-1', '--request', 'GET http://svc-1/v2'];
    return { at: count, ...measure(`simulate, ${count} files`, GROWTH_ROUNDS, args) };
  });
}

function inFolder(files, work) {
  const folder = mkdtempSync(join(tmpdir(), 'rig-analysis-'));
  try {
    const mesh = join(folder, 'mesh');
    mkdirSync(mesh);
    for (const { file, text } of files) writeFileSync(join(mesh, file), text);
    return work(mesh);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** The whole command, in a process of its own. The first runs of each, which keep what is compiled after a build, are not counted. */
function measure(what, rounds, args) {
  const uncounted = known.has(args[0]) ? 0 : FIRST_RUNS;
  known.add(args[0]);
  const runs = Array.from({ length: rounds + uncounted }, () => {
    const [start, before] = [performance.now(), childCpuMs()];
    const said = execFileSync(process.execPath, [rig, ...args], { encoding: 'utf8', maxBuffer: 1 << 28 });
    return { ms: performance.now() - start, cpuMs: childCpuMs() - before, said: said.split('\n').length - 1 };
  }).slice(uncounted);
  const [times, cpu] = ['ms', 'cpuMs'].map((field) => runs.map((run) => run[field]).sort((a, b) => a - b));
  const result = { value: times[rounds >> 1], min: times[0], max: times[rounds - 1] };
  const [median, min, max, work] = [...Object.values(result), cpu[rounds >> 1]].map((ms) => ms.toFixed(0));
  console.log(`${what}: ${median} ms (${min}-${max}), ${work} ms of CPU, ${runs[0].said} lines`);
  return result;
}

/** Of children that have ended, user and system: columns 16 and 17 of proc(5), in ticks. 0 where there is no such file. */
function childCpuMs() {
  try {
    const fields = readFileSync('/proc/self/stat', 'utf8')
      .replace(/^.*\) /s, '')
      .split(' ');
    return (Number(fields[13]) + Number(fields[14])) * MS_PER_TICK;
  } catch {
    return 0;
  }
}

/** Each analyzer by itself, to see which one grows. */
async function inProcess() {
  const { analyze, readAnalysisInput } = await import('../../packages/analysis/src/index.ts');
  const { analyzers } = await import('../../packages/analysis/src/registry.ts');
  const time = (name, ms) => ms >= 1 && console.log(`${ms.toFixed(0).padStart(6)} ms  ${name}`);
  const start = performance.now();
  const input = await readAnalysisInput(meshFiles(5000));
  time('reading and validation', performance.now() - start);
  for (const { name } of analyzers) {
    const before = performance.now();
    analyze(input.resources, input.mesh, { ...input.options, nowMs: Date.now(), analyzer: name });
    time(name, performance.now() - before);
  }
}
