import type { JsonObject } from '@bufbuild/protobuf';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { listener, routeTo, typed } from '../../testing/messages.ts';
import { TestEngine } from '../../testing/test-engine.ts';

const LOCAL = 'envoy.extensions.filters.http.local_ratelimit.v3.LocalRateLimit';
const ALL: JsonObject = { defaultValue: { numerator: 100 } };

let engine: TestEngine;

beforeEach(() => {
  engine = new TestEngine();
  engine.upstream('a').script(200);
  engine.cluster('c', { endpoints: ['a'] });
});
afterEach(async () => {
  expect(await engine.close()).toEqual([]);
});

const bucket = (maxTokens: number, fields: JsonObject = {}): JsonObject => ({ maxTokens, tokensPerFill: 1, fillInterval: '1s', ...fields });
const limit = (fields: JsonObject): JsonObject => typed(LOCAL, { statPrefix: 'x', filterEnabled: ALL, filterEnforced: ALL, ...fields });
const filter = (fields: JsonObject): JsonObject => ({ name: 'limit', typedConfig: limit(fields) });
const statuses = async (count: number, asked = {}): Promise<number[]> => {
  const found: number[] = [];
  for (let i = 0; i < count; i++) found.push((await engine.client('in').call(asked)).status);
  return found;
};

it('lets through what the bucket has, and more as it fills', async () => {
  await engine.listener('in', { routes: [routeTo('c')], filters: [filter({ tokenBucket: bucket(2) })] });
  expect(await statuses(3)).toEqual([200, 200, 429]);
  expect(engine.last).toMatchObject({ flags: 'RL', details: 'local_rate_limited' });
  await engine.advance(1_000);
  expect(await statuses(2)).toEqual([200, 429]);
  // It holds no more than at first.
  await engine.advance(60_000);
  expect(await statuses(3)).toEqual([200, 200, 429]);
});

it('says what is left, and answers as it is told', async () => {
  const tells = { enableXRatelimitHeaders: 'DRAFT_VERSION_03', status: { code: 'ServiceUnavailable' } };
  await engine.listener('in', {
    routes: [routeTo('c')],
    filters: [filter({ tokenBucket: bucket(1), ...tells, responseHeadersToAdd: [{ header: { key: 'x-limited', value: 'yes' } }] })],
  });
  const good = await engine.client('in').call();
  expect([good.header('x-ratelimit-limit'), good.header('x-ratelimit-remaining'), good.header('x-limited')]).toEqual(['1', '0', undefined]);
  const limited = await engine.client('in').call();
  expect([limited.status, limited.body, limited.header('x-limited'), limited.header('x-ratelimit-reset')]).toEqual([503, 'local_rate_limited', 'yes', '1']);
});

it('is off until it is enabled, and only tells until it is enforced', async () => {
  await engine.listener('off', { routes: [routeTo('c')], filters: [{ name: 'limit', typedConfig: typed(LOCAL, { tokenBucket: bucket(0) }) }] });
  expect((await engine.client('off').call()).status).toBe(200);
  await engine.listener('in', {
    routes: [routeTo('c')],
    filters: [
      filter({ tokenBucket: bucket(0), filterEnforced: {}, requestHeadersToAddWhenNotEnforced: [{ header: { key: 'x-would-be-limited', value: '1' } }] }),
    ],
  });
  expect(await statuses(1)).toEqual([200]);
});

it('counts by descriptor, and what has none in the whole bucket', async () => {
  const rateLimits = [{ actions: [{ requestHeaders: { headerName: 'x-user', descriptorKey: 'user' } }] }];
  await engine.listener('in', {
    routes: [routeTo('c', { rateLimits })],
    filters: [filter({ tokenBucket: bucket(100), descriptors: [{ entries: [{ key: 'user', value: 'ann' }], tokenBucket: bucket(1) }] })],
  });
  expect(await statuses(2, { headers: ['x-user', 'ann'] })).toEqual([200, 429]);
  expect(await statuses(2, { headers: ['x-user', 'bob'] })).toEqual([200, 200]);
  expect(await statuses(2)).toEqual([200, 200]);
});

it('a route has a bucket of its own', async () => {
  await engine.listener('in', {
    routes: [{ ...routeTo('c', {}, { typedPerFilterConfig: { limit: limit({ tokenBucket: bucket(1) }) } }), match: { path: '/own' } }, routeTo('c')],
    filters: [filter({ tokenBucket: bucket(3) })],
  });
  expect(await statuses(2, { path: '/own' })).toEqual([200, 429]);
  expect(await statuses(4)).toEqual([200, 200, 200, 429]);
});

it('each connection may have its own', async () => {
  await engine.listener('in', { routes: [routeTo('c')], filters: [filter({ tokenBucket: bucket(1), localRateLimitPerDownstreamConnection: true })] });
  const one = engine.client('in', { http2: true });
  expect([(await one.call()).status, (await one.call()).status]).toEqual([200, 429]);
  expect((await engine.client('in').call()).status).toBe(200);
});

it('a gRPC caller is told in its own terms', async () => {
  const grpc = { method: 'POST', headers: ['content-type', 'application/grpc'], body: 'x' };
  await engine.listener('in', { routes: [routeTo('c')], filters: [filter({ tokenBucket: bucket(0), rateLimitedAsResourceExhausted: true })] });
  const answer = await engine.client('in', { http2: true }).call(grpc);
  expect([answer.status, answer.header('grpc-status'), answer.header('grpc-message')]).toEqual([200, '8', 'local_rate_limited']);
});

it.each<[string, JsonObject, string]>([
  ['a fill interval below 50 ms', { tokenBucket: { maxTokens: 1, fillInterval: '0.01s' } }, 'token_bucket.fill_interval: must be at least 50 ms'],
  ['a descriptor without a bucket', { descriptors: [{ entries: [{ key: 'a', value: 'b' }] }] }, 'descriptors[0].token_bucket: is missing'],
])('%s is refused', (_what, fields, words) => {
  expect(engine.listeners.compile(listener('in', { routes: [routeTo('c')], filters: [filter(fields)] }))).toContain(words);
});
