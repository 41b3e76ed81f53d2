import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import type net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { DescMessage, JsonObject } from '@bufbuild/protobuf';
import { packResource, TypeUrl } from '@outrigger/xds';
import { ClusterSchema } from '@outrigger/xds/protos/envoy/config/cluster/v3/cluster';
import { ListenerSchema } from '@outrigger/xds/protos/envoy/config/listener/v3/listener';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { clusterJson, listenerJson, message, routeTo } from '../../packages/proxy/src/testing/messages.ts';
import { type AnswerOverHttp, ask, TestApplication } from '../../packages/proxy/src/testing/test-proxy.ts';
import { freePorts } from '../harness/ports.ts';
import { isRunning } from '../harness/processes.ts';
import { bootstrap } from '../xds/bootstrap.ts';
import { until } from '../xds/envoy.ts';
import { ControlPlane } from '../xds/world.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const node = join(root, 'node_modules/.bin/node');
const rigProgram = process.env['OUTRIGGER_RIG'] ?? join(root, 'packages/cli/dist/rig.js');
const WORKERS = 2;

interface Worker {
  readonly pid: number;
  readonly serving: boolean;
}

let folder: string;
let application: TestApplication;
let controlPlane: ControlPlane;
let child: ChildProcess;
let log: string;
let port: number;
let other: number;
let admin: number;
/** Every parent that has run. */
let parents: number[];

const socket = (portValue: number): JsonObject => ({ socketAddress: { address: '127.0.0.1', portValue } });

function give(kind: 'listener' | 'cluster', name: string, json: JsonObject | undefined): void {
  const schema: DescMessage = kind === 'listener' ? ListenerSchema : ClusterSchema;
  controlPlane.source.apply([[TypeUrl[kind], name, json === undefined ? undefined : packResource(schema, name, message(schema, json))]]);
}

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'workers-'));
  application = await TestApplication.start((request, response) => {
    if (request.url === '/wait') setTimeout(() => response.end('late'), 200);
    else response.end('ok');
  });
  [port = 0, other = 0, admin = 0] = await freePorts(3);
  controlPlane = new ControlPlane({ listen: { host: '127.0.0.1', port: 0 } });
  await controlPlane.start();
  give('cluster', 'app', clusterJson('app', { endpoints: [application.address] }));
  give('listener', 'web', listenerJson('web', { routes: [routeTo('app')], fields: { address: socket(port) } }));
  const config = bootstrap('DELTA_GRPC', { port: controlPlane.port }) as JsonObject;
  writeFileSync(join(folder, 'bootstrap.json'), JSON.stringify({ ...config, admin: { address: socket(admin) } }));
  log = '';
  const args = ['proxy', '--config', join(folder, 'bootstrap.json'), '--cache', join(folder, 'cache'), '--concurrency', String(WORKERS)];
  child = spawn(node, [rigProgram, ...args], { stdio: ['ignore', 'ignore', 'pipe'] });
  child.stderr!.setEncoding('utf8').on('data', (text: string) => {
    log += text;
  });
  parents = [child.pid!];
  await until(`all workers serve: ${log}`, async () => {
    if (child.exitCode !== null) throw new Error(`our proxy ended with ${child.exitCode}: ${log}`);
    return (await ask(`127.0.0.1:${admin}`, { path: '/ready' })).status === 200 ? true : undefined;
  });
});

afterEach(async () => {
  for (const pid of parents) if (isRunning(pid)) process.kill(pid, 'SIGKILL');
  // They end by themselves once their parent is gone.
  await controlPlane.kill();
  await application.close();
  rmSync(folder, { recursive: true, force: true });
});

const page = (path: string, method = 'GET'): Promise<AnswerOverHttp> => ask(`127.0.0.1:${admin}`, { path, method });

async function workers(): Promise<readonly Worker[]> {
  return JSON.parse((await page('/server_info')).body).outrigger.workers;
}

async function stat(name: string): Promise<number> {
  const { stats } = JSON.parse((await page(`/stats?format=json&filter=^${name.replaceAll('.', '\\.')}$`)).body) as { stats: { value: number }[] };
  return stats[0]?.value ?? -1;
}

/** Calls without a pause, each on a connection of its own; what went wrong, and how many there were. */
function load(): { stop(): Promise<{ readonly failures: readonly string[]; readonly calls: number }> } {
  const failures: string[] = [];
  let calls = 0;
  let over = false;
  const caller = async (): Promise<void> => {
    while (!over) {
      await ask(`127.0.0.1:${port}`).then(
        ({ status }) => status !== 200 && failures.push(String(status)),
        (error: Error) => failures.push(error.message),
      );
      calls++;
    }
  };
  const done = Promise.all(Array.from({ length: 4 }, caller));
  return {
    stop: async () => {
      over = true;
      await done;
      return { failures, calls };
    },
  };
}

