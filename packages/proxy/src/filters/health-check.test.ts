import type { JsonObject } from '@bufbuild/protobuf';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { listener, routeTo, typed } from '../testing/messages.ts';
import { TestEngine } from '../testing/test-engine.ts';
import type { TestUpstream } from '../testing/test-upstream.ts';

let engine: TestEngine;
let a: TestUpstream;

beforeEach(() => {
  engine = new TestEngine();
  a = engine.upstream('a').script(200);
  engine.cluster('c', { endpoints: ['a', { at: 'b', healthStatus: 'UNHEALTHY' }] });
});
afterEach(async () => {
  expect(await engine.close()).toEqual([]);
});

const filter = (fields: JsonObject): JsonObject => ({
  name: 'health',
  typedConfig: typed('envoy.extensions.filters.http.health_check.v3.HealthCheck', {
    passThroughMode: false,
    headers: [{ name: ':path', stringMatch: { exact: '/healthz' } }],
    ...fields,
  }),
});
const statusOf = async (path = '/healthz'): Promise<number> => (await engine.client('in').call({ path })).status;

it('answers itself, unless the proxy is to be taken for ill', async () => {
  await engine.listener('in', { routes: [routeTo('c')], filters: [filter({})] });
  expect(await statusOf()).toBe(200);
  engine.runtime.health.failing = true;
  expect(await statusOf()).toBe(503);
  expect(a.requests).toHaveLength(0);
  const other = await engine.client('in').call({ path: '/other' });
  expect([other.status, other.header('x-envoy-immediate-health-check-fail')]).toEqual([200, 'true']);
});

it.each<[string, JsonObject, number]>([
  ['enough are well', { c: { value: 50 } }, 200],
  ['too few are well', { c: { value: 51 } }, 503],
  ['a cluster is not there', { nobody: { value: 1 } }, 503],
])('goes by its clusters: %s', async (_what, clusterMinHealthyPercentages, expected) => {
  await engine.listener('in', { routes: [routeTo('c')], filters: [filter({ clusterMinHealthyPercentages })] });
  expect(await statusOf()).toBe(expected);
});

it('asks the application, and keeps its answer for a while', async () => {
  a.script(200, 500, 200);
  await engine.listener('in', { routes: [routeTo('c')], filters: [filter({ passThroughMode: true, cacheTime: '10s' })] });
  expect([await statusOf(), await statusOf()]).toEqual([200, 200]);
  expect(a.requests).toHaveLength(1);
  await engine.advance(11_000);
  expect([await statusOf(), await statusOf()]).toEqual([500, 500]);
  expect(a.requests).toHaveLength(2);
});

it('refuses a time to keep what is never asked', () => {
  expect(engine.listeners.compile(listener('in', { routes: [routeTo('c')], filters: [filter({ cacheTime: '1s' })] }))).toContain('cache_time: is only for');
});
