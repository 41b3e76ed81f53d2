import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmdirSync, rmSync, writeFileSync } from 'node:fs';
import type { RequestListener } from 'node:http';
import http2 from 'node:http2';
import https from 'node:https';
import net, { type AddressInfo } from 'node:net';
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
/** Reads nothing. */
let deaf: net.Server;
const deafened: net.Socket[] = [];

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
  deaf = net.createServer({ pauseOnConnect: true }, (socket) => deafened.push(socket.on('error', () => {}))).listen(0, '127.0.0.1');
  await once(deaf, 'listening');
});
afterEach(async () => {
  await application.close();
  secured.closeAllConnections();
  secured.close();
  for (const socket of deafened.splice(0)) socket.destroy();
  deaf.close();
  rmSync(folder, { recursive: true });
});

afterAll(() => {
  for (const made of [cgroup, tlsCgroup, small]) if (made !== undefined) rmdirSync(made);
});

interface Launched {
  readonly child: ChildProcess;
  /** HTTP, */
  readonly port: number;
  /** TCP to somebody who reads nothing, */
  readonly tcpPort: number;
  readonly admin: number;
}

/** A proxy in that cgroup. `tls`: to its application. */
async function launch(inCgroup: string, tls = false): Promise<Launched> {
  const [port = 0, tcpPort = 0, admin = 0] = await freePorts(3);
  const socket = (portValue: number) => ({ socketAddress: { address: '127.0.0.1', portValue } });
  const circuitBreakers = { thresholds: [{ maxConnections: 100_000, maxRequests: 100_000, maxPendingRequests: 100_000 }] };
  const transportSocket = { name: 'tls', typedConfig: typed('envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext') };
  const app = tls
    ? { endpoints: [`127.0.0.1:${(secured.address() as AddressInfo).port}`], fields: { circuitBreakers, transportSocket } }
    : { endpoints: [application.address], fields: { circuitBreakers } };
  const toDeaf = typed('envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy', { statPrefix: 'tcp', cluster: 'deaf' });
  const bootstrap = {
    node: { id: 'small', cluster: 'small' },
    admin: { address: socket(admin) },
    staticResources: {
      clusters: [
        clusterJson('app', app),
        clusterJson('deaf', { endpoints: [`127.0.0.1:${(deaf.address() as AddressInfo).port}`], fields: { circuitBreakers } }),
      ],
      listeners: [
        listenerJson('web', { routes: [routeTo('app')], fields: { address: socket(port) } }),
        { name: 'tcp', address: socket(tcpPort), filterChains: [{ filters: [{ name: 'tcp', typedConfig: toDeaf }] }] },
      ],
    },
  };
  writeFileSync(join(folder, 'bootstrap.json'), JSON.stringify(bootstrap));
  const args = ['-c', `echo $$ > ${inCgroup}/cgroup.procs && exec "$@"`, 'sh', node, rigProgram, 'proxy', '--config', join(folder, 'bootstrap.json')];
  return { child: spawn('sh', args, { stdio: 'ignore' }), port, tcpPort, admin };
}

/** As many calls as `SESSIONS` connections of HTTP/2 have streams for; the function returned ends them. */
function callMany(port: number, method: string, path: string): () => void {
  const sessions = Array.from({ length: SESSIONS }, () => http2.connect(`http://127.0.0.1:${port}`).on('error', () => {}));
  for (const session of sessions)
    for (let stream = 0; stream < STREAMS; stream++) {
      const call = session.request({ ':method': method, ':path': path });
      call.on('error', () => {});
      if (method === 'POST') call.write(BODY);
      else call.pause();
    }
  return () => {
    for (const session of sessions) session.destroy();
  };
}

/** The same as connections of TCP. */
function connectMany(port: number): () => void {
  const sockets = Array.from({ length: SESSIONS * STREAMS }, () => net.connect(port, '127.0.0.1').on('error', () => {}));
  for (const socket of sockets) socket.write(BODY);
  return () => {
    for (const socket of sockets) socket.destroy();
  };
}

test.for([
  { what: 'uploads that nobody reads', tls: false, load: ({ port }: Launched) => callMany(port, 'POST', '/') },
  { what: 'uploads that nobody reads on connections with TLS', tls: true, load: ({ port }: Launched) => callMany(port, 'POST', '/') },
  { what: 'downloads that nobody reads from connections with TLS', tls: true, load: ({ port }: Launched) => callMany(port, 'GET', '/large') },
  { what: 'TCP that nobody reads', tls: false, load: ({ tcpPort }: Launched) => connectMany(tcpPort) },
])(
  'a proxy whose memory is short lives, and serves on: $what (skipped where no memory cgroup can be made)',
  { skip: cgroup === undefined, timeout: 60_000 },
  async ({ tls, load }) => {
    const launched = await launch(tls ? tlsCgroup! : cgroup!, tls);
    const { child, port } = launched;
    const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
    let end = (): void => {};
    try {
      const serves = (): Promise<true | undefined> => ask(`127.0.0.1:${port}`).then(({ status }) => (status === 200 ? true : undefined));
      const lives = (): void => expect([child.exitCode, child.signalCode], 'how our proxy ended').toEqual([null, null]);
      await until('it serves', serves);
      end = load(launched);
      await sleep(HUNGRY_MS);
      lives();
      await until('it serves others', serves);
      end();
      await until('it serves once they are gone', serves);
      lives();
    } finally {
      end();
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
