import type { JsonObject } from '@bufbuild/protobuf';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { routeTo, typed } from '../testing/messages.ts';
import type { Asked, Call } from '../testing/test-client.ts';
import { TestEngine } from '../testing/test-engine.ts';
import type { TestUpstream } from '../testing/test-upstream.ts';
import type { UpstreamHost } from './upstream-host.ts';

const OPTIONS = 'envoy.extensions.upstreams.http.v3.HttpProtocolOptions';

let engine: TestEngine;
let a: TestUpstream;

beforeEach(async () => {
  engine = new TestEngine();
});
afterEach(async () => {
  expect(await engine.close()).toEqual([]);
});

function limits(thresholds: JsonObject, more: JsonObject = {}): JsonObject {
  return { circuitBreakers: { thresholds: [thresholds], ...more } };
}

async function start(http2: boolean, fields: JsonObject = {}, endpoints: string[] = ['a'], maxConcurrentStreams = 1024): Promise<void> {
  a = engine.upstream('a', { http2, maxConcurrentStreams });
  engine.cluster('c', { endpoints, http2, fields });
  await engine.listener('in', { routes: [routeTo('c')] });
}

function protocolOptions(http2: boolean, fields: JsonObject): JsonObject {
  const explicit = http2 ? { http2ProtocolOptions: {} } : { httpProtocolOptions: {} };
  return { typedExtensionProtocolOptions: { [OPTIONS]: typed(OPTIONS, { explicitHttpConfig: explicit, ...fields }) } };
}

function send(count: number, asked: Asked = {}): Call[] {
  return Array.from({ length: count }, () => engine.client('in').send(asked));
}

function call(asked: Asked = {}): Promise<Call> {
  return engine.client('in').call(asked);
}

function host(name = 'a'): UpstreamHost {
  return [...engine.clusters.get('c')!.hosts].find(({ address }) => address === `internal:${name}`)!;
}

describe('HTTP/1', () => {
  it('has a connection for each request at once, and uses the last one again', async () => {
    await start(false);
    const calls = send(3);
    await engine.settle();
    expect(a.connections).toHaveLength(3);
    for (const received of a.requests) received.respond(200);
    await engine.settle();
    expect(calls.map(({ status }) => status)).toEqual([200, 200, 200]);
    a.script(200);
    for (let i = 0; i < 5; i++) await call();
    expect(a.connections).toHaveLength(3);
    expect(new Set(a.requests.slice(3).map(({ connection }) => connection)).size).toBe(1);
  });

  it('opens no more connections than max_connections, and lets the others wait their turn', async () => {
    await start(false, limits({ maxConnections: 2 }));
    const calls = send(5);
    await engine.settle();
    expect([a.connections.length, a.requests.length]).toEqual([2, 2]);
    expect(engine.clusters.get('c')!.limits).toMatchObject({ connections: 2, pendingRequests: 3, requests: 2 });
    while (a.requests.length < 5 || !a.last.connection.closed) {
      const waiting = a.requests.length;
      for (const received of a.requests.slice(-2)) received.respond(200);
      await engine.settle();
      if (a.requests.length === waiting) break;
    }
    expect(calls.map(({ status }) => status)).toEqual([200, 200, 200, 200, 200]);
    expect(a.connections).toHaveLength(2);
  });

  it('has one connection in any case, else nothing would ever move', async () => {
    await start(false, limits({ maxConnections: 0 }));
    a.script(200);
    expect((await call()).status).toBe(200);
  });

  it.each([
    [{ maxPendingRequests: 1, maxConnections: 1 }, 'max_pending_requests'],
    [{ maxRequests: 2 }, 'max_requests'],
  ])('answers 503 with UO beyond %j, and asks nobody', async (thresholds, name) => {
    await start(false, limits(thresholds));
    const under = send(1);
    await engine.settle();
    under.push(...send(1));
    await engine.settle();
    const over = await call();
    expect(over.status).toBe(503);
    expect(over.header('proxy-status')).toMatch(new RegExp(`^test; error=connection_limit_reached; details=".*${name}_of_the_cluster_is_reached.*; UO"$`));
    // Not the endpoint's fault, and no reason to retry.
    expect(engine.last).toMatchObject({ flags: 'UO', attempts: 1 });
    expect(host().outlier.consecutive5xx).toBe(0);
    for (const one of under) one.abort();
    await engine.settle();
    a.script(200);
    expect((await call()).status).toBe(200);
  });

  it('keeps to max_connections of each endpoint', async () => {
    engine.upstream('b');
    await start(false, limits({}, { perHostThresholds: [{ maxConnections: 1 }] }), ['a', 'b']);
    const calls = send(8);
    await engine.settle();
    expect([host('a').connections, host('b').connections]).toEqual([1, 1]);
    for (const one of calls) one.abort();
  });

  it('does not use a connection again whose request was given up', async () => {
    await start(false);
    const [given] = send(1);
    await engine.settle();
    given!.abort();
    await engine.settle();
    expect(a.connections[0]!.closed).toBe(true);
    a.script(200);
    expect((await call()).status).toBe(200);
    expect(a.connections).toHaveLength(2);
  });

  it('ends a connection after so many requests', async () => {
    await start(false, protocolOptions(false, { commonHttpProtocolOptions: { maxRequestsPerConnection: 2 } }));
    a.script(200);
    for (let i = 0; i < 4; i++) await call();
    expect(a.connections).toHaveLength(2);
    expect(a.open).toBe(0);
  });

  it('ends a connection that is too old, at the next request', async () => {
    await start(false, protocolOptions(false, { commonHttpProtocolOptions: { maxConnectionDuration: '10s' } }));
    a.script(200);
    await call();
    await engine.advance(9_000);
    await call();
    expect(a.connections).toHaveLength(1);
    await engine.advance(1_100);
    await call();
    expect(a.connections).toHaveLength(2);
  });

  it('ends connections that have been idle for the idle timeout', async () => {
    await start(false, protocolOptions(false, { commonHttpProtocolOptions: { idleTimeout: '5s' } }));
    const calls = send(3);
    await engine.settle();
    for (const received of a.requests) received.respond(200);
    await engine.until(() => calls.every(({ over }) => over));
    await engine.advance(4_000);
    expect(a.open).toBe(3);
    a.script(200);
    await call();
    await engine.advance(1_500);
    expect(a.open).toBe(1);
    await engine.advance(5_000);
    expect(a.open).toBe(0);
  });
});

