import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmdirSync, rmSync, writeFileSync } from 'node:fs';
import type { RequestListener } from 'node:http';
import http2 from 'node:http2';
import https from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeEach, expect, test } from 'vitest';
import { clusterJson, listenerJson, routeTo, typed } from '../../packages/proxy/src/testing/messages.ts';
import { ask, TestApplication } from '../../packages/proxy/src/testing/test-proxy.ts';
import { TestAuthority } from '../../packages/proxy/src/tls/testing/certificates.ts';
import { freePorts } from '../harness/ports.ts';
import { until } from '../xds/envoy.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const node = join(root, 'node_modules/.bin/node');
const rigProgram = process.env['OUTRIGGER_RIG'] ?? join(root, 'packages/cli/dist/rig.js');
/** Of which the proxy itself has two fifths, */
const LIMIT_BYTES = 125_000_000;
/** and 600 connections with TLS another third. */
const TLS_LIMIT_BYTES = 150_000_000;
/** Less than a proxy at rest has with the pages of its program, which are not its own. */
const SMALL_LIMIT_BYTES = 80_000_000;
const SESSIONS = 12;
const STREAMS = 50;
const BODY = Buffer.alloc(2 * 1024 * 1024);
/** So long they go on: what is not reset takes what others gave up. */
const HUNGRY_MS = 3_000;

/** A memory cgroup of version 1 or 2; undefined: this user may make none. */
function makeCgroup(limitBytes: number): string | undefined {
  for (const [parent, file] of [
    ['/sys/fs/cgroup/memory', 'memory.limit_in_bytes'],
    ['/sys/fs/cgroup', 'memory.max'],
  ] as const) {
    const folder = join(parent, `outrigger-test-${process.pid}-${limitBytes}`);
    try {
      mkdirSync(folder);
    } catch {
      continue;
    }
    try {
      writeFileSync(join(folder, file), String(limitBytes));
      return folder;
    } catch {
      rmdirSync(folder);
    }
  }
  return undefined;
}

const cgroup = makeCgroup(LIMIT_BYTES);
const tlsCgroup = makeCgroup(TLS_LIMIT_BYTES);
const small = makeCgroup(SMALL_LIMIT_BYTES);
let folder: string;
let application: TestApplication;
let secured: https.Server;

/** Reads nothing of what is posted. */
const handle: RequestListener = (request, response) => {
  if (request.url === '/large') response.write(BODY);
  else if (request.method !== 'POST') response.end('ok');
};

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'memory-'));
  application = await TestApplication.start(handle);
  const { chainPem, keyPem } = new TestAuthority().issue({ dns: ['app'] });
  secured = https.createServer({ cert: chainPem, key: keyPem }, handle).listen(0, '127.0.0.1');
  await once(secured, 'listening');
});
afterEach(async () => {
  await application.close();
  secured.closeAllConnections();
  secured.close();
  rmSync(folder, { recursive: true });
});

afterAll(() => {
  for (const made of [cgroup, tlsCgroup, small]) if (made !== undefined) rmdirSync(made);
});

/** A proxy in that cgroup. `tls`: to its application. */
async function launch(inCgroup: string, tls = false): Promise<{ readonly child: ChildProcess; readonly port: number; readonly admin: number }> {
  const [port = 0, admin = 0] = await freePorts(2);
  const socket = (portValue: number) => ({ socketAddress: { address: '127.0.0.1', portValue } });
  const circuitBreakers = { thresholds: [{ maxConnections: 100_000, maxRequests: 100_000, maxPendingRequests: 100_000 }] };
  const transportSocket = { name: 'tls', typedConfig: typed('envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext') };
  const app = tls
    ? { endpoints: [`127.0.0.1:${(secured.address() as AddressInfo).port}`], fields: { circuitBreakers, transportSocket } }
    : { endpoints: [application.address], fields: { circuitBreakers } };
  const bootstrap = {
    node: { id: 'small', cluster: 'small' },
    admin: { address: socket(admin) },
    staticResources: {
      clusters: [clusterJson('app', app)],
      listeners: [listenerJson('web', { routes: [routeTo('app')], fields: { address: socket(port) } })],
    },
  };
  writeFileSync(join(folder, 'bootstrap.json'), JSON.stringify(bootstrap));
  const args = ['-c', `echo $$ > ${inCgroup}/cgroup.procs && exec "$@"`, 'sh', node, rigProgram, 'proxy', '--config', join(folder, 'bootstrap.json')];
  return { child: spawn('sh', args, { stdio: 'ignore' }), port, admin };
}

test.for([
  ['uploads that nobody reads', false, 'POST', '/'],
  ['uploads that nobody reads on connections with TLS', true, 'POST', '/'],
  ['downloads that nobody reads from connections with TLS', true, 'GET', '/large'],
] as const)(
  'a proxy whose memory is short lives, and serves on: %s (skipped where no memory cgroup can be made)',
  { skip: cgroup === undefined, timeout: 60_000 },
  async ([, tls, method, path]) => {
    const { child, port } = await launch(tls ? tlsCgroup! : cgroup!, tls);
    const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
    const sessions: http2.ClientHttp2Session[] = [];
    try {
      const serves = (): Promise<true | undefined> => ask(`127.0.0.1:${port}`).then(({ status }) => (status === 200 ? true : undefined));
      const lives = (): void => expect([child.exitCode, child.signalCode], 'how our proxy ended').toEqual([null, null]);
      await until('it serves', serves);
      for (let i = 0; i < SESSIONS; i++) {
        const session = http2.connect(`http://127.0.0.1:${port}`);
        session.on('error', () => {});
        sessions.push(session);
        for (let stream = 0; stream < STREAMS; stream++) {
          const call = session.request({ ':method': method, ':path': path });
          call.on('error', () => {});
          if (method === 'POST') call.write(BODY);
          else call.pause();
        }
      }
      await sleep(HUNGRY_MS);
      lives();
      await until('it serves others', serves);
      for (const session of sessions) session.destroy();
      await until('it serves once they are gone', serves);
      lives();
    } finally {
      for (const session of sessions) session.destroy();
      child.kill('SIGKILL');
      await ended;
    }
  },
);

test.skipIf(small === undefined)('a small memory limit is no pressure on a proxy at rest: it serves (skipped where no memory cgroup can be made)', async () => {
  const { child, port, admin } = await launch(small!);
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  const text = (path: string): Promise<string> => ask(`127.0.0.1:${admin}`, { path }).then(({ body }) => body);
  try {
    await until('it is ready', async () => ((await text('/ready')) === 'LIVE\n' ? true : undefined));
    const looked = 'overload.outrigger.resource_monitors.memory.pressure: ';
    await until('it has looked', async () => ((await text('/stats?filter=memory.pressure')).startsWith(`${looked}0`) ? undefined : true));
    for (let i = 0; i < 20; i++) expect((await ask(`127.0.0.1:${port}`)).status).toBe(200);
    expect(await text('/stats?usedonly&filter=active')).not.toContain('overload');
  } finally {
    child.kill('SIGKILL');
    await ended;
  }
});
