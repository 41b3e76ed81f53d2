// A row under load: the targets start, warm up, and take turns for as many rounds as were asked for.
import { join } from 'node:path';
import { load } from '../load.mjs';
import { cpuSeconds, median, pssMb, withSteal } from '../measure.mjs';
import { startBare } from '../targets/bare.mjs';
import { startHaproxy } from '../targets/haproxy.mjs';
import { startMesh } from '../targets/mesh.mjs';

/**
 * Until V8 has compiled what a request runs through: below this each round is faster than the one before. It compiles by the number of requests, so that a row of one
 * connection warms up with more of them.
 */
const WARM_UP_SECONDS = 20;
const WARM_UP_CONNECTIONS = 32;
/** A round during which more of the machine's time was stolen is taken again, up to so many times; the quietest counts. */
const MAX_STEAL_RATIO = 0.03;
const MAX_TRIES = 4;
const figures = ['cpuUsPerRequest', 'requestsPerSecond', 'p50Ms', 'p99Ms', 'pssMb', 'stealRatio'];

/** `context`: {targets, rounds, seconds, directory, programs, ports(row), say}. */
export async function measureUnderLoad(row, context) {
  const { directory, programs, rounds, seconds, say } = context;
  const names = context.targets.filter((name) => row.targets === undefined || row.targets.includes(name));
  const targets = {};
  try {
    for (const name of names) {
      say(`${row.name}: starting ${name}`);
      targets[name] = await startTarget(name, row, join(directory, `${row.name}-${name}`), context.ports(row, name), programs);
    }
    const idlePssMb = Object.fromEntries(Object.entries(targets).map(([name, target]) => [name, pssMb((target.sidecarPids ?? target.pids)())]));
    const samples = Object.fromEntries(names.map((name) => [name, []]));
    let { rate } = row;
    for (const name of names) {
      // At full rate: a proxy that has had few requests is not yet compiled to what it will be.
      const warm = await load(programs, warmUpOf(row), targets[name], WARM_UP_SECONDS);
      if (row.load === 'open' && row.rate === undefined && (name === 'envoy' || rate === undefined)) rate = Math.round(warm.requestsPerSecond / 2);
    }
    if (rate !== undefined) say(`${row.name}: ${rate} requests a second`);
    for (let round = 1; round <= rounds; round++) {
      // Each round begins with another target, so that drift of the machine hits all alike.
      for (let index = 0; index < names.length; index++) {
        const name = names[(index + round) % names.length];
        const sample = await quietest(() => sampleOf(targets[name], () => load(programs, row, targets[name], seconds, rate)));
        samples[name].push(sample);
        say(
          `${row.name}: round ${round} ${name}: ${sample.requestsPerSecond.toFixed(0)}/s, ${sample.cpuUsPerRequest.toFixed(1)} us each, p99 ${sample.p99Ms.toFixed(1)} ms, errors ${sample.errors}, stolen ${(sample.stealRatio * 100).toFixed(1)} %`,
        );
      }
    }
    return summary(row, samples, idlePssMb);
  } finally {
    for (const target of Object.values(targets)) await target.stop();
  }
}

function warmUpOf(row) {
  if (row.load !== undefined && row.load !== 'open') return row;
  // Large bodies at many connections would take memory that the row does not measure.
  return { ...row, load: undefined, connections: row.mibPerRequest === undefined ? Math.max(row.connections, WARM_UP_CONNECTIONS) : row.connections };
}

async function sampleOf(target, run) {
  const pids = target.pids();
  const before = cpuSeconds(pids);
  const result = await run();
  return { ...result, cpuUsPerRequest: ((cpuSeconds(pids) - before) * 1e6) / Math.max(1, result.requests), pssMb: pssMb(pids) };
}

async function quietest(take) {
  let best;
  for (let turn = 0; turn < MAX_TRIES && !(best?.stealRatio <= MAX_STEAL_RATIO); turn++) {
    const sample = await withSteal(take);
    if (best === undefined || sample.stealRatio < best.stealRatio) best = sample;
  }
  return best;
}

async function startTarget(name, row, folder, ports, programs) {
  const asked = row.protocol === 'grpc' ? { ...ports, backend: ports.grpcBackend } : ports;
  switch (name) {
    case 'none':
      return { url: `http://127.0.0.1:${row.shape === 'chain' ? ports.links[0].application : asked.backend}${row.path}`, pids: () => [], stop: async () => {} };
    case 'haproxy':
      return await startHaproxy(programs.haproxy, row, folder, asked);
    case 'ours-bare':
      return await startBare(null, row, folder, asked);
    case 'envoy-bare':
      return await startBare(programs.envoy, row, folder, asked);
    default:
      return await startMesh(name === 'ours' ? 'outrigger' : 'envoy', row, folder, asked);
  }
}

function summary(row, samples, idlePssMb) {
  const targets = {};
  for (const [name, runs] of Object.entries(samples)) {
    targets[name] = { idleSidecarPssMb: idlePssMb[name], errors: runs.reduce((sum, { errors }) => sum + errors, 0) };
    for (const figure of figures) {
      const values = runs.map((run) => run[figure]);
      targets[name][figure] = { median: median(values), min: Math.min(...values), max: Math.max(...values) };
    }
  }
  const ratios = {};
  const { ours, none } = targets;
  for (const name of Object.keys(targets)) {
    if (name === 'ours' || name === 'none' || !ours) continue;
    ratios[name] = Object.fromEntries(figures.map((figure) => [figure, ours[figure].median / targets[name][figure].median]));
    // What the mesh adds to a call without it.
    if (none)
      for (const [added, figure] of Object.entries({ addedP50Ms: 'p50Ms', addedP99Ms: 'p99Ms' }))
        ratios[name][added] = (ours[figure].median - none[figure].median) / (targets[name][figure].median - none[figure].median);
  }
  return { name: row.name, mibPerRequest: row.mibPerRequest, targets, ratios };
}
