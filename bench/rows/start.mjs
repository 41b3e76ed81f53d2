// From the start of the proxy's process to `/ready`, with the last configuration on disk and the control plane away. The proxy is killed
// and its supervisor starts it again; both times are the kernel's, which counts in 10 ms.
import { readFileSync } from 'node:fs';
import { request } from 'node:http';
import { join } from 'node:path';
import { descendants, median, until } from '../measure.mjs';
import { Mesh } from '../targets/mesh.mjs';

const TRIES = 5;
/** After so long its supervisor takes a proxy for one that runs well, and starts its successor at once. */
const STEADY_MS = 10_500;
const POLL_MS = 5;

const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

export async function measure({ targets, directory, ports, say }) {
  const figure = { what: 'from exec to ready', unit: 'ms' };
  for (const name of targets.filter((target) => target === 'ours' || target === 'envoy')) {
    const all = ports();
    const mesh = new Mesh(join(directory, `start-${name}`), all);
    try {
      const controlPlane = await mesh.startControlPlane();
      const sidecar = await mesh.startSidecar('backend', name === 'ours' ? 'outrigger' : 'envoy', { port: `8080:${all.backend}` });
      // What is known is on the disk a second after it came.
      await wait(STEADY_MS);
      await controlPlane.stop();
      const values = [];
      for (let turn = 1; turn <= TRIES; turn++) {
        const [old] = descendants(sidecar.pid);
        process.kill(old, 'SIGKILL');
        const next = () => descendants(sidecar.pid).find((pid) => pid !== old);
        await until('the next process', () => next() !== undefined);
        const pid = next();
        const readyMs = await ready(mesh.adminPort('backend'));
        values.push(readyMs - startedMs(pid));
        say(`start: ${name} ${turn} of ${TRIES}: ${values.at(-1).toFixed(0)} ms`);
        if (turn < TRIES) await wait(STEADY_MS);
      }
      figure[name] = { median: median(values), min: Math.min(...values), max: Math.max(...values) };
    } finally {
      await mesh.stop();
    }
  }
  return [figure];
}

/** When it was, ms since boot. */
async function ready(port) {
  for (;;) {
    if (await isReady(port)) return Number(readFileSync('/proc/uptime', 'latin1').split(' ')[0]) * 1000;
    await wait(POLL_MS);
  }
}

function isReady(port) {
  return new Promise((resolve) => {
    request({ host: '127.0.0.1', port, path: '/ready', agent: false }, (response) => {
      response.resume();
      resolve(response.statusCode === 200);
    })
      .on('error', () => resolve(false))
      .end();
  });
}

/** When the process was started, ms since boot. */
function startedMs(pid) {
  const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
  return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19]) * 10;
}
