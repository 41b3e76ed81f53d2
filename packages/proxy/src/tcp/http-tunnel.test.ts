import type { JsonObject } from '@bufbuild/protobuf';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Faults } from '../engine/faults.ts';
import { type ClientStream, RequestHead } from '../http/message.ts';
import { memoryPair } from '../net/memory-transport.ts';
import { Turn, TurnWriter } from '../net/turn-writer.ts';
import { ByteEnd } from '../testing/byte-end.ts';
import { typed } from '../testing/messages.ts';
import { TestEngine } from '../testing/test-engine.ts';
import type { TestUpstream } from '../testing/test-upstream.ts';
import type { HttpPool } from '../upstream/http-pool.ts';
import { HttpTunnel } from './http-tunnel.ts';

let engine: TestEngine;
let upstream: TestUpstream;

async function start(tunnelingConfig: JsonObject = { hostname: 'db.test:5432' }, http2 = true): Promise<void> {
  upstream = engine.upstream('app', { http2 });
  engine.cluster('app', { endpoints: ['app'], http2 });
  const tcp = typed('envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy', { statPrefix: 't', cluster: 'app', tunnelingConfig });
  await engine.listener('tcp', { fields: { filterChains: [{ filters: [{ name: 'tcp', typedConfig: tcp }] }] } });
}

/** A TCP client of the listener "tcp". */
function connect(): ByteEnd {
  const [ours, theirs] = memoryPair();
  const client = new ByteEnd(ours);
  engine.runtime.internalListeners.get('tcp')!(theirs, (sink) => {
    theirs.sink = sink;
  });
  return client;
}

beforeEach(() => {
  engine = new TestEngine();
});
afterEach(async () => {
  expect(await engine.close()).toEqual([]);
});

describe.each([
  ['CONNECT', {}],
  ['POST', { usePost: true, postPath: '/in' }],
] as const)('bytes in a %s', (method, fields) => {
  it('go both ways, on one HTTP/2 connection, and each half ends by itself', async () => {
    await start({ hostname: 'db.test:5432', headersToAdd: [{ header: { key: 'x-from', value: 'here' } }], ...fields });
    const clients = [connect(), connect()];
    for (const client of clients) client.write('ab');
    await engine.settle();
    expect(upstream.requests.map(({ head, body }) => [head.method, head.authority, body])).toEqual([
      [method, 'db.test:5432', ''],
      [method, 'db.test:5432', ''],
    ]);
    expect([upstream.connections.length, upstream.last.header('x-from')]).toEqual([1, 'here']);
    for (const received of upstream.requests) received.begin(200, [], false, method === 'CONNECT');
    await engine.settle();
    expect(upstream.requests.map(({ body }) => body)).toEqual(['ab', 'ab']);
    clients[0]!.transport.end();
    await engine.settle();
    expect([upstream.requests[0]!.ended, clients[0]!.ended]).toEqual([true, false]);
    upstream.requests[0]!.write('answer', true);
    await engine.settle();
    expect([clients[0]!.text, clients[0]!.ended, clients[1]!.closed]).toEqual(['answer', true, false]);
    clients[1]!.transport.destroy();
    await engine.settle();
    expect(upstream.requests[1]!.reset).not.toBe('');
  });
});

it('a refusal closes the client, or is tried again', async () => {
  await start();
  const client = connect();
  await engine.settle();
  upstream.last.begin(503, [], true);
  await engine.settle();
  expect(client.closed).toBe(true);
});

it('a reset of the tunnel closes the client; a client that gives up early gives the request back', async () => {
  await start();
  const client = connect();
  await engine.settle();
  upstream.last.begin(200, [], false, true);
  await engine.settle();
  upstream.last.abort();
  await engine.settle();
  expect(client.closed).toBe(true);
  const early = connect();
  await engine.settle();
  early.transport.destroy();
  await engine.settle();
  expect(upstream.requests).toHaveLength(2);
  expect(upstream.last.reset).not.toBe('');
});

it('an upstream that takes nothing holds the client back', async () => {
  await start({ hostname: 'db.test:5432' }, false);
  const client = connect();
  await engine.settle();
  upstream.last.begin(200, [], false, true);
  await engine.settle();
  upstream.last.pause();
  let sent = 0;
  for (let i = 0; i < 200 && client.transport.writableLength < 64 * 1024; i++) {
    client.write('x'.repeat(32 * 1024));
    sent += 32 * 1024;
    await engine.settle();
  }
  expect(sent).toBeLessThan(1024 * 1024);
  upstream.last.resume();
  await engine.settle();
  expect(upstream.last.body).toHaveLength(sent);
  client.transport.destroy();
  await engine.settle();
});

it('a full connection holds the client back, also where the stream itself keeps nothing (HTTP/2 within its windows)', () => {
  let room = true;
  const stream = { sendBody: () => room, bufferedBytes: 0 } as unknown as ClientStream;
  const pool = { acquire: (client: HttpTunnel) => client.onPoolReady({ request: () => stream } as never) } as unknown as HttpPool;
  const tunnel = new HttpTunnel(pool, new RequestHead(), new Faults(() => {}), { onOpen: () => {}, onOpenFailed: () => {} });
  tunnel.start();
  const writer = new TurnWriter(new Turn(() => {}), tunnel);
  tunnel.sink = { receive: () => {}, receiveEnd: () => {}, transportClosed: () => {}, transportDrained: () => writer.drained() };
  writer.latin1('a');
  writer.flush();
  expect(writer.blocked).toBe(false);
  room = false;
  writer.latin1('b');
  writer.flush();
  expect(writer.blocked).toBe(true);
  tunnel.onDrain();
  expect([writer.blocked, tunnel.writableLength]).toEqual([false, 0]);
});

it('a name that comes from the client and is none opens no tunnel', async () => {
  await start({ hostname: '%REQUESTED_SERVER_NAME%' });
  const client = connect();
  await engine.settle();
  expect([client.closed, upstream.requests.length]).toEqual([true, 0]);
});
