import type { JsonObject } from '@bufbuild/protobuf';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ByteEnd } from '../testing/byte-end.ts';
import { routeTo } from '../testing/messages.ts';
import { TestEngine } from '../testing/test-engine.ts';

let engine: TestEngine;

beforeEach(() => {
  engine = new TestEngine();
});
afterEach(async () => {
  expect(await engine.close()).toEqual([]);
});

/** A TCP upstream that says what it hears. */
class RawUpstream {
  readonly connections: ByteEnd[] = [];

  constructor(name: string) {
    engine.runtime.internalListeners.set(name, (transport, setSink) => {
      const connection = new ByteEnd(transport);
      this.connections.push(connection);
      setSink(connection);
    });
  }
}

const CONNECT_ROUTE: JsonObject = {
  match: { connectMatcher: {} },
  route: { cluster: 'tcp', timeout: '0s', upgradeConfigs: [{ upgradeType: 'CONNECT', connectConfig: {} }] },
};
const CONNECT = { method: 'CONNECT', authority: 'db:5432' };

describe.each([false, true])('CONNECT that ends here (HTTP/2: %s)', (http2) => {
  let raw: RawUpstream;

  beforeEach(async () => {
    raw = new RawUpstream('raw');
    engine.cluster('tcp', {
      endpoints: ['raw'],
      fields: { circuitBreakers: { thresholds: [{ maxConnections: 2 }] }, outlierDetection: { consecutive5xx: 3, maxEjectionPercent: 100 } },
    });
    await engine.listener('in', { routes: [CONNECT_ROUTE] });
  });

  const host = () => [...engine.clusters.get('tcp')!.hosts][0]!;

  it('joins both sides as bytes, each half with its own end', async () => {
    const call = engine.client('in', { http2 }).send(CONNECT);
    await engine.settle();
    expect(call.status).toBe(200);
    const [upstream] = raw.connections;
    call.write('to the database');
    await engine.settle();
    expect(upstream!.text).toBe('to the database');
    upstream!.write('from it');
    upstream!.transport.end();
    await engine.settle();
    expect([call.body, call.ended]).toEqual(['from it', true]);
    call.write(' and on', true);
    await engine.settle();
    expect([upstream!.text, upstream!.ended]).toEqual(['to the database and on', true]);
    await engine.settle();
    expect(engine.last).toMatchObject({ code: 200, flags: '-', attempts: 1 });
    expect(host().connections).toBe(0);
  });

  it('tells the client when the upstream is cut off', async () => {
    const call = engine.client('in', { http2 }).send(CONNECT);
    await engine.settle();
    raw.connections[0]!.write('half a');
    raw.connections[0]!.transport.destroy();
    await engine.until(() => call.over);
    expect(call.body).toBe('half a');
    call.write('x', true);
    await engine.settle();
    expect(engine.managers[0]!.activeStreams).toBe(0);
    expect(host().connections).toBe(0);
  });

  it('tells the client when the upstream is gone that had said its last word', async () => {
    const call = engine.client('in', { http2 }).send(CONNECT);
    await engine.settle();
    raw.connections[0]!.transport.end();
    await engine.settle();
    raw.connections[0]!.transport.destroy();
    await engine.settle();
    expect(call.over).toBe(true);
    expect(engine.underWay()).toEqual([]);
    expect(host().connections).toBe(0);
  });

  it('ends the upstream when the client is cut off', async () => {
    const client = engine.client('in', { http2 });
    client.send(CONNECT);
    await engine.settle();
    client.destroy();
    await engine.settle();
    expect(raw.connections[0]!.closed || raw.connections[0]!.ended).toBe(true);
    expect(host().connections).toBe(0);
  });

  it('is 503 where nobody listens, and no more than max_connections are opened', async () => {
    const open = [engine.client('in', { http2 }).send(CONNECT), engine.client('in', { http2 }).send(CONNECT)];
    await engine.settle();
    for (let i = 0; i < 4; i++) {
      const over = await engine.client('in', { http2 }).call(CONNECT);
      expect(over.status).toBe(503);
      expect(engine.last.flags).toBe('UO');
    }
    // A limit of ours says nothing about the endpoint.
    expect(host().outlier.state).toBe('closed');
    for (const call of open) call.abort();
    await engine.settle();
    engine.runtime.internalListeners.delete('raw', engine.runtime.internalListeners.get('raw')!);
    expect((await engine.client('in', { http2 }).call(CONNECT)).status).toBe(503);
    expect(engine.last.flags).toBe('UF');
  });

  it('whose client goes away while it connects leaves no connection behind', async () => {
    const client = engine.client('in', { http2 });
    client.send(CONNECT);
    client.destroy();
    await engine.settle();
    await engine.advance(2_000);
    expect(host().connections).toBe(0);
    expect(engine.clusters.get('tcp')!.limits.connections).toBe(0);
    for (const connection of raw.connections) expect(connection.closed || connection.ended).toBe(true);
  });
});

