import type { JsonObject } from '@bufbuild/protobuf';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { routeTo } from '../testing/messages.ts';
import type { Asked, Call } from '../testing/test-client.ts';
import { TestEngine } from '../testing/test-engine.ts';
import type { TestUpstream } from '../testing/test-upstream.ts';
import type { UpstreamHost } from '../upstream/upstream-host.ts';

/** What the mesh gives every cluster (docs/xds.md). */
const OUTLIER: JsonObject = { consecutive5xx: 5, interval: '1s', baseEjectionTime: '30s', maxEjectionTime: '30s', maxEjectionPercent: 100 };
const HALF_OPEN: JsonObject = { outlier: { halfOpen: true } };

let engine: TestEngine;
let a: TestUpstream;
let b: TestUpstream;

beforeEach(() => {
  engine = new TestEngine();
  a = engine.upstream('a');
  b = engine.upstream('b');
});
afterEach(async () => {
  expect(await engine.close()).toEqual([]);
});

async function start(endpoints: string[], outlierDetection: JsonObject = OUTLIER, action: JsonObject = {}): Promise<void> {
  engine.cluster('c', { endpoints, mesh: HALF_OPEN, fields: { outlierDetection } });
  await engine.listener('in', { routes: [routeTo('c', action)] });
}

function call(asked: Asked = {}): Promise<Call> {
  return engine.client('in').call(asked);
}

function host(name: string): UpstreamHost {
  return [...engine.clusters.get('c')!.hosts].find(({ address }) => address === `internal:${name}`)!;
}

async function fail(times: number): Promise<void> {
  for (let i = 0; i < times; i++) await call();
}

it('goes its whole way: closed, open after five failures, half-open after 30 s, closed by a good trial', async () => {
  await start(['a']);
  a.script(500);
  await fail(4);
  expect(host('a').outlier.state).toBe('closed');
  await fail(1);
  expect(host('a').outlier.state).toBe('open');

  const refused = await call();
  expect(refused.status).toBe(503);
  expect(refused.header('proxy-status')).toBe('test; error=destination_unavailable; details="no_healthy_upstream; UH"');
  expect(engine.last).toMatchObject({ attempts: 0, durationMs: 0, flags: 'UH' });
  expect(a.requests).toHaveLength(5);

  await engine.advance(29_900);
  expect((await call()).status).toBe(503);
  expect(a.requests).toHaveLength(5);
  await engine.advance(200);
  expect(host('a').outlier.state).toBe('half-open');

  a.script(200);
  expect((await call()).status).toBe(200);
  expect(host('a').outlier.state).toBe('closed');
  expect(a.requests).toHaveLength(6);
});

it('goes back to open when the trial fails, for another 30 s', async () => {
  await start(['a']);
  a.script(503);
  await fail(5);
  await engine.advance(30_100);
  expect((await call()).status).toBe(503);
  expect(a.requests).toHaveLength(6);
  expect(host('a').outlier).toMatchObject({ state: 'open', ejections: 2 });
  await engine.advance(29_900);
  expect(host('a').outlier.state).toBe('open');
  await engine.advance(200);
  expect(host('a').outlier.state).toBe('half-open');
});

it('lets one trial in while it is half-open, and answers the others at once', async () => {
  await start(['a']);
  a.script(500);
  await fail(5);
  await engine.advance(30_100);
  a.onRequest = () => {};
  const trial = engine.client('in').send();
  await engine.settle();
  const others = await Promise.all([call(), call(), call()]);
  expect(others.map(({ status }) => status)).toEqual([503, 503, 503]);
  expect(a.requests).toHaveLength(6);
  a.last.respond(200);
  await engine.until(() => trial.over);
  expect(host('a').outlier.state).toBe('closed');
});

describe('a trial', () => {
  beforeEach(async () => {
    await start(['a']);
    a.script(500);
    await fail(5);
    await engine.advance(30_100);
    a.onRequest = () => {};
  });

  it('whose caller goes away says nothing: the next one is the trial', async () => {
    const trial = engine.client('in').send();
    await engine.settle();
    expect(host('a').outlier.trialInFlight).toBe(true);
    trial.abort();
    await engine.settle();
    expect(host('a').outlier).toMatchObject({ state: 'half-open', trialInFlight: false });
    a.script(200);
    expect((await call()).status).toBe(200);
    expect(host('a').outlier.state).toBe('closed');
  });

  it('that is reset has failed', async () => {
    a.onRequest = (received) => received.abort();
    await call();
    expect(host('a').outlier.state).toBe('open');
  });

  it('that finds no connection has failed', async () => {
    engine.runtime.internalListeners.set('a', (transport) => transport.destroy());
    for (const connection of a.connections) connection.destroy();
    await engine.settle();
    await call();
    expect(host('a').outlier.state).toBe('open');
  });
});

it('counts attempts, not calls: a call with three retries is four failures', async () => {
  await start(['a'], { ...OUTLIER, consecutive5xx: 6 }, { retryPolicy: { retryOn: '5xx', numRetries: 3 } });
  a.script(503);
  await fail(1);
  expect(host('a').outlier.consecutive5xx).toBe(4);
  const answer = await call();
  expect(host('a').outlier.state).toBe('open');
  expect(a.requests).toHaveLength(6);
  expect(answer.status).toBe(503);
  expect(engine.last.flags).toContain('UH');
});

