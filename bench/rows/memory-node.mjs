// Node mode's memory: one process with the proxies of many workloads, each with an identity, a listener and an upstream, all idle.
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { pssMb } from '../measure.mjs';

const root = fileURLToPath(new URL('../..', import.meta.url));
const node = join(root, 'node_modules/.bin/node');
const rig = process.env['OUTRIGGER_RIG'] ?? join(root, 'packages/cli/dist/rig.js');
/** Before memory is looked at. */
const settleMs = 20_000;

const WORKLOADS = 100;

/** PSS of the process of the proxies and of the supervisor with all agents, whole, and by workload: without what a node without any has. */
export async function measure({ say }) {
  say('memory-node: a node without workloads');
  const empty = await memoryOf(0);
  say(`memory-node: ${WORKLOADS} workloads`);
  const full = await memoryOf(WORKLOADS);
  const figure = (what, ours) => ({ what, unit: 'MB PSS', ours });
  return [
    figure('a workload, in the process of the proxies', (full.proxyMb - empty.proxyMb) / WORKLOADS),
    figure('a workload, in the supervisor', (full.supervisorMb - empty.supervisorMb) / WORKLOADS),
    figure(`the process of the proxies of ${WORKLOADS}`, full.proxyMb),
    figure(`the supervisor of ${WORKLOADS}`, full.supervisorMb),
  ];
}

async function memoryOf(workloads) {
  const directory = mkdtempSync(join(tmpdir(), 'memory-node-'));
  const state = join(directory, 's');
  const processes = [];
  const run = (...args) => {
    const child = spawn(node, [rig, '--state', state, ...args], { stdio: ['ignore', 'ignore', 'pipe'] });
    child.text = '';
    child.stderr.on('data', (chunk) => {
      child.text += chunk;
    });
    processes.unshift(child);
    return child;
  };
  // The applications: so many ports of this process.
  const applications = await Promise.all(Array.from({ length: workloads }, listen));
  try {
    const [xds, api, ...upstreams] = await freePorts(2 + workloads);
    run('up', '--xds-address', `127.0.0.1:${xds}`, '--dashboard-address', `127.0.0.1:${api}`);
    await until('the control plane', () => existsSync(join(state, 'run/agent.sock')));
    const file = join(directory, 'workloads.yaml');
    const entries = applications.map((server, index) => ({
      name: `w${index}`,
      port: `8080:${server.address().port}`,
      upstream: [`w${(index + 1) % workloads}=127.0.0.1:${upstreams[index]}`],
    }));
    writeFileSync(file, JSON.stringify(entries));
    const supervisor = run('node', '-f', file);
    await until('its workloads', () => supervisor.text.includes(`${workloads} workloads from`));
    await new Promise((resolve) => setTimeout(resolve, settleMs));
    const proxy = childOf(supervisor.pid);
    return { proxyMb: pssMb([proxy]), supervisorMb: pssMb([supervisor.pid]) };
  } finally {
    for (const child of processes) await stop(child);
    for (const server of applications) server.close();
    rmSync(directory, { recursive: true, force: true });
  }
}

function listen() {
  return new Promise((resolve) => {
    const server = createServer((socket) => socket.on('error', () => {}).resume()).listen(0, '127.0.0.1', () => resolve(server));
  });
}

async function freePorts(count) {
  const servers = await Promise.all(Array.from({ length: count }, listen));
  const ports = servers.map((server) => server.address().port);
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports;
}

/** The process of the proxies: the supervisor has no other. */
function childOf(pid) {
  return Number(readFileSync(`/proc/${pid}/task/${pid}/children`, 'latin1').trim().split(' ')[0]);
}

async function stop(child) {
  if (child.exitCode !== null) return;
  const ended = new Promise((resolve) => child.once('exit', resolve));
  child.kill('SIGTERM');
  const timer = setTimeout(() => child.kill('SIGKILL'), 20_000);
  await ended;
  clearTimeout(timer);
}

async function until(what, holds) {
  const endMs = performance.now() + 120_000;
  while (!holds()) {
    if (performance.now() > endMs) throw new Error(`${what}: not within 120 s`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}
