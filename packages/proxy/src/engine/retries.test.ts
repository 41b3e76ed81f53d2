import type { JsonObject } from '@bufbuild/protobuf';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { routeTo } from '../testing/messages.ts';
import type { Asked, Call } from '../testing/test-client.ts';
import { TestEngine } from '../testing/test-engine.ts';
import type { Received, TestUpstream } from '../testing/test-upstream.ts';

const ANY_FAILURE = '5xx,reset,connect-failure,refused-stream';
/** What the control plane gives every route (docs/xds.md). */
const BY_DEFAULT: JsonObject = { retryOn: ANY_FAILURE, numRetries: 3 };
const MESH: JsonObject = { filterMetadata: { 'outrigger.dev': { retry: { idempotentOnly: true, connectTimeoutRetries: 1 } } } };
const BUDGET: JsonObject = { circuitBreakers: { thresholds: [{ retryBudget: { budgetPercent: { value: 20 }, minRetryConcurrency: 3 } }] } };

let engine: TestEngine;
let a: TestUpstream;

beforeEach(() => {
  engine = new TestEngine();
  a = engine.upstream('a');
});
afterEach(async () => {
  expect(await engine.close()).toEqual([]);
});

async function start(retryPolicy: JsonObject = BY_DEFAULT, route: JsonObject = {}, listener: JsonObject = {}): Promise<void> {
  engine.cluster('c', { endpoints: ['a'], fields: BUDGET });
  await engine.listener('in', { routes: [routeTo('c', { retryPolicy }, { metadata: MESH, ...route })], fields: { trafficDirection: 'OUTBOUND', ...listener } });
}

function call(asked: Asked = {}): Promise<Call> {
  return engine.client('in').call(asked);
}

describe('a failed answer', () => {
  it('of 5xx is asked for again up to three times', async () => {
    await start();
    a.script(503, 500, 200);
    expect((await call()).status).toBe(200);
    expect(a.requests).toHaveLength(3);
    expect(engine.last).toMatchObject({ code: 200, flags: '-', attempts: 3 });

    a.script(502);
    expect((await call()).status).toBe(502);
    expect(a.requests).toHaveLength(7);
    expect(engine.last).toMatchObject({ code: 502, flags: 'URX', attempts: 4 });
  });

  it.each([400, 401, 404, 409, 429, 499])('of %i is asked for once', async (status) => {
    await start();
    a.script(status, 200);
    expect((await call()).status).toBe(status);
    expect(a.requests).toHaveLength(1);
    expect(engine.last.flags).toBe('-');
  });

  it('to a POST is asked for once, since the application may have acted', async () => {
    await start();
    a.script(503, 200);
    expect((await call({ method: 'POST', body: 'pay' })).status).toBe(503);
    expect(a.requests).toHaveLength(1);
    expect(engine.last.flags).toBe('-');
  });

  it('to a POST with an Idempotency-Key is asked for again with its content', async () => {
    await start();
    a.script(503, 200);
    expect((await call({ body: 'pay', headers: ['Idempotency-Key', 'k-1'] })).status).toBe(200);
    expect(a.requests.map(({ body }) => body)).toEqual(['pay', 'pay']);
  });

  it('to a POST is asked for again where the policy holds for every method', async () => {
    await start(BY_DEFAULT, { metadata: {} });
    a.script(503, 200);
    expect((await call({ body: 'pay' })).status).toBe(200);
    expect(a.requests).toHaveLength(2);
  });

  it('never arrives twice: what the abandoned attempt still says is not heard', async () => {
    await start();
    a.onRequest = (received) => {
      received.begin(a.requests.length === 1 ? 503 : 200);
      received.write('half');
      if (a.requests.length === 2) received.write(' and half', true);
    };
    const answer = await call();
    expect([answer.status, answer.body, answer.ends]).toEqual([200, 'half and half', 1]);
    expect(a.requests[0]!.reset).not.toBe('');
  });
});

