import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { routeTo } from '../testing/messages.ts';
import { TestEngine } from '../testing/test-engine.ts';
import type { TestUpstream } from '../testing/test-upstream.ts';

let engine: TestEngine;
let a: TestUpstream;

beforeEach(() => {
  engine = new TestEngine();
  a = engine.upstream('a');
  engine.cluster('c', { endpoints: ['a'], fields: { outlierDetection: { consecutive5xx: 5, maxEjectionPercent: 100 } } });
});
afterEach(async () => {
  expect(await engine.close()).toEqual([]);
});

describe("the route's timeout", () => {
  it('ends a call that is not answered with 504, signed, and gives the upstream up', async () => {
    await engine.listener('in', { routes: [routeTo('c', { timeout: '0.300s' })] });
    const before = engine.clock.nowMs();
    const answer = await engine.client('in').call();
    expect(answer.status).toBe(504);
    expect(answer.body).toBe('upstream request timeout');
    expect(answer.header('proxy-status')).toBe('test; error=http_response_timeout; details="response_timeout; UT"');
    expect(engine.clock.nowMs() - before).toBeGreaterThanOrEqual(300);
    expect(engine.clock.nowMs() - before).toBeLessThan(330);
    expect(engine.last).toMatchObject({ code: 504, flags: 'UT', attempts: 1 });
    expect(a.last.reset).not.toBe('');
    // It is a failure of the endpoint.
    expect([...engine.clusters.get('c')!.hosts][0]!.outlier.consecutive5xx).toBe(1);
  });

  it('holds over all attempts together', async () => {
    await engine.listener('in', {
      routes: [routeTo('c', { timeout: '0.500s', retryPolicy: { retryOn: '5xx', numRetries: 9, perTryTimeout: '0.200s' } })],
    });
    const before = engine.clock.nowMs();
    expect((await engine.client('in').call()).status).toBe(504);
    expect(engine.last).toMatchObject({ flags: 'UT', attempts: 3, details: 'response_timeout' });
    expect(engine.clock.nowMs() - before).toBeLessThan(530);
  });

  it('runs from the end of the request', async () => {
    await engine.listener('in', { routes: [routeTo('c', { timeout: '0.300s' })] });
    a.script(200);
    const call = engine.client('in').send({ body: 'slow', open: true });
    await engine.advance(5000);
    expect(call.over).toBe(false);
    call.write(' but here', true);
    await engine.until(() => call.over);
    expect(call.status).toBe(200);
  });

  it('does not cut an answer that has begun', async () => {
    await engine.listener('in', { routes: [routeTo('c', { timeout: '0.300s' })] });
    a.answer((received) => received.begin(200));
    const call = engine.client('in').send();
    await engine.advance(5000);
    a.last.write('late', true);
    await engine.until(() => call.over);
    expect([call.status, call.body]).toEqual([200, 'late']);
  });

  it('is off where it is 0', async () => {
    await engine.listener('in', { routes: [routeTo('c')] });
    const call = engine.client('in').send();
    await engine.advance(3_000_000);
    expect(call.over).toBe(false);
    call.abort();
  });

  it.each([
    ['100m', '60s', undefined, 100],
    ['2S', '1s', undefined, 1000],
    ['1S', '0s', '0.200s', 800],
  ])('is what grpc-timeout %s says, up to %s, less %s: %i ms', async (header, grpcTimeoutHeaderMax, grpcTimeoutHeaderOffset, expectedMs) => {
    const maxStreamDuration = { grpcTimeoutHeaderMax, ...(grpcTimeoutHeaderOffset === undefined ? {} : { grpcTimeoutHeaderOffset }) };
    await engine.listener('in', { routes: [routeTo('c', { timeout: '5s', maxStreamDuration })] });
    const before = engine.clock.nowMs();
    await engine.client('in').call({ method: 'POST', body: '', headers: ['grpc-timeout', header, 'content-type', 'application/grpc'] });
    expect(engine.clock.nowMs() - before).toBeGreaterThanOrEqual(expectedMs);
    expect(engine.clock.nowMs() - before).toBeLessThan(expectedMs + 30);
    expect(engine.last.details).toBe('max_duration_timeout');
  });

  it.each(['nonsense', undefined])('beside max_stream_duration does not hold, as in Envoy (grpc-timeout %s)', async (header) => {
    await engine.listener('in', { routes: [routeTo('c', { timeout: '5s', maxStreamDuration: { grpcTimeoutHeaderMax: '1s' } })] });
    const call = engine.client('in').send({ headers: header === undefined ? [] : ['grpc-timeout', header] });
    await engine.advance(60_000);
    expect(call.over).toBe(false);
    call.abort();
  });

  it('is told to the upstream of a gRPC call, less the time that was spent', async () => {
    const retryPolicy = { retryOn: '5xx', numRetries: 1, retryBackOff: { baseInterval: '0.001s' } };
    await engine.listener('in', { routes: [routeTo('c', { retryPolicy, maxStreamDuration: { grpcTimeoutHeaderMax: '0s' } })] });
    const call = engine.client('in').send({ method: 'POST', body: '', headers: ['grpc-timeout', '2S'] });
    await engine.settle();
    expect(a.last.header('grpc-timeout')).toBe('2000m');
    await engine.advance(500);
    a.last.respond(503);
    await engine.until(() => a.requests.length === 2);
    const left = Number(/^(\d+)m$/.exec(a.last.header('grpc-timeout')!)![1]);
    expect(left).toBeLessThanOrEqual(1500);
    expect(left).toBeGreaterThan(1400);
    a.last.respond(200);
    await engine.until(() => call.over);
  });

  it('that is not heeded goes on as the caller said it', async () => {
    await engine.listener('in', { routes: [routeTo('c')] });
    a.script(200);
    await engine.client('in').call({ headers: ['grpc-timeout', '2S'] });
    expect(a.last.header('grpc-timeout')).toBe('2S');
  });
});

