// `npm run bench:control-plane`: how long a change takes to reach everybody whom it concerns, and what that costs, as the mesh grows.
//   -- --services 100,300,1000,3000 --seconds 20 --json; three sizes or more are drawn as growth.svg
// Each size: N services of ten endpoints, N sidecars (delta xDS on demand; one in ten an Envoy's state of the world) that use twenty services each, over real streams
// with mTLS.
// The control plane has one core, everybody else the other.
import { fork } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { cpuSeconds, loadCore, proxyCore, start, until } from '../measure.mjs';
import { node, rig } from '../targets/mesh.mjs';
import { drawGrowth } from './growth.mjs';
import { Instances } from './instances.mjs';
import { endpointYaml, routeYaml, serviceYaml } from './mesh-config.mjs';

const { values: options } = parseArgs({
  options: {
    services: { type: 'string', default: '100,300,1000,3000' },
    seconds: { type: 'string', default: '20' },
    json: { type: 'boolean', default: false },
  },
});
const sizes = options.services.split(',').map(Number);
const seconds = Number(options.seconds);
if (sizes.some((size) => !(size >= 20 && size <= 20_000)) || !(seconds >= 1)) {
  console.error('bench: --services is a list of numbers of 20 to 20,000, --seconds the length of each storm of changes');
  process.exit(2);
}

const XDS_PORT = 21_505;
const API_PORT = 21_506;
/** Of `apply`, in one request. */
const SERVICES_PER_APPLY = 100;
/** Alone, one after another. */
const SINGLE_CHANGES = 50;
const CHANGES_PER_SECOND = 100;
const STATE_OF_THE_WORLD_EVERY = 10;
/** Changes of health, by as many instances as there are changes a second: each has a second to be heard of. */
const REGISTERED = CHANGES_PER_SECOND;
/** Streams a process of clients. */
const CLIENTS_PER_PROCESS = 1_000;
const SLOW_CLIENTS = 10;

const say = (text) => process.stderr.write(`${text}\n`);
const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

class Subscribers {
  #child;
  #answers = new Map();
  #next = 1;

  constructor() {
    this.#child = fork(fileURLToPath(new URL('subscribers.mjs', import.meta.url)), [], {
      execPath: 'taskset',
      execArgv: ['-c', loadCore, process.execPath, '--max-old-space-size=3000'],
      serialization: 'advanced',
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    });
    this.#child.on('message', ({ id, result, error }) => {
      const { resolve, reject } = this.#answers.get(id);
      this.#answers.delete(id);
      if (error === undefined) resolve(result);
      else reject(new Error(error));
    });
    this.#child.on('exit', (code) => {
      for (const { reject } of this.#answers.values()) reject(new Error(`the clients ended with ${code}`));
    });
  }

  ask(name, more = {}) {
    const id = this.#next++;
    return new Promise((resolve, reject) => {
      this.#answers.set(id, { resolve, reject });
      this.#child.send({ id, name, ...more });
    });
  }

  stop() {
    this.#child.kill('SIGTERM');
  }
}

const results = [];
for (const size of sizes) results.push(await measure(size));
const [cpu] = cpus();
if (sizes.length > 2) {
  const file = fileURLToPath(new URL('growth.svg', import.meta.url));
  writeFileSync(file, drawGrowth(results, `${cpu.model.trim()}, ${cpus().length} cores`));
  say(file);
}
if (options.json) console.log(JSON.stringify({ machine: { cpu: cpu.model, cores: cpus().length }, seconds, sizes: results }, null, 2));
else print(results);

