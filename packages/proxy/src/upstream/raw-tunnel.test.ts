import { once } from 'node:events';
import net from 'node:net';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { typed } from '../testing/messages.ts';
import { TestEngine } from '../testing/test-engine.ts';

const CONNECT = { method: 'CONNECT', authority: 'db:5432' };

let engine: TestEngine;
let server: net.Server;
let accepted: Promise<net.Socket>;

/** An upstream that takes connections and never says a word: TLS with it does not come to an end. */
beforeEach(async () => {
  engine = new TestEngine();
  server = net.createServer();
  accepted = once(server, 'connection').then(([socket]) => {
    (socket as net.Socket).on('error', () => {}).resume();
    return socket as net.Socket;
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  engine.cluster('tcp', {
    endpoints: [`127.0.0.1:${(server.address() as net.AddressInfo).port}`],
    fields: { transportSocket: { name: 'tls', typedConfig: typed('envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext') } },
  });
  await engine.listener('in', {
    routes: [{ match: { connectMatcher: {} }, route: { cluster: 'tcp', timeout: '0s', upgradeConfigs: [{ upgradeType: 'CONNECT', connectConfig: {} }] } }],
  });
});
afterEach(async () => {
  expect(await engine.close()).toEqual([]);
  (await accepted).destroy();
  server.close();
});

it('is given up with its stream while it is being opened', async () => {
  const client = engine.client('in', { http2: true });
  const call = client.send(CONNECT);
  await engine.settle();
  const socket = await accepted;
  expect(engine.clusters.get('tcp')!.limits.connections).toBe(1);
  const closed = once(socket, 'close');
  call.abort();
  await closed;
  expect(engine.clusters.get('tcp')!.limits.connections).toBe(0);
  expect(engine.last.flags).toBe('DC');
});

it('is given up by itself after the connect timeout', async () => {
  const call = engine.client('in').send(CONNECT);
  await engine.settle();
  const closed = once(await accepted, 'close');
  await engine.advance(1_100);
  await closed;
  expect(call.status).toBe(503);
  expect(call.header('proxy-status')).toContain('error=connection_timeout');
  expect(engine.last.flags).toBe('UF');
});
