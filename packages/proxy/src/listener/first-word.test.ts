import { once } from 'node:events';
import net from 'node:net';
import tls from 'node:tls';
import type { JsonObject } from '@bufbuild/protobuf';
import { ListenerSchema } from '@outrigger/xds/protos/envoy/config/listener/v3/listener';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { message, typed } from '../testing/messages.ts';
import { TestEngine } from '../testing/test-engine.ts';
import { TestAuthority } from '../tls/testing/certificates.ts';
import { HELLO_GRACE_MS } from './first-word.ts';

const GREETING = '220 mail ready\r\n';
const ca = new TestAuthority();
const own = ca.issue({ uri: ['spiffe://cluster.local/ns/default/sa/mail'] });
const friend = ca.issue({ uri: ['spiffe://cluster.local/ns/default/sa/friend'] });

let engine: TestEngine;
let server: net.Server;
/** What the application has received, a text for each of its connections. */
let received: string[];
let open: net.Socket[];

beforeEach(async () => {
  engine = new TestEngine();
  received = [];
  open = [];
  server = net.createServer((socket) => {
    const number = received.push('') - 1;
    open.push(socket);
    socket.on('error', () => {});
    socket.on('data', (chunk) => {
      received[number] += chunk.toString('latin1');
      server.emit('told');
    });
    socket.on('close', () => {
      open = open.filter((other) => other !== socket);
      server.emit('told');
    });
    socket.write(GREETING);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  engine.cluster('inbound|25||', { endpoints: [`127.0.0.1:${(server.address() as net.AddressInfo).port}`] });
});

afterEach(async () => {
  for (const socket of open) socket.destroy();
  server.close();
  expect(await engine.close()).toEqual([]);
});

const TCP = { name: 'tcp', typedConfig: typed('envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy', { statPrefix: 'mail', cluster: 'inbound|25||' }) };
const rbac = (action: string, principal: JsonObject): JsonObject => ({
  name: 'rbac',
  typedConfig: typed('envoy.extensions.filters.network.rbac.v3.RBAC', {
    statPrefix: 'x',
    rules: { action, policies: { p: { permissions: [{ any: true }], principals: [principal] } } },
  }),
});
const FRIENDS_ONLY = rbac('ALLOW', { authenticated: { principalName: { suffix: '/sa/friend' } } });

/** A port as the mesh makes it: mTLS for who has it, plain text for the others. */
async function listen({ strict = false, policies = [] as JsonObject[] } = {}): Promise<number> {
  const filters = [...policies, TCP];
  const inline = (inlineString: string): JsonObject => ({ inlineString });
  const mtls = {
    filterChainMatch: { transportProtocol: 'tls', applicationProtocols: ['istio'] },
    transportSocket: {
      name: 'tls',
      typedConfig: typed('envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext', {
        requireClientCertificate: true,
        commonTlsContext: {
          tlsCertificates: [{ certificateChain: inline(own.chainPem), privateKey: inline(own.keyPem) }],
          validationContext: { trustedCa: inline(ca.pem) },
          alpnProtocols: ['istio'],
        },
      }),
    },
    filters,
  };
  const config = engine.listeners.compile(
    message(ListenerSchema, {
      name: 'in',
      address: { socketAddress: { address: '127.0.0.1', portValue: 0 } },
      listenerFilters: [{ name: 'tls', typedConfig: typed('envoy.extensions.filters.listener.tls_inspector.v3.TlsInspector') }],
      listenerFiltersTimeout: '2s',
      continueOnListenerFiltersTimeout: true,
      filterChains: [mtls, ...(strict ? [] : [{ filterChainMatch: { transportProtocol: 'raw_buffer' }, filters }])],
    }),
  );
  if (typeof config === 'string') throw new Error(config);
  await engine.listeners.set(config);
  return Number(engine.listeners.get('in')!.address.split(':')[1]);
}

class Client {
  readonly socket: net.Socket;
  text = '';
  closed = false;
  constructor(socket: net.Socket) {
    this.socket = socket;
    socket.on('data', (chunk) => {
      this.text += chunk.toString('latin1');
    });
    socket.on('error', () => {});
    socket.on('close', () => {
      this.closed = true;
    });
  }
  async received(): Promise<string> {
    while (this.text === '' && !this.closed) await Promise.race([once(this.socket, 'data'), once(this.socket, 'close')]);
    return this.text;
  }
}

async function plain(port: number): Promise<Client> {
  const client = new Client(net.connect(port, '127.0.0.1'));
  await once(client.socket, 'connect');
  return client;
}

const secured = (port: number, certificate = friend): Client =>
  new Client(
    tls.connect({
      host: '127.0.0.1',
      port,
      ca: ca.pem,
      cert: certificate.chainPem,
      key: certificate.keyPem,
      ALPNProtocols: ['istio'],
      checkServerIdentity: () => undefined,
    }),
  );

/** Until the application's greeting is with the proxy. */
async function greeted(connections = 1): Promise<void> {
  while (received.length < connections) await once(server, 'connection');
  while (engine.clusters.get('inbound|25||')!.limits.connections < connections) await engine.settle();
  for (let turn = 0; turn < 20; turn++) await engine.settle();
}

it('a caller that waits has the greeting as soon as it has had time for a ClientHello', async () => {
  const client = await plain(await listen());
  await greeted();
  await engine.advance(HELLO_GRACE_MS - 20);
  expect(client.text).toBe('');
  await engine.advance(40);
  expect(await client.received()).toBe(GREETING);
  client.socket.write('EHLO me\r\n');
  while (received[0] !== 'EHLO me\r\n') await once(server, 'told');
  expect(received).toHaveLength(1);
  client.socket.destroy();
});

it('a caller that speaks first is heard at once', async () => {
  const client = await plain(await listen());
  client.socket.write('EHLO me\r\n');
  expect(await client.received()).toBe(GREETING);
  while (received[0] !== 'EHLO me\r\n') await once(server, 'told');
  expect(received).toHaveLength(1);
  client.socket.destroy();
});

it('a mesh caller gets the greeting through mTLS, over the connection that was made ahead', async () => {
  const port = await listen();
  const raw = await plain(port);
  raw.socket.destroy();
  const client = secured(port);
  expect(await client.received()).toBe(GREETING);
  client.socket.write('EHLO me\r\n');
  while (!received.includes('EHLO me\r\n')) await once(server, 'told');
  expect(received).toHaveLength(2);
  expect(engine.metrics).toContain('source_principal="spiffe://cluster.local/ns/default/sa/friend"');
  client.socket.destroy();
});

it('a caller that plain text is forbidden hears nothing, and nothing is connected for it', async () => {
  const client = await plain(await listen({ policies: [FRIENDS_ONLY] }));
  await engine.advance(1_900);
  expect(client.text).toBe('');
  expect(received).toEqual([]);
  await engine.advance(200);
  if (!client.closed) await once(client.socket, 'close');
  expect(client.text).toBe('');
  expect(received).toEqual([]);
});

it('under STRICT a silent caller hears nothing and is closed', async () => {
  const client = await plain(await listen({ strict: true }));
  await engine.advance(2_100);
  if (!client.closed) await once(client.socket, 'close');
  expect(client.text).toBe('');
  expect(received).toEqual([]);
});

it('a caller that mTLS tells to be somebody else is not given what was said ahead', async () => {
  // Plain text is allowed to anybody, this identity is not.
  const port = await listen({ policies: [rbac('DENY', { authenticated: { principalName: { suffix: '/sa/stranger' } } })] });
  const client = secured(port, ca.issue({ uri: ['spiffe://cluster.local/ns/default/sa/stranger'] }));
  await once(client.socket, 'close');
  expect(client.text).toBe('');
  while (open.length > 0) await once(server, 'told');
});

it('a handshake that fails ends what was connected ahead', async () => {
  const client = secured(await listen(), new TestAuthority().issue({ uri: ['spiffe://cluster.local/ns/default/sa/friend'] }));
  await once(client.socket, 'close');
  expect(client.text).toBe('');
  while (received.length > 0 && open.length > 0) await once(server, 'told');
});

it('a ClientHello that comes after the greeting ends the connection, and the application is not given it', async () => {
  const client = await plain(await listen());
  await greeted();
  await engine.advance(HELLO_GRACE_MS + 20);
  expect(await client.received()).toBe(GREETING);
  client.socket.write(Buffer.from([22, 3, 1, 0, 4, 1, 0, 0, 0]));
  await once(client.socket, 'close');
  expect(received).toEqual(['']);
  expect(engine.listeners.get('in')!.stats.lateHello).toBe(1);
});

it('half a ClientHello is a word: the greeting waits for the rest of it', async () => {
  const client = await plain(await listen());
  client.socket.write(Buffer.from([22, 3, 1]));
  await greeted();
  await engine.advance(1_000);
  expect(client.text).toBe('');
  client.socket.destroy();
  while (open.length > 0) await once(server, 'told');
});

it('where the application is away a silent caller is told so without waiting', async () => {
  const port = await listen();
  server.close();
  await once(server, 'close');
  const client = await plain(port);
  for (let turn = 0; turn < 50; turn++) await engine.settle();
  await engine.advance(HELLO_GRACE_MS + 20);
  if (!client.closed) await once(client.socket, 'close');
  expect(client.text).toBe('');
});

it('what was connected ahead ends with a client that a filter of its own chain refuses', async () => {
  const limit = {
    name: 'limit',
    typedConfig: typed('envoy.extensions.filters.network.connection_limit.v3.ConnectionLimit', { statPrefix: 'x', maxConnections: '1' }),
  };
  const config = engine.listeners.compile(
    message(ListenerSchema, {
      name: 'in',
      address: { socketAddress: { address: '127.0.0.1', portValue: 0 } },
      listenerFilters: [{ name: 'http', typedConfig: typed('envoy.extensions.filters.listener.http_inspector.v3.HttpInspector') }],
      listenerFiltersTimeout: '2s',
      continueOnListenerFiltersTimeout: true,
      filterChains: [{ filterChainMatch: { applicationProtocols: ['http/1.1'] }, filters: [limit, TCP] }, { filters: [TCP] }],
    }),
  );
  if (typeof config === 'string') throw new Error(config);
  await engine.listeners.set(config);
  const port = Number(engine.listeners.get('in')!.address.split(':')[1]);
  const first = await plain(port);
  first.socket.write('GET / HTTP/1.1\r\n\r\n');
  expect(await first.received()).toBe(GREETING);
  const second = await plain(port);
  await greeted(2);
  second.socket.write('GET / HTTP/1.1\r\n\r\n');
  await once(second.socket, 'close');
  expect(second.text).toBe('');
  while (open.length > 1) await once(server, 'told');
  first.socket.destroy();
});