async function measure(services) {
  const directory = mkdtempSync(join(tmpdir(), 'rig-scale-'));
  const state = join(directory, 's');
  const controlPlane = start(proxyCore, node, [
    rig,
    '--state',
    state,
    'up',
    '--xds-address',
    `127.0.0.1:${XDS_PORT}`,
    '--dashboard-address',
    `127.0.0.1:${API_PORT}`,
  ]);
  const groups = Array.from({ length: Math.ceil(services / CLIENTS_PER_PROCESS) }, (_, at) => ({
    child: new Subscribers(),
    from: at * CLIENTS_PER_PROCESS,
    to: Math.min(services, (at + 1) * CLIENTS_PER_PROCESS),
  }));
  const instances = new Instances();
  const result = { services, endpoints: services * 10, sidecars: services };
  const all = (name, more = () => ({})) => Promise.all(groups.map((group) => group.child.ask(name, more(group))));
  const arrivals = async () => (await all('arrivals')).flat();
  const apply = (text) => api(state, 'POST', '/apply', { documents: [{ file: 'bench.yaml', text }] });
  try {
    await until('rig up', async () => (await api(state, 'GET', '/version')) !== undefined);
    say(`${services} services: applying`);
    let beganMs = performance.now();
    for (let from = 0; from < services; from += SERVICES_PER_APPLY)
      await apply(Array.from({ length: Math.min(SERVICES_PER_APPLY, services - from) }, (_, at) => serviceYaml(from + at)).join('---\n'));
    result.applySeconds = (performance.now() - beganMs) / 1000;
    await instances.start(join(state, 'run/agent.sock'), Math.min(REGISTERED, services));
    say(`${services} services: certificates`);
    beganMs = performance.now();
    await all('certify', ({ from, to }) => ({ agentSocket: join(state, 'run/agent.sock'), from, to }));
    result.certifySeconds = (performance.now() - beganMs) / 1000;

    say(`${services} services: ${services} sidecars connect`);
    let cpuBefore = cpuSeconds([controlPlane.pid]);
    beganMs = performance.now();
    await all('connect', ({ from, to }) => ({ host: '127.0.0.1', port: XDS_PORT, from, to, services, stateOfTheWorldEvery: STATE_OF_THE_WORLD_EVERY }));
    result.connectSeconds = (performance.now() - beganMs) / 1000;
    result.connectCpuSeconds = cpuSeconds([controlPlane.pid]) - cpuBefore;
    await wait(2_000);
    result.rssMb = memoryMb(controlPlane.pid, 'VmRSS');
    await arrivals();

    say(`${services} services: single changes`);
    const health = [];
    const routes = [];
    const entries = [];
    for (let turn = 0; turn < SINGLE_CHANGES; turn++) {
      const index = (turn * 7) % Math.min(REGISTERED, services);
      health.push({ service: index, ns: process.hrtime.bigint() });
      instances.toggle(index);
      await wait(100);
    }
    await wait(2_000);
    result.healthChange = latencies(health, await arrivals(), 'endpoints', services);
    cpuBefore = cpuSeconds([controlPlane.pid]);
    for (let turn = 0; turn < SINGLE_CHANGES; turn++) {
      const index = (turn * 11) % services;
      routes.push({ service: index, ns: process.hrtime.bigint() });
      await apply(routeYaml(index, turn + 1));
      await wait(50);
    }
    await wait(2_000);
    result.routeChange = latencies(routes, await arrivals(), 'route', services);
    result.routeChangeCpuMs = ((cpuSeconds([controlPlane.pid]) - cpuBefore) * 1000) / SINGLE_CHANGES;
    cpuBefore = cpuSeconds([controlPlane.pid]);
    for (let turn = 0; turn < SINGLE_CHANGES; turn++) {
      const index = (turn * 13) % services;
      entries.push({ service: index, ns: process.hrtime.bigint() });
      await apply(endpointYaml(index, turn % 10, turn + 2));
      await wait(50);
    }
    await wait(2_000);
    result.endpointChange = latencies(entries, await arrivals(), 'endpoints', services);
    result.endpointChangeCpuMs = ((cpuSeconds([controlPlane.pid]) - cpuBefore) * 1000) / SINGLE_CHANGES;

    say(`${services} services: ${CHANGES_PER_SECOND} changes of endpoints a second, ${seconds} s`);
    const storm = [];
    cpuBefore = cpuSeconds([controlPlane.pid]);
    const startMs = performance.now();
    for (let turn = 0; turn < CHANGES_PER_SECOND * seconds; turn++) {
      const dueMs = startMs + (turn * 1000) / CHANGES_PER_SECOND;
      const nowMs = performance.now();
      if (dueMs > nowMs) await wait(dueMs - nowMs);
      const index = turn % Math.min(REGISTERED, services);
      storm.push({ service: index, ns: process.hrtime.bigint() });
      instances.toggle(index);
      // A client that has stopped reading is there from the middle on.
      if (turn === (CHANGES_PER_SECOND * seconds) >> 1) void groups[0].child.ask('stall', { count: Math.min(SLOW_CLIENTS, services >> 1) });
    }
    await wait(2_000);
    const seen = await arrivals();
    const half = storm.length >> 1;
    // Those that stall take no part in the second half.
    const lively = seen.filter(({ client }) => client >= SLOW_CLIENTS);
    result.storm = {
      first: latencies(storm.slice(0, half), seen, 'endpoints', services, storm[half].ns),
      second: latencies(storm.slice(half), lively, 'endpoints', services),
    };
    result.stormCpuRatio = (cpuSeconds([controlPlane.pid]) - cpuBefore) / seconds;
    result.peakRssMb = memoryMb(controlPlane.pid, 'VmHWM');
    return result;
  } finally {
    instances.stop();
    for (const { child } of groups) child.stop();
    await controlPlane.stop();
    rmSync(directory, { recursive: true, force: true });
  }
}

