import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { JsonObject } from '@bufbuild/protobuf';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { clusterJson, listenerJson, routeTo } from '../testing/messages.ts';
import { ask, TestApplication } from '../testing/test-proxy.ts';
import { FairLoop } from './fair-loop.ts';
import { NodeHost } from './node-host.ts';
import type { NodeAnswer, WorkloadOrder } from './orders.ts';

let folder: string;
let application: TestApplication;
let host: NodeHost;
let answers: NodeAnswer[];
let log: string[];

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'node-host-'));
  application = await TestApplication.start((request, response) => response.end(request.url));
  answers = [];
  log = [];
  host = makeHost();
});
afterEach(async () => {
  await host.close();
  await application.close();
  rmSync(folder, { recursive: true });
});

function makeHost(inherited: ConstructorParameters<typeof NodeHost>[0]['inherited'] = new Map()): NodeHost {
  return new NodeHost({
    version: 'test',
    loop: new FairLoop({ nowMs: () => performance.now(), afterReads: setImmediate }),
    log: (workload) => (_level, message) => log.push(`${workload}: ${message}`),
    answer: (answer) => answers.push(answer),
    inherited,
  });
}

/** A proxy that listens on a path of its own. */
function order(key: string, bootstrap?: string): WorkloadOrder {
  const bootstrapPath = join(folder, `${key}.json`);
  const fields: JsonObject = {
    node: { id: key, cluster: key },
    staticResources: {
      clusters: [clusterJson('app', { endpoints: [application.address] })],
      listeners: [listenerJson('web', { routes: [routeTo('app')], fields: { address: { pipe: { path: pathOf(key) } } } })],
    },
  };
  writeFileSync(bootstrapPath, bootstrap ?? JSON.stringify(fields));
  return { key, bootstrapPath, cacheDirectory: join(folder, key), metricsAddress: '127.0.0.1:0', maxConnections: 0 };
}

const pathOf = (key: string): string => join(folder, `${key}.sock`);

function open(key: string): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect(pathOf(key), () => resolve(socket));
    socket.setEncoding('latin1').on('error', reject);
  });
}

function answerOn(socket: Socket, path: string): Promise<string> {
  return new Promise((resolve) => {
    socket.once('data', (text) => resolve(String(text).split('\r\n')[0]!));
    socket.write(`GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`);
  });
}

test('each order is answered, and one that cannot be carried out touches no other workload', async () => {
  await host.add(order('one'));
  const socket = await open('one');
  expect(await answerOn(socket, '/1')).toBe('HTTP/1.1 200 OK');
  await Promise.all([host.add(order('bad', '{"node": {"id": "bad"}, "static_resources": 7}')), host.add(order('two')), host.add(order('one'))]);
  await host.add({ ...order('three'), bootstrapPath: join(folder, 'nothing.json') });
  expect(answers.map((answer) => `${answer.key} ${answer.node}`).sort()).toEqual(['bad failed', 'one failed', 'one serving', 'three failed', 'two serving']);
  const reasons = answers.flatMap((answer) => (answer.node === 'failed' ? [`${answer.key}: ${answer.reason}`] : [])).sort();
  expect(reasons[0]).toContain('bad.json');
  expect(reasons[1]).toBe('one: it runs in this process already');
  expect(reasons[2]).toContain('nothing.json');
  expect(await answerOn(socket, '/2')).toBe('HTTP/1.1 200 OK');
  socket.destroy();
});

test('a workload that is removed is drained, and the others go on', async () => {
  await Promise.all([host.add(order('one')), host.add(order('two'))]);
  const [gone, kept] = await Promise.all([open('one'), open('two')]);
  const closed = new Promise((resolve) => gone.once('close', resolve));
  gone.resume();
  await host.remove('one');
  await closed;
  expect(answers.at(-1)).toEqual({ node: 'removed', key: 'one' });
  await expect(open('one')).rejects.toThrow();
  expect(await answerOn(kept, '/')).toBe('HTTP/1.1 200 OK');
  kept.destroy();
  await host.add(order('one'));
  expect(answers.at(-1)).toEqual({ node: 'serving', key: 'one' });
});

test('the sockets of each are passed on under its name', async () => {
  const at = (key: string, portValue: number): WorkloadOrder => {
    const made = order(key);
    const listener = listenerJson('web', { routes: [routeTo('app')], fields: { address: { socketAddress: { address: '127.0.0.1', portValue } } } });
    const clusters = [clusterJson('app', { endpoints: [application.address] })];
    writeFileSync(made.bootstrapPath, JSON.stringify({ node: { id: key, cluster: key }, staticResources: { clusters, listeners: [listener] } }));
    return made;
  };
  const ports = await Promise.all(['one', 'two'].map(() => freePort()));
  await Promise.all([host.add(at('one', ports[0]!)), host.add(at('two', ports[1]!))]);
  const sockets = host.sockets();
  expect([...sockets.keys()].sort()).toEqual([`one\n127.0.0.1:${ports[0]}`, 'one\nmetrics page', `two\n127.0.0.1:${ports[1]}`, 'two\nmetrics page']);
  expect((await ask(`127.0.0.1:${ports[1]}`)).status).toBe(200);
});

test('what each takes of the loop is among its figures', async () => {
  const port = await freePort();
  await host.add({ ...order('one'), metricsAddress: `127.0.0.1:${port}` });
  const used = async (): Promise<number> => {
    const { body } = await ask(`127.0.0.1:${port}`, { path: '/stats/prometheus' });
    return Number(/^outrigger_loop_used_seconds_total (\S+)/m.exec(body)?.[1]);
  };
  const before = await used();
  const socket = await open('one');
  await answerOn(socket, '/');
  socket.destroy();
  expect(await used()).toBeGreaterThan(before);
});

async function freePort(): Promise<number> {
  const { createServer } = await import('node:net');
  return new Promise((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const { port } = server.address() as { port: number };
      server.close(() => resolve(port));
    });
  });
}
