import type { JsonObject } from '@bufbuild/protobuf';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { routeTo } from '../testing/messages.ts';
import { TestEngine } from '../testing/test-engine.ts';
import type { TestUpstream } from '../testing/test-upstream.ts';

let engine: TestEngine;
let main: TestUpstream;
let copy: TestUpstream;

beforeEach(() => {
  engine = new TestEngine();
  main = engine.upstream('main').script(200);
  copy = engine.upstream('copy').script(500);
  engine.cluster('main', { endpoints: ['main'] });
  engine.cluster('copy', { endpoints: ['copy'], fields: { outlierDetection: { consecutive5xx: 1, maxEjectionPercent: 100 } } });
});
afterEach(async () => {
  expect(await engine.close()).toEqual([]);
});

async function start(policy: JsonObject = { cluster: 'copy' }, listener: JsonObject = {}, action: JsonObject = {}): Promise<void> {
  await engine.listener('in', { routes: [routeTo('main', { requestMirrorPolicies: [policy], ...action })], fields: listener });
}

it('a copy goes to the other cluster, whose answer nobody hears', async () => {
  await start();
  const answer = await engine.client('in').call({ method: 'POST', path: '/a?b=c', authority: 'shop:8080', body: 'content', headers: ['x-mine', '1'] });
  expect(answer.status).toBe(200);
  await engine.settle();
  expect(copy.requests).toHaveLength(1);
  expect(copy.last.head).toMatchObject({ method: 'POST', path: '/a?b=c', authority: 'shop-shadow:8080' });
  expect([copy.last.body, copy.last.header('x-mine'), copy.last.header('content-length')]).toEqual(['content', '1', '7']);
  expect(copy.last.header('x-request-id')).toBe(main.last.header('x-request-id'));
  // It is one request of the access log and the metrics.
  expect(engine.records).toHaveLength(1);
});

it('is made once, whatever is tried again', async () => {
  main.script(503, 503, 200);
  await start({ cluster: 'copy' }, {}, { retryPolicy: { retryOn: '5xx', numRetries: 3 } });
  expect((await engine.client('in').call()).status).toBe(200);
  await engine.settle();
  expect([main.requests.length, copy.requests.length]).toEqual([3, 1]);
});

it('has the content that came in pieces, and its trailers', async () => {
  const h2 = engine.upstream('h2', { http2: true });
  engine.cluster('copy', { endpoints: ['h2'], http2: true });
  await start({ cluster: 'copy', disableShadowHostSuffixAppend: true });
  const call = engine.client('in', { http2: true }).send({ body: 'one ', open: true });
  await engine.settle();
  expect(h2.requests).toHaveLength(0);
  call.write('two');
  call.finish(['checksum', '42']);
  await engine.until(() => call.over);
  await engine.settle();
  expect(h2.last).toMatchObject({ body: 'one two', trailers: ['checksum', '42'], head: { authority: 'service' } });
  h2.last.respond(200);
});

it('goes where the request says, and to the share that is asked for', async () => {
  await start({ clusterHeader: 'x-shadow', runtimeFraction: { defaultValue: { numerator: 50 } } });
  for (let i = 0; i < 60; i++) await engine.client('in').call({ headers: ['x-shadow', i % 2 === 0 ? 'copy' : 'nobody'] });
  await engine.settle();
  expect(copy.requests.length).toBeGreaterThan(5);
  expect(copy.requests.length).toBeLessThan(25);
});

describe('what goes wrong with a copy', () => {
  it.each<[string, () => void]>([
    ['its cluster is not there', () => engine.clusters.remove('copy')],
    ['its cluster has no endpoint', () => engine.cluster('copy', { endpoints: [] })],
    ['nobody listens', () => engine.runtime.internalListeners.set('copy', (transport) => transport.destroy())],
    ['it is reset', () => (copy.onRequest = (received) => received.abort())],
    ['its cluster takes no more', () => engine.cluster('copy', { endpoints: ['copy'], fields: { circuitBreakers: { thresholds: [{ maxRequests: 0 }] } } })],
  ])('is not noticed: %s', async (_what, act) => {
    await start();
    act();
    for (let i = 0; i < 3; i++) expect((await engine.client('in').call({ body: 'x' })).status).toBe(200);
    await engine.advance(1_000);
    expect(engine.underWay()).toEqual([]);
  });

  it('is ended by the timeout of the route, or that of every route', async () => {
    copy.onRequest = () => {};
    await start({ cluster: 'copy' }, {}, { timeout: '2s' });
    await engine.client('in').call();
    await engine.advance(1_900);
    expect(copy.last.reset).toBe('');
    await engine.advance(200);
    expect(copy.last.reset).not.toBe('');
    await start();
    await engine.client('in').call();
    await engine.advance(14_900);
    expect(copy.last.reset).toBe('');
    await engine.advance(200);
    expect(copy.last.reset).not.toBe('');
    expect(engine.underWay()).toEqual([]);
  });

  it('says nothing of the endpoint for others', async () => {
    await start();
    for (let i = 0; i < 5; i++) await engine.client('in').call();
    await engine.settle();
    expect([copy.requests.length, [...engine.clusters.get('copy')!.hosts][0]!.outlier.state]).toEqual([5, 'closed']);
  });
});

it('content that is too long to be kept is not mirrored', async () => {
  await start({ cluster: 'copy' }, { perConnectionBufferLimitBytes: 100 });
  expect((await engine.client('in').call({ body: 'x'.repeat(101) })).status).toBe(200);
  const call = engine.client('in').send({ body: 'x'.repeat(60), open: true });
  await engine.settle();
  call.write('x'.repeat(60), true);
  await engine.until(() => call.over);
  await engine.settle();
  expect([main.requests.length, copy.requests.length]).toEqual([2, 0]);
});