describe('the longest time of a stream', () => {
  it.each([
    ['of the route', { route: { maxStreamDuration: { maxStreamDuration: '2s' } }, manager: {} }],
    ['of the connection manager', { route: {}, manager: { commonHttpProtocolOptions: { maxStreamDuration: '2s' } } }],
  ])('%s cuts an answer under way', async (_of, { route, manager }) => {
    await engine.listener('in', { routes: [routeTo('c', route)], manager });
    a.answer((received) => received.begin(200));
    const call = engine.client('in').send();
    await engine.advance(1900);
    expect([call.status, call.over]).toEqual([200, false]);
    await engine.advance(200);
    expect(call.reset).not.toBe('');
    expect(engine.last).toMatchObject({ flags: 'DT', details: 'max_duration_timeout' });
    expect(a.last.reset).not.toBe('');
  });

  it('is a 504 where there is no answer yet', async () => {
    await engine.listener('in', { routes: [routeTo('c', { maxStreamDuration: { maxStreamDuration: '2s' } })] });
    const answer = await engine.client('in').call();
    expect([answer.status, answer.body]).toEqual([504, 'downstream duration timeout']);
    expect(engine.last.flags).toBe('DT');
  });
});

describe('the idle timeout of a stream', () => {
  const idle = [
    ['of the connection manager', { route: {}, manager: { streamIdleTimeout: '4s' } }],
    ['of the route', { route: { idleTimeout: '4s' }, manager: { streamIdleTimeout: '1s' } }],
  ] as const;

  it.each(idle)('%s answers 504 where the upstream is silent', async (_of, { route, manager }) => {
    await engine.listener('in', { routes: [routeTo('c', route)], manager });
    const before = engine.clock.nowMs();
    const answer = await engine.client('in').call();
    expect([answer.status, answer.body]).toEqual([504, 'stream timeout']);
    expect(answer.header('proxy-status')).toContain('stream_idle_timeout; SI');
    expect(engine.clock.nowMs() - before).toBeGreaterThanOrEqual(4000);
    expect(engine.clock.nowMs() - before).toBeLessThan(6000);
  });

  it.each(idle)('%s answers 408 where the client does not finish its request', async (_of, { route, manager }) => {
    await engine.listener('in', { routes: [routeTo('c', route)], manager });
    const call = engine.client('in').send({ body: 'half', open: true });
    await engine.until(() => call.over);
    expect(call.status).toBe(408);
  });

  it.each(idle)('%s leaves a stream alone on which something moves, either way', async (_of, { route, manager }) => {
    await engine.listener('in', { routes: [routeTo('c', route)], manager });
    a.onRequest = (received) => received.begin(200);
    const call = engine.client('in').send({ body: '.', open: true });
    for (let i = 0; i < 5; i++) {
      await engine.advance(2500);
      call.write('.');
      await engine.advance(2500);
      a.last.write('.');
    }
    expect([call.body, a.last.body, call.over]).toEqual(['.....'.slice(0, call.body.length), '......', false]);
    await engine.advance(7000);
    expect(call.reset).not.toBe('');
    expect(engine.last.flags).toBe('SI');
  });

  it('of the route may be none', async () => {
    await engine.listener('in', { routes: [routeTo('c', { idleTimeout: '0s' })], manager: { streamIdleTimeout: '1s' } });
    const call = engine.client('in').send();
    await engine.advance(60_000);
    expect(call.over).toBe(false);
    call.abort();
  });
});

describe('the time for a whole request', () => {
  it('answers 408 where it is over, and nothing where the request is whole', async () => {
    await engine.listener('in', { routes: [routeTo('c')], manager: { requestTimeout: '2s' } });
    const slow = engine.client('in').send({ body: 'half', open: true });
    const whole = engine.client('in').send({ body: 'whole' });
    await engine.advance(2100);
    expect([slow.status, whole.over]).toEqual([408, false]);
    expect(engine.last).toMatchObject({ code: 408, details: 'request_overall_timeout' });
    await engine.advance(10_000);
    expect(whole.over).toBe(false);
    whole.abort();
  });
});

describe('a downstream connection', () => {
  it('is closed when it has been idle for the idle timeout, and not while a request is under way', async () => {
    await engine.listener('in', { routes: [routeTo('c')], manager: { commonHttpProtocolOptions: { idleTimeout: '10s' } } });
    const idle = engine.client('in');
    a.script(200);
    await engine.advance(6000);
    await idle.call();
    await engine.advance(6000);
    expect(idle.closed).toBe(false);
    const busy = engine.client('in');
    a.onRequest = () => {};
    const call = busy.send();
    await engine.advance(4100);
    expect([idle.closed, busy.closed]).toEqual([true, false]);
    await engine.advance(30_000);
    expect(call.over).toBe(false);
    a.last.respond(200);
    await engine.settle();
    expect(call.status).toBe(200);
    await engine.advance(10_100);
    expect(busy.closed).toBe(true);
  });

  it.each([false, true])('is drained at its greatest age, whose requests end in peace (HTTP/2: %s)', async (http2) => {
    await engine.listener('in', { routes: [routeTo('c')], manager: { commonHttpProtocolOptions: { maxConnectionDuration: '10s' } } });
    const client = engine.client('in', { http2 });
    const call = client.send();
    await engine.advance(10_100);
    expect(call.over).toBe(false);
    a.last.respond(200);
    await engine.settle();
    expect([call.status, client.closed]).toEqual([200, true]);
  });
});