describe('an attempt without an answer', () => {
  it('that could not connect is made again, and at last said to be refused', async () => {
    engine.cluster('gone', { endpoints: ['nobody'], fields: BUDGET });
    await engine.listener('in', { routes: [routeTo('gone', { retryPolicy: BY_DEFAULT }, { metadata: MESH })] });
    const answer = await call({ body: 'pay' });
    expect(answer.status).toBe(503);
    expect(answer.header('proxy-status')).toMatch(
      /^test; error=connection_refused; details="upstream_reset_before_response_started\{remote_connection_failure\|.*\}; UF,URX"$/,
    );
    expect(engine.last).toMatchObject({ code: 503, flags: 'UF,URX', attempts: 4 });
  });

  it('that the upstream refused has not reached the application: a POST too is made again', async () => {
    engine.upstream('h2', { http2: true }).onRequest = function refuseOnce(this: void, received: Received) {
      if (received.connection.upstream.requests.length === 1) received.refuse();
      else received.respond(200);
    };
    engine.cluster('c', { endpoints: ['h2'], http2: true, fields: BUDGET });
    await engine.listener('in', { routes: [routeTo('c', { retryPolicy: BY_DEFAULT }, { metadata: MESH })] });
    expect((await call({ body: 'pay' })).status).toBe(200);
    expect(engine.last.attempts).toBe(2);
  });

  it('that was reset in its course is made again for a GET, and not for a POST', async () => {
    await start();
    a.onRequest = (received) => {
      if (received.head.path === `/${a.requests.length}`) received.abort();
      else received.respond(200);
    };
    expect((await call({ path: '/1' })).status).toBe(200);
    expect(a.requests).toHaveLength(2);
    const post = await call({ path: '/3', body: 'pay' });
    expect(post.status).toBe(503);
    expect(a.requests).toHaveLength(3);
    expect(engine.last).toMatchObject({ flags: 'UC', attempts: 1 });
  });

  it('that broke the protocol is not made again for a POST', async () => {
    engine.runtime.internalListeners.set('raw', (transport, setSink) =>
      setSink({
        receive: () => transport.write(Buffer.from('HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n')),
        receiveEnd() {},
        transportClosed() {},
        transportDrained() {},
      }),
    );
    engine.cluster('raw', { endpoints: ['raw'], fields: BUDGET });
    await engine.listener('in', { routes: [routeTo('raw', { retryPolicy: BY_DEFAULT }, { metadata: MESH })] });
    const post = await call({ body: 'pay' });
    expect(post.status).toBe(503);
    expect(post.header('proxy-status')).toContain('error=http_protocol_error');
    expect(engine.last).toMatchObject({ flags: 'UPE', attempts: 1 });
    await call();
    expect(engine.last).toMatchObject({ flags: 'URX,UPE', attempts: 4 });
  });
});

describe('per-try timeout', () => {
  it('ends an attempt, and the next one has its whole time again', async () => {
    await start({ ...BY_DEFAULT, perTryTimeout: '0.200s' });
    a.onRequest = (received) => {
      if (a.requests.length === 3) received.respond(200);
    };
    const before = engine.clock.nowMs();
    expect((await call()).status).toBe(200);
    expect(a.requests).toHaveLength(3);
    expect(a.requests.map(({ reset }) => reset !== '')).toEqual([true, true, false]);
    expect(engine.clock.nowMs() - before).toBeGreaterThanOrEqual(400);
    expect(engine.clock.nowMs() - before).toBeLessThan(600);
  });

  it('is said as 504 with UT when no retry is left', async () => {
    await start({ ...BY_DEFAULT, numRetries: 1, perTryTimeout: '0.200s' });
    const answer = await call();
    expect(answer.status).toBe(504);
    expect(engine.last).toMatchObject({ code: 504, flags: 'UT,URX', attempts: 2, details: 'upstream_per_try_timeout' });
  });

  it('runs from the end of the request: a slow upload is not an upstream that does not answer', async () => {
    await start({ ...BY_DEFAULT, numRetries: 0, perTryTimeout: '0.200s' });
    a.answer((received) => received.respond(200));
    const slow = engine.client('in').send({ open: true, body: 'a' });
    await engine.advance(1000);
    slow.write('b', true);
    await engine.until(() => slow.over);
    expect(slow.status).toBe(200);
  });
});

