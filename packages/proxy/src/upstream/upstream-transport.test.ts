import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import tls from 'node:tls';
import type { JsonObject } from '@bufbuild/protobuf';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { routeTo, typed } from '../testing/messages.ts';
import { TestEngine } from '../testing/test-engine.ts';
import { hashesOf, TestAuthority } from '../tls/testing/certificates.ts';

const PAYMENT = 'spiffe://cluster.local/ns/default/sa/payment';
const authority = new TestAuthority();
const payment = authority.issue({ uri: [PAYMENT] });

let engine: TestEngine;
let servers: net.Server[];

beforeEach(() => {
  engine = new TestEngine();
  servers = [];
});
afterEach(async () => {
  expect(await engine.close()).toEqual([]);
  for (const server of servers) server.close();
});

const answer = (socket: net.Socket): void => {
  socket.on('error', () => {});
  socket.on('data', () => socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'));
};

async function listen(server: net.Server): Promise<string> {
  servers.push(server);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return `127.0.0.1:${(server.address() as net.AddressInfo).port}`;
}

function tlsServer(options: tls.TlsOptions = {}): tls.Server {
  return tls.createServer({ cert: payment.chainPem, key: payment.keyPem, ...options }, answer).on('tlsClientError', () => {});
}

/** Real sockets: the answer is awaited, not the fake clock. */
async function call(at: string, context?: JsonObject, fields: JsonObject = {}): Promise<{ status: number; failure: string; peer: boolean }> {
  const transportSocket =
    context === undefined
      ? {}
      : { transportSocket: { name: 'tls', typedConfig: typed('envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext', context) } };
  engine.cluster('c', { endpoints: [at], fields: { ...transportSocket, ...fields } });
  await engine.listener('in', { routes: [routeTo('c')] });
  const done = engine.client('in').send();
  await expect.poll(() => done.over, { timeout: 5_000 }).toBe(true);
  return { status: done.status, failure: engine.last.failure, peer: engine.metrics.includes(`destination_principal="${PAYMENT}"`) };
}

const trusts = (fields: JsonObject = {}): JsonObject => ({
  commonTlsContext: { validationContext: { trustedCa: { inlineString: authority.pem }, ...fields } },
});
const named = (uri: string): JsonObject => trusts({ matchTypedSubjectAltNames: [{ sanType: 'URI', matcher: { exact: uri } }] });

it('connects in the clear, over TCP and to a path', async () => {
  expect((await call(await listen(net.createServer(answer)))).status).toBe(200);
  const folder = mkdtempSync(join(tmpdir(), 'upstream-'));
  const server = net.createServer(answer).listen(join(folder, 'up.sock'));
  servers.push(server);
  await once(server, 'listening');
  const pipe = { clusterName: 'c', endpoints: [{ lbEndpoints: [{ endpoint: { address: { pipe: { path: join(folder, 'up.sock') } } } }] }] };
  expect((await call('127.0.0.1:1', undefined, { loadAssignment: pipe })).status).toBe(200);
  rmSync(folder, { recursive: true });
});

describe('over TLS', () => {
  it('goes on only with the peer that it must be, and tells who it was', async () => {
    const at = await listen(tlsServer());
    expect(await call(at, named(PAYMENT))).toMatchObject({ status: 200, peer: true });
    expect(await call(at, named('spiffe://cluster.local/ns/default/sa/admin'))).toMatchObject({
      status: 503,
      failure: expect.stringContaining(`its certificate is for ${PAYMENT}; expected uri exact spiffe://cluster.local/ns/default/sa/admin`) as string,
    });
  });

  it('does not go on with a certificate of another authority, whatever name is in it', async () => {
    const forged = new TestAuthority().issue({ uri: [PAYMENT] });
    const at = await listen(tlsServer({ cert: forged.chainPem, key: forged.keyPem }));
    expect((await call(at, named(PAYMENT))).status).toBe(503);
    expect(engine.last.flags).toBe('UF');
  });

  it('holds pins also where no authority is trusted', async () => {
    const at = await listen(tlsServer());
    const pinned = (fields: JsonObject): JsonObject => ({ commonTlsContext: { validationContext: fields } });
    const { certificate, spki } = hashesOf(payment);
    const other = hashesOf(authority.issue({ uri: [PAYMENT] }));
    expect((await call(at, pinned({ verifyCertificateHash: [certificate] }))).status).toBe(200);
    expect((await call(at, pinned({ verifyCertificateSpki: [spki] }))).status).toBe(200);
    expect(await call(at, pinned({ verifyCertificateHash: [other.certificate] }))).toMatchObject({
      status: 503,
      failure: expect.stringContaining('verify_certificate_hash') as string,
    });
    expect(await call(at, pinned({ verifyCertificateSpki: [other.spki] }))).toMatchObject({
      status: 503,
      failure: expect.stringContaining('verify_certificate_spki') as string,
    });
  });

  it('does not connect while a secret or a root to check names with is missing', async () => {
    const at = await listen(tlsServer());
    const sds = { name: 'ROOTCA', sdsConfig: { ads: {} } };
    expect((await call(at, { commonTlsContext: { validationContextSdsSecretConfig: sds } })).failure).toBe('TLS: the secret ROOTCA has not come yet');
    const unrooted = { commonTlsContext: { validationContext: { matchTypedSubjectAltNames: [{ sanType: 'URI', matcher: { exact: PAYMENT } }] } } };
    expect((await call(at, unrooted)).failure).toBe('TLS: names are to be checked, but there is no trusted CA');
  });

  it('sends the server name and protocols that are configured', async () => {
    const seen: unknown[] = [];
    const server = tlsServer({ ALPNProtocols: ['http/1.1'] });
    server.on('secureConnection', (socket: tls.TLSSocket) => seen.push(socket.servername, socket.alpnProtocol));
    const at = await listen(server);
    const { commonTlsContext } = trusts() as { commonTlsContext: JsonObject };
    expect((await call(at, { sni: 'outbound.example', commonTlsContext: { ...commonTlsContext, alpnProtocols: ['istio-http/1.1', 'http/1.1'] } })).status).toBe(
      200,
    );
    expect(seen).toEqual(['outbound.example', 'http/1.1']);
  });

  it('to somebody who speaks no TLS fails, and says so', async () => {
    const at = await listen(net.createServer((socket) => socket.on('error', () => {}).end('HTTP/1.1 400 Bad Request\r\n\r\n')));
    const { status, failure } = await call(at, trusts());
    expect(status).toBe(503);
    expect(failure).not.toBe('');
  });
});

describe('a connection that does not come to be', () => {
  it('is refused at once where nobody listens', async () => {
    const server = net.createServer();
    const at = await listen(server);
    server.close();
    await once(server, 'close');
    expect(await call(at)).toMatchObject({ status: 503, failure: expect.stringContaining('ECONNREFUSED') as string });
    expect(engine.last.flags).toBe('UF');
  });

  it('is given up after connect_timeout, and told apart from one that was refused', async () => {
    const silent = net.createServer((socket) => socket.on('error', () => {}).resume());
    const at = await listen(silent);
    const arrived = once(silent, 'connection');
    engine.cluster('c', {
      endpoints: [at],
      fields: { transportSocket: { name: 'tls', typedConfig: typed('envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext', trusts()) } },
    });
    await engine.listener('in', { routes: [routeTo('c')] });
    const done = engine.client('in').send();
    await engine.settle();
    const [socket] = (await arrived) as [net.Socket];
    const closed = once(socket, 'close');
    await engine.advance(900);
    expect(done.over).toBe(false);
    await engine.advance(200);
    await closed;
    expect(done.status).toBe(503);
    expect(done.header('proxy-status')).toContain('error=connection_timeout');
    expect(engine.last).toMatchObject({ flags: 'UF', details: 'upstream_reset_before_response_started{connection_timeout|connection_timeout}' });
  });

  it('by a timeout is tried once more, and not thrice, as the route says', async () => {
    let connections = 0;
    const silent = net.createServer((socket) => {
      connections++;
      socket.on('error', () => {}).resume();
    });
    const at = await listen(silent);
    engine.cluster('c', {
      endpoints: [at],
      fields: { transportSocket: { name: 'tls', typedConfig: typed('envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext', trusts()) } },
    });
    const mesh = { filterMetadata: { 'outrigger.dev': { retry: { idempotentOnly: true, connectTimeoutRetries: 1 } } } };
    await engine.listener('in', { routes: [routeTo('c', { retryPolicy: { retryOn: '5xx,connect-failure', numRetries: 3 } }, { metadata: mesh })] });
    const done = engine.client('in').send({ body: 'a POST too: it cannot have arrived' });
    for (let i = 1; i <= 2; i++) {
      await engine.settle();
      await expect.poll(() => connections).toBe(i);
      await engine.advance(1_100);
    }
    await engine.advance(10_000);
    expect([done.status, connections]).toEqual([503, 2]);
    expect(engine.last).toMatchObject({ flags: 'UF,URX', attempts: 2 });
  });
});
