// Node mode's memory: one process with the proxies of many workloads, each with an identity, a listener and an upstream, all idle.
import { writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { descendants, loadCore, pssMb, until } from '../measure.mjs';
import { Mesh } from '../targets/mesh.mjs';

const WORKLOADS = 100;
/** Before memory is looked at. */
const SETTLE_MS = 20_000;
/** Of the calls to the next workload; above those that rows are given. */
const FIRST_UPSTREAM_PORT = 24_000;

/** PSS of the process of the proxies and of the supervisor with all agents, whole, and by workload: without what a node without any has. */
export async function measure({ directory, ports, say }) {
  say('memory-node: a node without workloads');
  const empty = await memoryOf(0, join(directory, 'memory-node-0'), ports());
  say(`memory-node: ${WORKLOADS} workloads`);
  const full = await memoryOf(WORKLOADS, join(directory, 'memory-node'), ports());
  const figure = (what, ours) => ({ what, unit: 'MB PSS', ours });
  return [
    figure('a workload, in the process of the proxies', (full.proxyMb - empty.proxyMb) / WORKLOADS),
    figure('a workload, in the supervisor', (full.supervisorMb - empty.supervisorMb) / WORKLOADS),
    figure(`the process of the proxies of ${WORKLOADS}`, full.proxyMb),
    figure(`the supervisor of ${WORKLOADS}`, full.supervisorMb),
  ];
}

async function memoryOf(workloads, directory, ports) {
  const mesh = new Mesh(directory, ports);
  // The applications: so many ports of this process.
  const applications = await Promise.all(Array.from({ length: workloads }, listen));
  try {
    await mesh.startControlPlane();
    const file = join(directory, 'workloads.yaml');
    const entries = applications.map((server, index) => ({
      name: `w${index}`,
      port: `8080:${server.address().port}`,
      upstream: [`w${(index + 1) % workloads}=127.0.0.1:${FIRST_UPSTREAM_PORT + index}`],
    }));
    writeFileSync(file, JSON.stringify(entries));
    const supervisor = mesh.run(loadCore, 'node', '-f', file);
    const healthy = async () => (await mesh.api('/services')).flatMap(({ instances }) => instances).filter(({ health }) => health === 'HEALTHY').length;
    await until('its workloads', async () => (await healthy()) === workloads, 120_000);
    await new Promise((resolve) => setTimeout(resolve, SETTLE_MS));
    // The supervisor has no other child.
    return { proxyMb: pssMb(descendants(supervisor.pid)), supervisorMb: pssMb([supervisor.pid]) };
  } finally {
    await mesh.stop();
    for (const server of applications) server.close();
  }
}

function listen() {
  return new Promise((resolve) => {
    const server = createServer((socket) => socket.on('error', () => {}).resume()).listen(0, '127.0.0.1', () => resolve(server));
  });
}