describe('the wait before a retry', () => {
  it('lies below 25 ms, then 50, and never above 250', async () => {
    await start({ ...BY_DEFAULT, numRetries: 9, retryBackOff: { baseInterval: '0.025s', maxInterval: '0.250s' } });
    const atMs: number[] = [];
    a.onRequest = (received) => {
      atMs.push(engine.clock.nowMs());
      received.respond(503);
    };
    await call();
    const waits = atMs.slice(1).map((at, i) => at - atMs[i]!);
    expect(waits).toHaveLength(9);
    // The wheel is coarse: one or two ticks late.
    waits.forEach((wait, i) => {
      expect(wait).toBeLessThanOrEqual(Math.min(25 * 2 ** i, 250) + 20);
    });
    expect(Math.max(...waits)).toBeGreaterThan(50);
  });

  it('is what the upstream asks for, where the policy heeds it', async () => {
    await start({ ...BY_DEFAULT, rateLimitedRetryBackOff: { resetHeaders: [{ name: 'Retry-After', format: 'SECONDS' }], maxInterval: '10s' } });
    a.onRequest = (received) => {
      if (a.requests.length === 1) received.respond(503, { headers: ['Retry-After', '3'] });
      else received.respond(200);
    };
    const before = engine.clock.nowMs();
    expect((await call()).status).toBe(200);
    expect(engine.clock.nowMs() - before).toBeGreaterThanOrEqual(3000);
    expect(engine.clock.nowMs() - before).toBeLessThan(3100);
  });

  it('ends with the caller: who goes away meanwhile causes no further attempt', async () => {
    await start({ ...BY_DEFAULT, retryBackOff: { baseInterval: '10s', maxInterval: '10s' } });
    a.script(503);
    const client = engine.client('in');
    client.send();
    await engine.settle();
    client.destroy();
    await engine.advance(20_000);
    expect(a.requests).toHaveLength(1);
    expect(engine.last.flags).toBe('DC');
  });
});

describe('content', () => {
  it('is sent again from its first byte, with what came during the wait, and its trailers', async () => {
    const upstream = engine.upstream('h2', { http2: true });
    engine.cluster('c', { endpoints: ['h2'], http2: true, fields: BUDGET });
    await engine.listener('in', { routes: [routeTo('c', { retryPolicy: BY_DEFAULT }, { metadata: MESH })] });
    upstream.onRequest = (received) => {
      if (upstream.requests.length === 1) received.respond(503);
      received.onChange = () => {
        if (received.ended) received.respond(200);
      };
    };
    const put = engine.client('in', { http2: true }).send({ method: 'PUT', body: 'one ', open: true });
    await engine.settle();
    put.write('two ');
    await engine.settle();
    put.write('three');
    put.finish(['checksum', '42']);
    await engine.until(() => put.over);
    expect(put.status).toBe(200);
    expect(upstream.last).toMatchObject({ body: 'one two three', trailers: ['checksum', '42'] });
  });

  it('longer than the limit is passed on, and not sent twice', async () => {
    await start(BY_DEFAULT, {}, { perConnectionBufferLimitBytes: 1000 });
    a.answer((received) => received.respond(503));
    for (const asked of [
      { method: 'PUT', body: 'x'.repeat(1001) },
      { method: 'PUT', body: 'x'.repeat(600), open: true },
    ]) {
      const before = a.requests.length;
      const put = engine.client('in').send(asked);
      await engine.settle();
      if (asked.open) put.write('y'.repeat(600), true);
      await engine.until(() => put.over);
      expect(put.status).toBe(503);
      expect(a.requests.length - before).toBe(1);
    }
  });

  it('of a route with a limit of its own is kept up to that', async () => {
    await start(BY_DEFAULT, { perRequestBufferLimitBytes: 2000 }, { perConnectionBufferLimitBytes: 1000 });
    a.answer((received) => received.respond(a.requests.length === 1 ? 503 : 200));
    const chunked = engine.client('in').send({ method: 'PUT', body: 'x'.repeat(900), open: true });
    await engine.settle();
    chunked.write('y'.repeat(900), true);
    await engine.until(() => chunked.over);
    expect(chunked.status).toBe(200);
    expect(a.last.body).toHaveLength(1800);
  });

  it('of a route with a smaller limit is not kept beyond it', async () => {
    await start(BY_DEFAULT, { perRequestBufferLimitBytes: 100 });
    a.answer((received) => received.respond(503));
    const chunked = engine.client('in').send({ method: 'PUT', body: 'x'.repeat(90), open: true });
    await engine.settle();
    chunked.write('y'.repeat(90), true);
    await engine.until(() => chunked.over);
    expect(a.requests).toHaveLength(1);
  });
});

