// `npm run bench`: our data plane beside Envoy, HAProxy, both of ours and Envoy's with all off, and no proxy at all, in one run, rounds interleaved.
//   -- --rows hop-plain-1k,pair-mtls-1k (or all; a name before a dash takes all of its kind) --targets ours,envoy --rounds 5 --seconds 8 --json
// CPU is user+system of the proxy processes divided by requests. Proxies on one core, load and backend on the other.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { print } from './report.mjs';
import { measureUnderLoad } from './rows/under-load.mjs';
import { rows, targetNames } from './rows.mjs';
import { startBackend, startGrpcBackend } from './targets/backend.mjs';
import { startCollector } from './targets/collector.mjs';

const CHAIN_LENGTH = 5;

const { values: options } = parseArgs({
  options: {
    rows: { type: 'string' },
    targets: { type: 'string' },
    rounds: { type: 'string', default: '3' },
    seconds: { type: 'string', default: '6' },
    json: { type: 'boolean', default: false },
  },
});
const wanted = options.rows?.split(',');
const wantedRows = rows.filter(({ name, growth, default: byDefault = false }) =>
  wanted === undefined ? byDefault : options.rows === 'all' || wanted.includes(name) || (growth !== undefined && wanted.includes(growth)),
);
const wantedTargets = targetNames.filter((name) => !options.targets || options.targets.split(',').includes(name));
const rounds = Number(options.rounds);
const seconds = Number(options.seconds);
if (wantedRows.length === 0 || wantedTargets.length === 0 || !(rounds >= 1) || !(seconds >= 1)) {
  console.error(`bench: rows are ${rows.map(({ name }) => name).join(', ')}; targets ${targetNames.join(', ')}`);
  process.exit(2);
}

const root = fileURLToPath(new URL('..', import.meta.url));
const peer = (name) => execFileSync('bash', [join(root, 'scripts/peers'), name], { encoding: 'utf8' }).trim();
const wants = (test) => wantedRows.some(test);
const programs = {
  wrk: peer('wrk'),
  nginx: peer('nginx'),
  envoy: wantedTargets.some((name) => name.startsWith('envoy')) ? peer('envoy') : '',
  haproxy: wantedTargets.includes('haproxy') ? peer('haproxy') : '',
  h2load: wants(({ load }) => load === 'h2load') ? peer('h2load') : '',
};
const directory = mkdtempSync(join(tmpdir(), 'rig-bench-'));
const say = (text) => process.stderr.write(`${text}\n`);
let portBase = 21_000;
const newLinks = () => Array.from({ length: CHAIN_LENGTH }, () => ({ application: portBase++, upstream: portBase++ }));

const backendPort = portBase++;
const collectorPort = portBase++;
const grpcBackendPort = portBase++;
// A chain's links are nginx's: each target has its own, which ask the next by the port that its proxy gives them.
const chains = Object.fromEntries(wants(({ shape }) => shape === 'chain') ? wantedTargets.map((name) => [name, newLinks()]) : []);
const links = Object.entries(chains).flatMap(([target, all]) =>
  all.map(({ application, upstream }, index) => ({
    application,
    next: index === CHAIN_LENGTH - 1 ? backendPort : target === 'none' ? all[index + 1].application : upstream,
  })),
);

const results = [];
const stops = [];
try {
  const backend = await startBackend(programs.nginx, join(directory, 'backend'), backendPort, links);
  stops.push(backend.stop);
  const collector = await startCollector(collectorPort);
  stops.push(collector.stop);
  if (wants(({ protocol }) => protocol === 'grpc')) stops.push((await startGrpcBackend(peer('grpc-go'), grpcBackendPort)).stop);
  for (const row of wantedRows) results.push(await measureRow(row));
} finally {
  for (const stop of stops) await stop();
  rmSync(directory, { recursive: true, force: true });
}
const [cpu] = cpus();
if (options.json) console.log(JSON.stringify({ machine: { cpu: cpu.model, cores: cpus().length }, rounds, seconds, rows: results }, null, 2));
else for (const result of results) print(result, `${cpu.model}, ${cpus().length} cores, ${rounds} rounds of ${seconds} s`);

async function measureRow(row) {
  const context = { targets: wantedTargets, rounds, seconds, directory, programs, ports, say };
  if (row.measure === undefined) return await measureUnderLoad(row, context);
  const { measure } = await import(row.measure);
  return { name: row.name, figures: await measure(context) };
}

/** For one target of a row. */
function ports(_row, target) {
  return {
    backend: backendPort,
    grpcBackend: grpcBackendPort,
    collector: collectorPort,
    entry: portBase++,
    mesh: portBase++,
    xds: portBase++,
    dashboard: portBase++,
    links: chains[target],
  };
}
