// `npm run bench`: our data plane beside Envoy, HAProxy and no proxy at all, in one run, rounds interleaved.
//   -- --rows hop-plain-1k,pair-mtls-1k (or all) --targets ours,envoy --rounds 5 --seconds 8 --json
// CPU is user+system of the proxy processes divided by requests. Proxies on one core, load and backend on the other.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { cpuSeconds, median, openLoop, pssMb, wrk } from './measure.mjs';
import { startBackend } from './targets/backend.mjs';
import { startCollector } from './targets/collector.mjs';
import { startHaproxy } from './targets/haproxy.mjs';
import { startMesh } from './targets/mesh.mjs';

const rows = [
  { name: 'hop-plain-1k', pair: false, path: '/1k', connections: 32 },
  { name: 'pair-mtls-1k', pair: true, path: '/1k', connections: 32 },
  { name: 'pair-mtls-1k-c1', pair: true, path: '/1k', connections: 1 },
  // At half of what Envoy can do at most, measured at the beginning of the row.
  { name: 'pair-mtls-1k-open', pair: true, path: '/1k', connections: 32, load: 'open' },
  { name: 'pair-mtls-1m', pair: true, path: '/1m', connections: 8 },
  { name: 'connections', pair: false, path: '/1k', connections: 16, load: 'close' },
  ...[10, 100, 1_000, 10_000].map((count) => ({
    name: `routes-${count}`,
    pair: true,
    path: `/r/${count - 1}`,
    connections: 32,
    config: routes(count),
    only: ['ours', 'envoy'],
  })),
];
const targetNames = ['ours', 'envoy', 'haproxy', 'none'];
const defaultRows = ['hop-plain-1k', 'pair-mtls-1k'];

/** A table of exact and prefix routes, the last of which is asked for. */
function routes(count) {
  const match = (index) => (index % 2 === 0 ? `{uri: {exact: /r/${index}}}` : `{uri: {prefix: /r/${index}}}`);
  const rules = Array.from({ length: count }, (_, index) => `    - {match: [${match(index)}], route: [{destination: {host: backend}}]}`);
  return `apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: backend, namespace: default}\nspec:\n  hosts: [backend]\n  http:\n${rules.join('\n')}\n`;
}

const { values: options } = parseArgs({
  options: {
    rows: { type: 'string' },
    targets: { type: 'string' },
    rounds: { type: 'string', default: '3' },
    seconds: { type: 'string', default: '6' },
    json: { type: 'boolean', default: false },
  },
});
const wantedNames = options.rows === 'all' ? rows.map(({ name }) => name) : (options.rows?.split(',') ?? defaultRows);
const wantedRows = rows.filter(({ name }) => wantedNames.includes(name));
const wantedTargets = targetNames.filter((name) => !options.targets || options.targets.split(',').includes(name));
const rounds = Number(options.rounds);
const seconds = Number(options.seconds);
if (wantedRows.length === 0 || wantedTargets.length === 0 || !(rounds >= 1) || !(seconds >= 1)) {
  console.error(`bench: rows are ${rows.map(({ name }) => name).join(', ')}; targets ${targetNames.join(', ')}`);
  process.exit(2);
}

const root = fileURLToPath(new URL('..', import.meta.url));
const peer = (name) => execFileSync('bash', [join(root, 'scripts/peers'), name], { encoding: 'utf8' }).trim();
const directory = mkdtempSync(join(tmpdir(), 'rig-bench-'));
const say = (text) => process.stderr.write(`${text}\n`);
const wrkProgram = peer('wrk');
let portBase = 21_000;

const results = [];
try {
  const backendPort = portBase++;
  const collectorPort = portBase++;
  const backend = await startBackend(peer('nginx'), join(directory, 'backend'), backendPort);
  const collector = await startCollector(collectorPort);
  try {
    for (const row of wantedRows) results.push(await measureRow(row, { backend: backendPort, collector: collectorPort }));
  } finally {
    collector.stop();
    await backend.stop();
  }
} finally {
  rmSync(directory, { recursive: true, force: true });
}
if (options.json) console.log(JSON.stringify({ machine: { cpu: cpus()[0].model, cores: cpus().length }, rounds, seconds, rows: results }, null, 2));
else for (const result of results) print(result);

