// `npm run bench:analysis`: how long `rig analyze` takes for how many resources, as bench/analysis/growth.svg. `-- --profile` once, in process.
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { meshFiles } from './mesh-files.mjs';

const COUNTS = [250, 500, 1000, 2500, 5000, 10_000];
const ROUNDS = 3;
const rig = process.env.OUTRIGGER_RIG ?? fileURLToPath(new URL('../../packages/cli/dist/rig.js', import.meta.url));
const svgFile = fileURLToPath(new URL('growth.svg', import.meta.url));

if (process.argv.includes('--profile')) await inProcess();
else draw(COUNTS.map((count) => ({ count, ...measure(count) })));

/** The whole command, in a process of its own. */
function measure(count) {
  const folder = mkdtempSync(join(tmpdir(), 'rig-analysis-'));
  try {
    mkdirSync(join(folder, 'mesh'));
    for (const { file, text } of meshFiles(count)) writeFileSync(join(folder, 'mesh', file), text);
    const runs = Array.from({ length: ROUNDS }, () => {
      const start = performance.now();
      const said = execFileSync(process.execPath, [rig, 'analyze', join(folder, 'mesh')], { encoding: 'utf8', maxBuffer: 1 << 28 });
      return { ms: performance.now() - start, said: said.split('\n').length - 1 };
    });
    const times = runs.map(({ ms }) => ms).sort((a, b) => a - b);
    const result = { medianMs: times[ROUNDS >> 1], minMs: times[0], maxMs: times[ROUNDS - 1] };
    console.log(`${count} resources: ${result.medianMs.toFixed(0)} ms (${result.minMs.toFixed(0)}-${result.maxMs.toFixed(0)}), ${runs[0].said} lines`);
    return result;
  } finally {
    rmSync(folder, { recursive: true });
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

function draw(points) {
  const [width, height, left, bottom, top, right] = [640, 320, 64, 48, 40, 24];
  const most = Math.max(...points.map(({ maxMs }) => maxMs));
  const x = (count) => left + ((width - left - right) * count) / COUNTS.at(-1);
  const y = (ms) => top + (height - top - bottom) * (1 - ms / most);
  const grid = [0, 0.25, 0.5, 0.75, 1].map((share) => {
    const at = y(most * share);
    return `<line x1="${left}" x2="${width - right}" y1="${at}" y2="${at}" stroke="#ddd"/><text x="${left - 6}" y="${at + 4}" text-anchor="end">${((most * share) / 1000).toFixed(1)} s</text>`;
  });
  const marks = points.flatMap(({ count, medianMs, minMs, maxMs }) => [
    `<line x1="${x(count)}" x2="${x(count)}" y1="${y(minMs)}" y2="${y(maxMs)}" stroke="#2563eb"/>`,
    `<circle cx="${x(count)}" cy="${y(medianMs)}" r="3" fill="#2563eb"/>`,
    ...(count < 1000 ? [] : [`<text x="${x(count)}" y="${height - bottom + 16}" text-anchor="middle">${count}</text>`]),
  ]);
  const line = points.map(({ count, medianMs }) => `${x(count)},${y(medianMs)}`).join(' ');
  writeFileSync(
    svgFile,
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" font-family="sans-serif" font-size="11">
<title>How the time of rig analyze grows</title>
<rect width="100%" height="100%" fill="#fff"/>
<text x="12" y="20">rig analyze, the whole command, medians and spread of ${ROUNDS} (${cpus()[0].model.trim()}, ${cpus().length} cores)</text>
${grid.join('\n')}
<polyline fill="none" stroke="#2563eb" stroke-width="2" points="${line}"/>
${marks.join('\n')}
<text x="${(left + width - right) / 2}" y="${height - 10}" text-anchor="middle">resources</text>
</svg>
`,
  );
  console.log(svgFile);
}