describe('the budget', () => {
  it('lets three retries run whatever the load, and no fourth', async () => {
    await start({ ...BY_DEFAULT, retryBackOff: { baseInterval: '10s', maxInterval: '10s' } });
    a.script(503);
    const calls = Array.from({ length: 5 }, () => engine.client('in').send());
    await engine.settle();
    // Three wait for their retry; the others were told at once.
    expect(calls.filter((one) => one.over)).toHaveLength(2);
    expect(engine.records.map(({ flags }) => flags)).toEqual(['UO,URX', 'UO,URX']);
    expect(engine.clusters.get('c')!.limits.retries).toBe(3);
    for (const one of calls) one.abort();
    await engine.settle();
    expect(engine.clusters.get('c')!.limits.retries).toBe(0);
  });

  it('grows with the requests under way: a fifth of them', async () => {
    await start({ ...BY_DEFAULT, retryBackOff: { baseInterval: '10s', maxInterval: '10s' } });
    const slow = Array.from({ length: 50 }, () => engine.client('in').send({ path: '/slow' }));
    await engine.settle();
    a.onRequest = (received) => received.respond(503);
    const failing = Array.from({ length: 20 }, () => engine.client('in').send());
    await engine.settle();
    const waiting = failing.filter((one) => !one.over).length;
    expect(waiting).toBeGreaterThanOrEqual(10);
    expect(waiting).toBeLessThanOrEqual(14);
    for (const one of [...slow, ...failing]) one.abort();
  });

  it('is not for connections that were refused: they have cost nobody anything', async () => {
    engine.cluster('gone', { endpoints: ['nobody'], fields: BUDGET });
    await engine.listener('in', { routes: [routeTo('gone', { retryPolicy: BY_DEFAULT }, { metadata: MESH })] });
    await Promise.all(Array.from({ length: 10 }, () => call()));
    expect(engine.records.map(({ attempts }) => attempts)).toEqual(Array.from({ length: 10 }, () => 4));
  });
});

describe('given up', () => {
  const GAVE_UP = ['x-envoy-ratelimited', 'outrigger-gave-up'];

  it('marks what goes to another proxy when its retries are spent', async () => {
    await start(BY_DEFAULT, {}, { trafficDirection: 'UNSPECIFIED' });
    a.script(503);
    const answer = await call();
    expect(answer.header('x-envoy-ratelimited')).toBe('outrigger-gave-up');
    expect(answer.header('proxy-status')).toContain('URX');
  });

  it('takes the mark off for the application, and does not try again what is so marked', async () => {
    await start();
    a.onRequest = (received) => received.respond(503, { headers: GAVE_UP });
    const answer = await call();
    expect(answer.status).toBe(503);
    expect(answer.header('x-envoy-ratelimited')).toBeUndefined();
    expect(a.requests).toHaveLength(1);
  });

  it("marks the application's own failure when a call of the same request id was given up", async () => {
    await start();
    await engine.listener('inbound', { routes: [routeTo('app')], fields: { trafficDirection: 'INBOUND' } });
    const app = engine.upstream('app');
    engine.cluster('app', { endpoints: ['app'] });
    a.script(503);
    await call({ headers: ['x-request-id', 'id-1'] });
    app.script(500);
    const inbound = engine.client('inbound');
    expect((await inbound.call({ headers: ['x-request-id', 'id-1'] })).header('x-envoy-ratelimited')).toBe('outrigger-gave-up');
    expect((await inbound.call({ headers: ['x-request-id', 'id-2'] })).header('x-envoy-ratelimited')).toBeUndefined();
    app.script(404);
    expect((await inbound.call({ headers: ['x-request-id', 'id-1'] })).header('x-envoy-ratelimited')).toBeUndefined();
    // Not for ever.
    await engine.advance(61_000);
    app.script(500);
    expect((await engine.client('inbound').call({ headers: ['x-request-id', 'id-1'] })).header('x-envoy-ratelimited')).toBeUndefined();
  });
});

it('a retry goes to another endpoint where the policy says so', async () => {
  const b = engine.upstream('b');
  engine.cluster('two', { endpoints: ['a', 'b'], fields: { ...BUDGET, lbPolicy: 'RANDOM' } });
  const retryPolicy = {
    ...BY_DEFAULT,
    numRetries: 1,
    hostSelectionRetryMaxAttempts: '20',
    retryHostPredicate: [{ name: 'envoy.retry_host_predicates.previous_hosts' }],
  };
  await engine.listener('in', { routes: [routeTo('two', { retryPolicy }, { metadata: MESH })] });
  a.script(503);
  b.script(200);
  for (let i = 0; i < 20; i++) expect((await call()).status).toBe(200);
});
