import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect as connectTls } from 'node:tls';
import { fileURLToPath } from 'node:url';
import type { JsonObject } from '@bufbuild/protobuf';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { clusterJson, listenerJson, routeTo, typed } from '../../packages/proxy/src/testing/messages.ts';
import { ask, TestApplication } from '../../packages/proxy/src/testing/test-proxy.ts';
import { TestAuthority } from '../../packages/proxy/src/tls/testing/certificates.ts';
import { freePorts } from '../harness/ports.ts';
import { isRunning } from '../harness/processes.ts';
import { until } from '../xds/envoy.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const node = join(root, 'node_modules/.bin/node');
const rigProgram = process.env['OUTRIGGER_RIG'] ?? join(root, 'packages/cli/dist/rig.js');

let folder: string;
let application: TestApplication;
let child: ChildProcess;
let log: string;
let port: number;
let securePort: number;
let admin: number;
/** Every process that has served, the first one first. */
let serving: number[];

const { chainPem, keyPem } = new TestAuthority().issue({ dns: ['edge'] });
const inline = (inlineString: string): JsonObject => ({ inlineString });
const tls = typed('envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext', {
  commonTlsContext: { tlsCertificates: [{ certificateChain: inline(chainPem), privateKey: inline(keyPem) }] },
});
const secure = (address: JsonObject): JsonObject =>
  listenerJson('secure', { routes: [routeTo('app')], fields: { address }, chain: { transportSocket: { name: 'tls', typedConfig: tls } } });

function bootstrapOf(fields: JsonObject): string {
  const socket = (portValue: number): JsonObject => ({ socketAddress: { address: '127.0.0.1', portValue } });
  const listener = (name: string, address: JsonObject): JsonObject => listenerJson(name, { routes: [routeTo('app')], fields: { address } });
  return JSON.stringify({
    node: { id: 'edge', cluster: 'edge' },
    admin: { address: socket(admin) },
    staticResources: {
      clusters: [clusterJson('app', { endpoints: [application.address] })],
      listeners: [listener('web', socket(port)), listener('local', { pipe: { path: join(folder, 'web.sock') } }), secure(socket(securePort))],
    },
    ...fields,
  });
}

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'restart-'));
  application = await TestApplication.start((_request, response) => response.end('ok'));
  [port = 0, admin = 0, securePort = 0] = await freePorts(3);
  log = '';
  serving = [];
  writeFileSync(join(folder, 'bootstrap.json'), bootstrapOf({}));
  child = spawn(node, [rigProgram, 'proxy', '--config', join(folder, 'bootstrap.json')], { stdio: ['ignore', 'ignore', 'pipe'] });
  child.stderr!.setEncoding('utf8').on('data', (text: string) => {
    log += text;
  });
  await until('it serves', () => (log.includes('"serving;') ? true : undefined));
  serving.push(child.pid!);
});

afterEach(async () => {
  for (const pid of serving) if (isRunning(pid)) process.kill(pid, 'SIGKILL');
  await application.close();
  rmSync(folder, { recursive: true });
});

/** SIGHUP, and the pid of what serves then. */
async function restart(): Promise<number> {
  const from = log.length;
  process.kill(serving.at(-1)!, 'SIGHUP');
  await until('another one serves', () => (log.slice(from).includes('"serving;') ? true : undefined));
  const pid = Number(/process (\d+) takes over/.exec(log.slice(from))?.[1]);
  serving.push(pid);
  return pid;
}

const askPath = (): Promise<string> =>
  new Promise((resolve, reject) => {
    const socket = connect(join(folder, 'web.sock'));
    let text = '';
    socket.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk;
    });
    socket.on('error', reject);
    socket.on('close', () => resolve(text.split('\r\n')[0]!));
    socket.write('GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n');
  });

test('SIGHUP puts another process in the place of this one, twice, with no connection refused on TCP or on a path', async () => {
  const failures: string[] = [];
  let asked = 0;
  let over = false;
  const calls = (async () => {
    while (!over) {
      await Promise.all([
        ask(`127.0.0.1:${port}`).then(
          ({ status }) => status !== 200 && failures.push(`${status}`),
          (error) => failures.push(String(error)),
        ),
        askPath().then(
          (line) => line !== 'HTTP/1.1 200 OK' && failures.push(line),
          (error) => failures.push(String(error)),
        ),
      ]);
      asked++;
    }
  })();
  for (let round = 0; round < 2; round++) {
    const before = serving.at(-1)!;
    const now = await restart();
    expect(now).not.toBe(before);
    await until('the one before has ended', () => (isRunning(before) ? undefined : true));
    expect(isRunning(now)).toBe(true);
  }
  over = true;
  await calls;
  expect(failures).toEqual([]);
  expect(asked).toBeGreaterThan(10);
  expect(JSON.parse((await ask(`127.0.0.1:${admin}`, { path: '/server_info' })).body).state).toBe('LIVE');
  process.kill(serving.at(-1)!, 'SIGTERM');
  await until('it has ended', () => (isRunning(serving.at(-1)!) ? undefined : true));
}, 60_000);

test('a successor that cannot serve leaves the one before it at work', async () => {
  writeFileSync(join(folder, 'bootstrap.json'), '{"node": {}}');
  process.kill(child.pid!, 'SIGHUP');
  await until('it says so', () => (log.includes('this one serves on') ? true : undefined));
  expect((await ask(`127.0.0.1:${port}`)).status).toBe(200);
  expect(await askPath()).toBe('HTTP/1.1 200 OK');
  writeFileSync(join(folder, 'bootstrap.json'), bootstrapOf({}));
  const ended = once(child, 'exit');
  await restart();
  expect(await ended).toEqual([0, null]);
}, 60_000);

test('a connection whose TLS handshake comes after that is not cut off', async () => {
  const socket = connect(securePort, '127.0.0.1');
  await once(socket, 'connect');
  const before = serving.at(-1)!;
  await restart();
  const secured = connectTls({ socket, rejectUnauthorized: false });
  await once(secured, 'secureConnect');
  secured.end('GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n');
  let text = '';
  for await (const chunk of secured.setEncoding('utf8')) text += chunk;
  expect(text.split('\r\n')[0]).toBe('HTTP/1.1 200 OK');
  await until('the one before has ended', () => (isRunning(before) ? undefined : true));
}, 60_000);
