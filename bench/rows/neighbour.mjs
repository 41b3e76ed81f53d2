// Node mode with a noisy neighbour, on the wall clock: the p99 of a workload that is asked at a gentle rate (open loop), alone and while another
// workload of the same process is asked as fast as 64 connections can. The noise's client and application are niced, so that what is measured is
// the wait in the proxy and not that for the load's core.
import { writeFileSync } from 'node:fs';
import { setPriority } from 'node:os';
import { join } from 'node:path';
import { load } from '../load.mjs';
import { answers, loadCore, median, proxyCore, start, until } from '../measure.mjs';
import { startBackend } from '../targets/backend.mjs';
import { Mesh } from '../targets/mesh.mjs';

const QUIET_PER_SECOND = 200;
const NOISY_CONNECTIONS = 64;
const LOWEST_PRIORITY = 19;
const WARM_UP_SECONDS = 3;
const row = { path: '/1k' };

export async function measure({ directory, ports, programs, rounds, seconds, say }) {
  const all = ports();
  const mesh = new Mesh(join(directory, 'neighbour'), all);
  const noisyBackend = await startBackend(programs.nginx, join(directory, 'neighbour-backend'), all.entry);
  setPriority(noisyBackend.pid, LOWEST_PRIORITY);
  try {
    await mesh.startControlPlane();
    const file = join(directory, 'neighbour.yaml');
    writeFileSync(file, JSON.stringify([workload('quiet', all.backend), workload('noisy', all.entry)]));
    mesh.run(proxyCore, 'node', '-f', file);
    const url = (name) => `http://127.0.0.1:${mesh.meshPort(name)}${row.path}`;
    await until('the workloads', async () => (await answers(row, url('quiet'))) && (await answers(row, url('noisy'))));
    const quiet = () => load(programs, { load: 'open', connections: 4 }, { url: url('quiet') }, seconds, QUIET_PER_SECOND);
    await load(programs, { connections: 8 }, { url: url('quiet') }, WARM_UP_SECONDS);
    await load(programs, { connections: 8 }, { url: url('noisy') }, WARM_UP_SECONDS);
    const samples = { alone: [], beside: [] };
    for (let round = 1; round <= rounds; round++) {
      samples.alone.push(await quiet());
      const noise = start(loadCore, 'nice', ['-n', String(LOWEST_PRIORITY), programs.wrk, '-t1', `-c${NOISY_CONNECTIONS}`, `-d${seconds + 2}s`, url('noisy')]);
      await new Promise((resolve) => setTimeout(resolve, 500));
      samples.beside.push(await quiet());
      await noise.stop();
      const [alone, beside] = [samples.alone.at(-1), samples.beside.at(-1)];
      say(
        `neighbour: round ${round}: p50 ${alone.p50Ms.toFixed(2)} ms alone, ${beside.p50Ms.toFixed(2)} beside; p99 ${alone.p99Ms.toFixed(2)}, ${beside.p99Ms.toFixed(2)}; errors ${beside.errors}`,
      );
    }
    const figure = (what, runs, name) => ({ what, unit: 'ms', ours: spread(runs.map((run) => run[name])) });
    return [
      figure('p50 alone', samples.alone, 'p50Ms'),
      figure('p50 beside noise', samples.beside, 'p50Ms'),
      figure('p99 alone', samples.alone, 'p99Ms'),
      figure('p99 beside noise', samples.beside, 'p99Ms'),
    ];
  } finally {
    await mesh.stop();
    await noisyBackend.stop();
  }
}

const workload = (name, port) => ({ name, instance: name, port: `http:8080:${port}` });

function spread(values) {
  return { median: median(values), min: Math.min(...values), max: Math.max(...values) };
}
