import type { JsonObject } from '@bufbuild/protobuf';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { routeTo, typed } from '../../testing/messages.ts';
import { TestEngine } from '../../testing/test-engine.ts';
import type { TestUpstream } from '../../testing/test-upstream.ts';

const BUFFER = 'envoy.extensions.filters.http.buffer.v3';

let engine: TestEngine;
let a: TestUpstream;

beforeEach(() => {
  engine = new TestEngine();
  a = engine.upstream('a').script(200);
  engine.cluster('c', { endpoints: ['a'] });
});
afterEach(async () => {
  expect(await engine.close()).toEqual([]);
});

const buffer = (maxRequestBytes: number): JsonObject => ({ name: 'buffer', typedConfig: typed(`${BUFFER}.Buffer`, { maxRequestBytes }) });

it('a request goes on when all of its content is there, with its length', async () => {
  await engine.listener('in', { routes: [routeTo('c')], filters: [buffer(100)] });
  const call = engine.client('in').send({ method: 'POST', open: true });
  await engine.settle();
  call.write('first ');
  await engine.settle();
  expect(a.requests).toHaveLength(0);
  call.write('second', true);
  await engine.until(() => call.over);
  expect([call.status, a.last.body, a.last.header('content-length')]).toEqual([200, 'first second', '12']);
});

it('with trailers too', async () => {
  await engine.listener('in', { routes: [routeTo('c')], filters: [buffer(100)] });
  const call = engine.client('in', { http2: true }).send({ method: 'POST', open: true });
  await engine.settle();
  call.write('content');
  call.finish(['x-sum', '1']);
  await engine.until(() => call.over);
  expect([call.status, a.last.body]).toEqual([200, 'content']);
});

it.each([
  ['what is declared', { method: 'POST', body: 'x'.repeat(11) }],
  ['what comes', { method: 'POST', open: true }],
])('too much is refused by %s, and nothing of it goes on', async (_how, asked) => {
  await engine.listener('in', { routes: [routeTo('c')], filters: [buffer(10)] });
  const call = engine.client('in').send(asked);
  await engine.settle();
  if ('open' in asked) call.write('x'.repeat(11));
  await engine.until(() => call.status !== 0);
  expect([call.status, call.header('proxy-status')]).toEqual([413, expect.stringContaining('request_payload_too_large')]);
  expect(a.requests).toHaveLength(0);
  call.abort();
});

it('a route may have another limit, or none', async () => {
  const per = (fields: JsonObject): JsonObject => ({ buffer: typed(`${BUFFER}.BufferPerRoute`, fields) });
  await engine.listener('in', {
    routes: [
      { ...routeTo('c', {}, { typedPerFilterConfig: per({ buffer: { maxRequestBytes: 3 } }) }), match: { path: '/short' } },
      { ...routeTo('c', {}, { typedPerFilterConfig: per({ disabled: true }) }), match: { path: '/off' } },
    ],
    filters: [buffer(10)],
  });
  expect((await engine.client('in').call({ method: 'POST', path: '/short', body: 'four' })).status).toBe(413);
  expect((await engine.client('in').call({ method: 'POST', path: '/off', body: 'x'.repeat(20) })).status).toBe(200);
});

it('a client that goes away leaves nothing behind', async () => {
  await engine.listener('in', { routes: [routeTo('c')], filters: [buffer(100)] });
  const call = engine.client('in', { http2: true }).send({ method: 'POST', open: true });
  await engine.settle();
  call.write('some');
  call.abort();
  await engine.advance(1_000);
  expect(a.requests).toHaveLength(0);
  expect(engine.last.flags).toBe('DC');
});