it('CONNECT through an internal listener is HTTP inside', async () => {
  const a = engine.upstream('a').script(200);
  engine.cluster('orders', { endpoints: ['a'] });
  engine.cluster('tunnel', { endpoints: ['inner'] });
  await engine.listener('inner', { routes: [routeTo('orders')] });
  await engine.listener('outer', {
    routes: [
      { ...CONNECT_ROUTE, route: { cluster: 'tunnel', timeout: '0s', upgradeConfigs: [{ upgradeType: 'CONNECT', connectConfig: {} }] } },
      routeTo('orders'),
    ],
  });
  const call = engine.client('outer').send({ method: 'CONNECT', authority: 'orders:8080' });
  await engine.settle();
  expect(call.status).toBe(200);
  call.write('GET /a HTTP/1.1\r\nHost: orders:8080\r\n\r\n');
  await engine.settle();
  expect(call.body).toMatch(/^HTTP\/1\.1 200 OK\r\n/);
  expect(a.last.head).toMatchObject({ method: 'GET', path: '/a', authority: 'orders:8080' });
  call.abort();
});

describe('Upgrade', () => {
  it.each([
    [false, false],
    [false, true],
    [true, false],
    [true, true],
  ])('passes bytes both ways once it is accepted (HTTP/2 down: %s, up: %s)', async (down, up) => {
    const a = engine.upstream('a', { http2: up });
    engine.cluster('c', { endpoints: ['a'], http2: up });
    await engine.listener('in', { routes: [routeTo('c')], manager: { upgradeConfigs: [{ upgradeType: 'websocket' }] } });
    a.onRequest = (received) => received.begin(101, [], false, true);
    const call = engine.client('in', { http2: down }).send({ method: 'GET', protocol: 'websocket' });
    await engine.settle();
    expect(a.last.head.protocol).toBe('websocket');
    expect(call.status).toBe(down ? 200 : 101);
    call.write('ping');
    await engine.settle();
    expect(a.last.body).toBe('ping');
    a.last.write('pong');
    await engine.settle();
    expect(call.body).toBe('pong');
    // No timeout of a request holds for it.
    await engine.advance(600_000);
    expect(call.over).toBe(false);
    a.last.write('', true);
    call.write('', true);
    await engine.settle();
    expect(engine.last).toMatchObject({ flags: '-' });
    expect(engine.underWay()).toEqual([]);
  });

  it.each(['client', 'upstream'])('to a websocket is over soon after its %s has ended', async (side) => {
    const a = engine.upstream('a', { http2: true });
    engine.cluster('c', { endpoints: ['a'], http2: true });
    await engine.listener('in', { routes: [routeTo('c')], manager: { upgradeConfigs: [{ upgradeType: 'websocket' }] } });
    a.onRequest = (received) => received.begin(101, [], false, true);
    const call = engine.client('in').send({ method: 'GET', protocol: 'websocket' });
    await engine.settle();
    if (side === 'client') call.write('bye', true);
    else a.last.write('bye', true);
    await engine.settle();
    expect(side === 'client' ? a.last.body : call.body).toBe('bye');
    await engine.advance(1_000);
    expect(engine.managers[0]!.activeStreams).toBe(1);
    await engine.advance(2_000);
    expect(engine.managers[0]!.activeStreams).toBe(0);
    expect(engine.underWay()).toEqual([]);
  });

  it('that the application declines is an ordinary answer', async () => {
    const a = engine.upstream('a');
    engine.cluster('c', { endpoints: ['a'] });
    await engine.listener('in', { routes: [routeTo('c')] });
    a.onRequest = (received) => received.respond(426, { body: 'no' });
    const call = await engine.client('in').call({ method: 'GET', protocol: 'websocket' });
    expect([call.status, call.body]).toEqual([426, 'no']);
  });

  it.each([
    [{ upgradeConfigs: [{ upgradeType: 'websocket', enabled: false }] }, {}, 403],
    [{ upgradeConfigs: [{ upgradeType: 'websocket', enabled: false }] }, { upgradeConfigs: [{ upgradeType: 'websocket' }] }, 200],
    [{}, { upgradeConfigs: [{ upgradeType: 'websocket', enabled: false }] }, 403],
    [{}, {}, 200],
  ])('is let through as manager %j and route %j say: %i', async (manager, route, status) => {
    engine.upstream('a').onRequest = (received) => received.respond(200);
    engine.cluster('c', { endpoints: ['a'] });
    await engine.listener('in', { routes: [routeTo('c', route)], manager });
    expect((await engine.client('in').call({ method: 'GET', protocol: 'websocket' })).status).toBe(status);
  });

  it('CONNECT is refused where nothing allows it', async () => {
    engine.cluster('c', { endpoints: ['a'] });
    await engine.listener('in', { routes: [{ match: { connectMatcher: {} }, route: { cluster: 'c' } }] });
    const call = await engine.client('in').call(CONNECT);
    expect(call.status).toBe(403);
    expect(engine.last.details).toBe('upgrade_failed');
  });
});