it('begins to count anew with each good answer', async () => {
  await start(['a']);
  a.script(500, 500, 500, 500, 200, 500, 500, 500, 500, 404, 500);
  await fail(14);
  expect(host('a').outlier.state).toBe('closed');
  await fail(1);
  expect(host('a').outlier.state).toBe('open');
});

it('counts timeouts and resets, and connections that could not be made', async () => {
  await start(['a'], { ...OUTLIER, consecutive5xx: 3 }, { timeout: '0.100s' });
  await call();
  a.onRequest = (received) => received.abort();
  await call();
  engine.runtime.internalListeners.set('a', (transport) => transport.destroy());
  for (const connection of a.connections) connection.destroy();
  await engine.settle();
  await call();
  expect(host('a').outlier.state).toBe('open');
});

it('takes an endpoint out alone: the others take its share, and each comes back by its own trial', async () => {
  await start(['a', 'b']);
  a.script(500);
  b.script(200);
  while (host('a').outlier.state === 'closed') await call();
  const before = a.requests.length;
  for (let i = 0; i < 20; i++) expect((await call()).status).toBe(200);
  expect(a.requests).toHaveLength(before);
  await engine.advance(30_100);
  a.script(200);
  for (let i = 0; i < 40; i++) expect((await call()).status).toBe(200);
  expect(host('a').outlier.state).toBe('closed');
  expect(a.requests.length).toBeGreaterThan(before + 1);
});

it('tells those further up not to try again where every circuit is open', async () => {
  await start(['a']);
  a.script(500);
  await fail(5);
  expect((await call()).header('x-envoy-ratelimited')).toBe('outrigger-gave-up');
});

it('closes by itself after the ejection time where the cluster has no half-open trial, each ejection longer', async () => {
  engine.cluster('c', { endpoints: ['a'], fields: { outlierDetection: { ...OUTLIER, maxEjectionTime: '300s' } } });
  await engine.listener('in', { routes: [routeTo('c')] });
  a.script(500);
  await fail(5);
  await engine.advance(30_500);
  expect(host('a').outlier.state).toBe('closed');
  await fail(5);
  await engine.advance(59_000);
  expect(host('a').outlier.state).toBe('open');
  await engine.advance(2_000);
  expect(host('a').outlier.state).toBe('closed');
});

describe('gRPC', () => {
  const GRPC: Asked = { method: 'POST', body: 'x', headers: ['content-type', 'application/grpc'] };

  beforeEach(async () => {
    a = engine.upstream('g', { http2: true });
    engine.cluster('c', { endpoints: ['g'], http2: true, mesh: HALF_OPEN, fields: { outlierDetection: OUTLIER } });
    await engine.listener('in', { routes: [routeTo('c')] });
  });

  function ask(): Promise<Call> {
    return engine.client('in', { http2: true }).call(GRPC);
  }

  it('is judged by the status in its trailers', async () => {
    a.answer((received) => received.respond(200, { headers: ['content-type', 'application/grpc'], body: 'y', trailers: ['grpc-status', '14'] }));
    for (let i = 0; i < 4; i++) await ask();
    expect(host('g').outlier.state).toBe('closed');
    await ask();
    expect(host('g').outlier.state).toBe('open');
    const refused = await ask();
    expect(refused.status).toBe(200);
    expect(refused.header('grpc-status')).toBe('14');
  });

  it('is judged by the status of an answer that is all trailers', async () => {
    a.answer((received) => received.begin(200, ['content-type', 'application/grpc', 'grpc-status', '13'], true));
    for (let i = 0; i < 5; i++) await ask();
    expect(host('g').outlier.state).toBe('open');
  });

  it.each(['0', '3', '5', '7', '16'])('with status %s is no failure of the endpoint', async (status) => {
    a.answer((received) => received.respond(200, { headers: ['content-type', 'application/grpc'], trailers: ['grpc-status', status] }));
    for (let i = 0; i < 6; i++) await ask();
    expect(host('g').outlier).toMatchObject({ state: 'closed', consecutive5xx: 0 });
  });

  it('a trial that streams does not keep everybody else out until it ends', async () => {
    a.answer((received) => received.respond(200, { trailers: ['grpc-status', '14'] }));
    for (let i = 0; i < 5; i++) await ask();
    await engine.advance(30_100);
    a.onRequest = (received) => received.begin(200, ['content-type', 'application/grpc']);
    const stream = engine.client('in', { http2: true }).send({ ...GRPC, open: true });
    await engine.settle();
    expect(host('g').outlier.state).toBe('closed');
    stream.abort();
  });
});

it('stays closed where the failure is one further down', async () => {
  await start(['a']);
  a.answer((received) => received.respond(500, { headers: ['x-envoy-ratelimited', 'outrigger-gave-up'] }));
  await fail(10);
  expect(host('a').outlier.state).toBe('closed');
  expect(a.requests).toHaveLength(10);
});