async function measureRow(row, shared) {
  const targets = {};
  const rowTargets = wantedTargets.filter((name) => row.only === undefined || row.only.includes(name));
  try {
    for (const name of rowTargets) {
      const ports = { ...shared, entry: portBase++, mesh: portBase++, xds: portBase++, dashboard: portBase++ };
      const folder = join(directory, `${row.name}-${name}`);
      say(`${row.name}: starting ${name}`);
      if (name === 'none') targets[name] = { url: `http://127.0.0.1:${shared.backend}${row.path}`, pids: () => [], stop: async () => {} };
      else if (name === 'haproxy') targets[name] = await startHaproxy(peer('haproxy'), row, folder, ports);
      else targets[name] = await startMesh(name === 'ours' ? 'outrigger' : 'envoy', row, folder, ports);
    }
    const idlePssMb = Object.fromEntries(Object.entries(targets).map(([name, target]) => [name, pssMb((target.sidecarPids ?? target.pids)())]));
    const samples = Object.fromEntries(rowTargets.map((name) => [name, []]));
    const load = (name, loadSeconds, rate) =>
      rate === undefined
        ? wrk(wrkProgram, targets[name].url, { connections: row.connections, seconds: loadSeconds, close: row.load === 'close' })
        : openLoop(targets[name].url, { connections: row.connections, seconds: loadSeconds, rate });
    let rate;
    for (const name of rowTargets) {
      const warm = await load(name, 2);
      if (row.load === 'open' && (name === 'envoy' || rate === undefined)) rate = Math.round(warm.requestsPerSecond / 2);
    }
    if (rate !== undefined) say(`${row.name}: ${rate} requests a second`);
    for (let round = 1; round <= rounds; round++) {
      // Each round begins with another target, so that drift of the machine hits all alike.
      for (let index = 0; index < rowTargets.length; index++) {
        const name = rowTargets[(index + round) % rowTargets.length];
        const pids = targets[name].pids();
        const before = cpuSeconds(pids);
        const run = await load(name, seconds, rate);
        const cpu = cpuSeconds(pids) - before;
        samples[name].push({ ...run, cpuUsPerRequest: (cpu * 1e6) / Math.max(1, run.requests), pssMb: pssMb(pids) });
        say(
          `${row.name}: round ${round} ${name}: ${run.requestsPerSecond.toFixed(0)} req/s, ${((cpu * 1e6) / Math.max(1, run.requests)).toFixed(1)} us/req, p99 ${run.p99Ms} ms, errors ${run.errors}`,
        );
      }
    }
    return summary(row, samples, idlePssMb);
  } finally {
    for (const target of Object.values(targets)) await target.stop();
  }
}

function summary(row, samples, idlePssMb) {
  const figures = ['cpuUsPerRequest', 'requestsPerSecond', 'p50Ms', 'p99Ms', 'pssMb'];
  const targets = {};
  for (const [name, runs] of Object.entries(samples)) {
    targets[name] = { idleSidecarPssMb: idlePssMb[name], errors: runs.reduce((sum, { errors }) => sum + errors, 0) };
    for (const figure of figures) {
      const values = runs.map((run) => run[figure]);
      targets[name][figure] = { median: median(values), min: Math.min(...values), max: Math.max(...values) };
    }
  }
  const ratios = {};
  for (const name of Object.keys(targets)) {
    if (name === 'ours' || name === 'none' || !targets.ours) continue;
    ratios[name] = Object.fromEntries(figures.map((figure) => [figure, targets.ours[figure].median / targets[name][figure].median]));
    // What the mesh adds to a call without it.
    if (targets.none)
      for (const [added, figure] of Object.entries({ addedP50Ms: 'p50Ms', addedP99Ms: 'p99Ms' }))
        ratios[name][added] = (targets.ours[figure].median - targets.none[figure].median) / (targets[name][figure].median - targets.none[figure].median);
  }
  return { name: row.name, targets, ratios };
}

function print({ name, targets, ratios }) {
  console.log(`\n${name} (${cpus()[0].model}, ${cpus().length} cores, ${rounds} rounds of ${seconds} s)`);
  console.log(['target', 'CPU us/req (min-max)', 'req/s', 'p50 ms', 'p99 ms', 'PSS MB', 'sidecar idle MB', 'errors'].join('\t'));
  for (const [target, t] of Object.entries(targets))
    console.log(
      [
        target,
        `${t.cpuUsPerRequest.median.toFixed(1)} (${t.cpuUsPerRequest.min.toFixed(1)}-${t.cpuUsPerRequest.max.toFixed(1)})`,
        t.requestsPerSecond.median.toFixed(0),
        t.p50Ms.median.toFixed(2),
        t.p99Ms.median.toFixed(2),
        t.pssMb.median.toFixed(1),
        t.idleSidecarPssMb.toFixed(1),
        t.errors,
      ].join('\t'),
    );
  for (const [peer, ratio] of Object.entries(ratios))
    console.log(
      `ours / ${peer}: CPU ${ratio.cpuUsPerRequest.toFixed(2)}, req/s ${ratio.requestsPerSecond.toFixed(2)}, p50 ${ratio.p50Ms.toFixed(2)}, p99 ${ratio.p99Ms.toFixed(2)}${ratio.addedP50Ms === undefined ? '' : `, added p50 ${ratio.addedP50Ms.toFixed(2)}, added p99 ${ratio.addedP99Ms.toFixed(2)}`}, PSS ${ratio.pssMb.toFixed(2)}`,
    );
}