describe('a connection that its upstream closes', () => {
  it('while it is idle is not used again', async () => {
    await start(false);
    a.script(200);
    await call();
    a.connections[0]!.end();
    await engine.settle();
    expect((await call()).status).toBe(200);
    expect(a.connections).toHaveLength(2);
    expect(engine.last.attempts).toBe(1);
  });

  it.each([
    ['GET', [], 200],
    ['PUT', [], 200],
    ['POST', [], 503],
    ['POST', ['idempotency-key', 'k'], 200],
  ] as const)('just as a %s %j is written answers %i: replayed once where that is safe', async (method, headers, status) => {
    await start(false);
    a.script(200);
    await call();
    // The request is on its way when the FIN comes: the upstream never looks at it.
    a.onRequest = (received) => {
      if (received.connection === a.connections[0]) received.connection.end();
      else received.respond(200);
    };
    const answer = await call({ method, headers: [...headers], ...(method === 'GET' ? {} : { body: 'content' }) });
    expect(answer.status).toBe(status);
    // Nothing of this says that the endpoint is ill.
    if (status === 200) expect(host().outlier.consecutive5xx).toBe(0);
    else expect(engine.last.flags).toBe('UC');
  });

  it('replays no request twice', async () => {
    await start(false);
    a.script(200);
    const first = send(2);
    await engine.until(() => first.every(({ over }) => over));
    const before = a.requests.length;
    a.onRequest = (received) => received.connection.end();
    expect((await call()).status).toBe(503);
    expect(a.requests.length - before).toBe(2);
  });

  it('replays nothing once a byte of an answer has come', async () => {
    await start(false);
    a.script(200);
    await call();
    a.onRequest = (received) => {
      received.begin(200, ['content-length', '10']);
      received.write('half');
      void engine.settle().then(() => received.connection.destroy());
    };
    const answer = await call();
    expect([answer.status, answer.ended]).toEqual([200, false]);
    expect(answer.reset).not.toBe('');
    expect(a.requests).toHaveLength(2);
    expect(engine.last).toMatchObject({ code: 200, flags: expect.stringMatching(/UC|UPE/) as string });
  });

  it('when idle for 5 s teaches that its connections are to be retired after 4', async () => {
    await start(false);
    a.script(200);
    await call();
    await engine.advance(5_000);
    a.connections[0]!.end();
    await engine.settle();
    expect(host().learnedIdleMs).toBeGreaterThan(3_900);
    expect(host().learnedIdleMs).toBeLessThanOrEqual(4_000);
    await call();
    await engine.advance(3_500);
    await call();
    expect(a.connections).toHaveLength(2);
    await engine.advance(4_100);
    expect(a.open).toBe(0);
    await call();
    expect(a.connections).toHaveLength(3);
  });

  it('when young teaches nothing: it may be a restart', async () => {
    await start(false);
    a.script(200);
    await call();
    await engine.advance(900);
    a.connections[0]!.end();
    await engine.settle();
    expect(host().learnedIdleMs).toBe(Number.POSITIVE_INFINITY);
  });
});