test('several processes serve as one proxy, with one admin view, and the control plane sees one', async () => {
  const CALLS = 64;
  for (let call = 0; call < CALLS; call++) expect((await ask(`127.0.0.1:${port}`)).body).toBe('ok');
  const all = await workers();
  expect(all).toHaveLength(WORKERS);
  expect(new Set([child.pid, ...all.map(({ pid }) => pid)]).size).toBe(WORKERS + 1);
  expect(await stat(`listener.127.0.0.1_${port}.downstream_cx_total`)).toBe(CALLS);
  expect(await stat('server.concurrency')).toBe(WORKERS);
  expect(await stat('cluster.app.upstream_rq_total')).toBe(CALLS);
  expect(await stat('cluster_manager.active_clusters')).toBe(2);
  const metrics = (await page('/stats/prometheus')).body;
  const counted = metrics.split('\n').filter((line) => line.startsWith('istio_requests_total{'));
  expect(counted.map((line) => Number(line.slice(line.lastIndexOf(' ') + 1)))).toEqual([CALLS]);
  expect(metrics).toMatch(new RegExp(`^istio_request_duration_milliseconds_count\\{.*\\} ${CALLS}$`, 'm'));
  expect((await page('/clusters')).body).toContain(`app::${application.address}::rq_total::${CALLS}`);
  expect((await page('/listeners')).body).toBe(`web::127.0.0.1:${port}\n`);
  const info = JSON.parse((await page('/server_info')).body);
  expect([info.state, info.command_line_options.concurrency, info.outrigger.control_plane.connected]).toEqual(['LIVE', WORKERS, true]);
  const dump = JSON.parse((await page('/config_dump?resource=dynamic_listeners')).body);
  expect(dump.configs.map(({ name }: { name: string }) => name)).toEqual(['web']);
  expect(controlPlane.source.events.filter(({ kind }) => kind === 'opened')).toHaveLength(1);
  // What one is told all do.
  expect((await page('/logging?level=debug', 'POST')).body).toContain('debug');
  await page('/healthcheck/fail', 'POST');
  expect((await page('/ready')).status).toBe(503);
  await page('/healthcheck/ok', 'POST');
  expect((await page('/ready')).status).toBe(200);
  await page('/reset_counters', 'POST');
  expect(await stat('cluster.app.upstream_rq_total')).toBe(0);
  // A listener that comes later is every worker's, and one that goes is nobody's.
  give('listener', 'more', listenerJson('more', { routes: [routeTo('app')], fields: { address: socket(other) } }));
  await until('the other port serves', async () => ((await ask(`127.0.0.1:${other}`)).status === 200 ? true : undefined));
  give('listener', 'more', undefined);
  await until('nobody listens there', () =>
    ask(`127.0.0.1:${other}`).then(
      () => undefined,
      (error: NodeJS.ErrnoException) => (error.code === 'ECONNREFUSED' ? true : undefined),
    ),
  );
  process.kill(child.pid!, 'SIGTERM');
  expect(await once(child, 'exit')).toEqual([0, null]);
  for (const { pid } of all) expect(isRunning(pid)).toBe(false);
}, 60_000);

test('kill -9 of one under load: its own connections are lost, no others, and it is back', async () => {
  const [one, two] = await workers();
  // Held open at the same time; of 32 all at the same worker: a chance of one in two billion.
  const agent = new http.Agent({ keepAlive: true, maxSockets: 32 });
  const held: net.Socket[] = [];
  agent.on('free', (socket: net.Socket) => held.push(socket));
  await Promise.all(Array.from({ length: 32 }, () => ask(`127.0.0.1:${port}`, { path: '/wait', agent })));
  const running = load();
  await until('there is load', async () => ((await stat(`listener.127.0.0.1_${port}.downstream_cx_total`)) > 40 ? true : undefined));
  process.kill(one!.pid, 'SIGKILL');
  await until('another is in its place', async () => {
    const now = await workers();
    return now.every(({ serving }) => serving) && now[0]!.pid !== one!.pid ? true : undefined;
  });
  expect((await workers())[1]!.pid).toBe(two!.pid);
  const sockets = new Set(held);
  const open = [...sockets].filter(({ destroyed }) => !destroyed).length;
  expect([sockets.size, open > 0, open < 32]).toEqual([32, true, true]);
  expect(await stat(`listener.127.0.0.1_${port}.downstream_cx_active`)).toBeGreaterThanOrEqual(open);
  agent.destroy();
  expect((await page('/ready')).status).toBe(200);
  const { failures, calls } = await running.stop();
  // Those that it had at that moment; nobody is refused, since its socket stayed open.
  expect(failures.filter((failure) => /ECONNREFUSED/.test(failure))).toEqual([]);
  expect(failures.length).toBeLessThanOrEqual(4);
  expect(calls).toBeGreaterThan(10);
  expect(log).toContain('the others serve on');
}, 60_000);

test('hot restart under load: not one request fails', async () => {
  const running = load();
  const before = await workers();
  const from = log.length;
  process.kill(child.pid!, 'SIGHUP');
  await until('another serves', () => (log.slice(from).includes('"serving;') ? true : undefined));
  parents.push(Number(/process (\d+) takes over/.exec(log.slice(from))![1]));
  await until('those before it have ended', () => ([child.pid!, ...before.map(({ pid }) => pid)].some(isRunning) ? undefined : true));
  const { failures, calls } = await running.stop();
  expect(failures).toEqual([]);
  expect(calls).toBeGreaterThan(10);
  const now = await workers();
  expect(now.map(({ serving }) => serving)).toEqual([true, true]);
  expect(now.some(({ pid }) => before.some((worker) => worker.pid === pid))).toBe(false);
}, 60_000);