/** From each change to what each subscriber of it got next; changes of one resource that were overtaken by the next one count until that. */
function latencies(changes, arrivals, type, services, untilNs) {
  const byService = new Map();
  for (const { service, ns } of changes) {
    const list = byService.get(service);
    if (list === undefined) byService.set(service, [ns]);
    else list.push(ns);
  }
  const ms = [];
  /** Each client's last arrival of each resource: the change that it answers is the first one after that. */
  const cursor = new Map();
  for (const { service, type: arrived, ns, client } of arrivals) {
    const times = arrived === type ? byService.get(service) : undefined;
    if (times === undefined || (untilNs !== undefined && ns > untilNs)) continue;
    const key = `${client} ${service}`;
    let at = cursor.get(key) ?? 0;
    if (at >= times.length || times[at] > ns) continue;
    ms.push(Number(ns - times[at]) / 1e6);
    // All that had been changed by then came with it.
    while (at < times.length && times[at] <= ns) at++;
    cursor.set(key, at);
  }
  ms.sort((a, b) => a - b);
  const part = (share) => ms[Math.min(ms.length - 1, Math.floor(ms.length * share))];
  return {
    changes: changes.length,
    received: ms.length,
    expected: changes.length * Math.min(20, services),
    p50Ms: part(0.5),
    p99Ms: part(0.99),
    maxMs: ms.at(-1),
  };
}

function memoryMb(pid, field) {
  return Number(new RegExp(`${field}:\\s+(\\d+)`).exec(readFileSync(`/proc/${pid}/status`, 'latin1'))[1]) / 1024;
}

function api(state, method, path, body) {
  return new Promise((resolve, reject) => {
    const text = body === undefined ? undefined : JSON.stringify(body);
    const headers = { host: 'localhost', ...(text === undefined ? {} : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) }) };
    request({ socketPath: join(state, 'run/api.sock'), method, path: `/api/v1${path}`, agent: false, headers }, (response) => {
      let answer = '';
      response.on('data', (chunk) => (answer += chunk));
      response.on('end', () => (response.statusCode === 200 ? resolve(JSON.parse(answer)) : reject(new Error(answer.slice(0, 2_000)))));
    })
      .on('error', reject)
      .end(text);
  });
}

function print(all) {
  console.log(`control plane on one core of ${cpu.model}, ${cpus().length} cores`);
  console.log(
    [
      'services',
      'apply s',
      'connect s',
      'RSS MB',
      'peak',
      'health p99 ms',
      'endpoint p99',
      'CPU ms',
      'route p99',
      'CPU ms',
      'storm p99 1st half',
      '2nd half',
      'cores',
    ].join('\t'),
  );
  for (const one of all)
    console.log(
      [
        one.services,
        one.applySeconds.toFixed(1),
        one.connectSeconds.toFixed(1),
        one.rssMb.toFixed(0),
        one.peakRssMb.toFixed(0),
        figure(one.healthChange),
        figure(one.endpointChange),
        one.endpointChangeCpuMs.toFixed(1),
        figure(one.routeChange),
        one.routeChangeCpuMs.toFixed(1),
        figure(one.storm.first),
        figure(one.storm.second),
        one.stormCpuRatio.toFixed(2),
      ].join('\t'),
    );
}

/** p99, and how many of those that should have heard did. */
function figure({ p99Ms, received, expected }) {
  return `${p99Ms?.toFixed(0)} (${received}/${expected})`;
}