describe('HTTP/2', () => {
  it('carries all requests on one connection', async () => {
    await start(true);
    const calls = send(20);
    await engine.settle();
    expect([a.connections.length, a.requests.length]).toEqual([1, 20]);
    for (const received of a.requests) received.respond(200);
    await engine.settle();
    expect(calls.every(({ status }) => status === 200)).toBe(true);
  });

  it('opens another connection where the first is full by MAX_CONCURRENT_STREAMS', async () => {
    await start(true, {}, ['a'], 5);
    const warm = send(1);
    await engine.settle();
    const calls = send(9);
    await engine.settle();
    expect(a.connections).toHaveLength(2);
    expect(a.requests).toHaveLength(10);
    for (const received of a.requests) received.respond(200);
    await engine.settle();
    expect([...warm, ...calls].map(({ status }) => status)).toEqual(Array.from({ length: 10 }, () => 200));
  });

  it('puts no more streams on a connection than max_concurrent_streams of the cluster', async () => {
    const explicitHttpConfig = { http2ProtocolOptions: { maxConcurrentStreams: 3 } };
    await start(true, { typedExtensionProtocolOptions: { [OPTIONS]: typed(OPTIONS, { explicitHttpConfig }) } });
    const calls = send(6);
    await engine.settle();
    expect(a.requests).toHaveLength(6);
    const byConnection = a.connections.map((connection) => a.requests.filter((received) => received.connection === connection).length);
    expect(byConnection).toEqual([3, 3]);
    for (const one of calls) one.abort();
  });

  it('waits where the connections are full and no more may be opened, and moves on with each stream that ends', async () => {
    await start(true, limits({ maxConnections: 1 }), ['a'], 2);
    const warm = send(1);
    await engine.settle();
    const calls = send(3);
    await engine.settle();
    expect([a.connections.length, a.requests.length]).toEqual([1, 2]);
    for (let i = 0; i < 4; i++) {
      a.requests[i]!.respond(200);
      await engine.settle();
    }
    expect([...warm, ...calls].map(({ status }) => status)).toEqual([200, 200, 200, 200]);
  });

  it('after GOAWAY takes new requests to a new connection, and those under way end in peace', async () => {
    await start(true);
    const before = send(1);
    await engine.settle();
    a.connections[0]!.drain();
    await engine.settle();
    const after = send(1);
    await engine.settle();
    expect(a.connections).toHaveLength(2);
    for (const received of a.requests) received.respond(200);
    await engine.settle();
    expect([...before, ...after].map(({ status }) => status)).toEqual([200, 200]);
    expect(a.connections[0]!.closed).toBe(true);
    expect(a.connections[1]!.closed).toBe(false);
  });

  it('cut in mid-air replays what is safe, and says UC to the others', async () => {
    await start(true);
    const warm = send(1);
    await engine.settle();
    a.requests[0]!.respond(200);
    await engine.until(() => warm[0]!.over);
    const gets = send(2);
    const posts = send(2, { body: 'x' });
    await engine.settle();
    a.connections[0]!.destroy();
    await engine.settle();
    for (const received of a.requests.slice(-2)) received.respond(200);
    await engine.settle();
    expect(gets.map(({ status }) => status)).toEqual([200, 200]);
    expect(posts.map(({ status }) => status)).toEqual([503, 503]);
    expect(engine.records.filter(({ flags }) => flags === 'UC')).toHaveLength(2);
  });

  it('gives one stream up without harm to the others', async () => {
    await start(true);
    const [left, right] = send(2);
    await engine.settle();
    left!.abort();
    await engine.settle();
    expect(a.requests[0]!.reset).not.toBe('');
    a.requests[1]!.respond(200);
    await engine.until(() => right!.over);
    expect([right!.status, a.connections.length, a.open]).toEqual([200, 1, 1]);
  });
});

describe('an endpoint that is taken out', () => {
  it.each([false, true])('keeps its requests, closes when they have ended, and leaves no timer (HTTP/2: %s)', async (http2) => {
    const b = engine.upstream('b', { http2 });
    await start(http2);
    const busy = send(1);
    const idle = send(1);
    await engine.settle();
    a.requests[1]!.respond(200);
    await engine.until(() => idle[0]!.over);
    const gone = engine.clusters.get('c')!;
    engine.endpoints('c', ['b']);
    engine.cluster('c', { endpoints: ['b'], http2 });
    await engine.settle();
    b.script(200);
    expect((await call()).status).toBe(200);
    expect(busy[0]!.over).toBe(false);
    a.requests[0]!.respond(200);
    await engine.settle();
    expect(busy[0]!.status).toBe(200);
    expect(a.open).toBe(0);
    expect(gone.limits.connections).toBe(0);
  });
});
