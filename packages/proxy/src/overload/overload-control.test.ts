import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { processParts } from '../engine/make-runtime.ts';
import { routeTo } from '../testing/messages.ts';
import { TestEngine } from '../testing/test-engine.ts';
import type { TestUpstream } from '../testing/test-upstream.ts';
import { DEFAULT_OVERLOAD, EVENT_LOOP, type OverloadConfig } from './overload-config.ts';
import { OverloadControl } from './overload-control.ts';
import { ownLimitBytes } from './resource-monitors.ts';

const LOOK_MS = 250;

let engine: TestEngine;
let upstream: TestUpstream;
let control: OverloadControl | undefined;

/** A loop that comes to everything so late. */
class LateClock {
  lateMs = 0;
  #nowMs = 0;
  #due: { readonly atMs: number; readonly callback: () => void } | undefined;
  nowMs(): number {
    return this.#nowMs;
  }
  after(delayMs: number, callback: () => void): () => void {
    this.#due = { atMs: this.#nowMs + delayMs, callback };
    return () => {
      this.#due = undefined;
    };
  }
  turn(): void {
    const due = this.#due!;
    this.#due = undefined;
    this.#nowMs = due.atMs + this.lateMs;
    due.callback();
  }
  get idle(): boolean {
    return this.#due === undefined;
  }
}

const SHORT_OF_MEMORY = { heapTotal: ownLimitBytes(), heapUsed: 0, external: 0, arrayBuffers: 0 };
const LOOP_ALONE: OverloadConfig = { ...DEFAULT_OVERLOAD, monitors: DEFAULT_OVERLOAD.monitors.filter(({ name }) => name === EVENT_LOOP) };

beforeEach(async () => {
  engine = new TestEngine();
  upstream = engine.upstream('app').script(200);
  engine.cluster('app', { endpoints: ['app'] });
  await engine.listener('in', { routes: [routeTo('app')] });
});

afterEach(async () => {
  control?.close();
  control = undefined;
  expect(await engine.close()).toEqual([]);
});

describe('requests while the proxy is overloaded', () => {
  it('are answered with a signed 503, and nobody upstream hears of them', async () => {
    Object.assign(engine.runtime.overload, { shedsRequests: true, requests: 1 });
    const answer = await engine.client('in').call({ body: 'x' });
    expect([answer.status, answer.body]).toEqual([503, 'overloaded']);
    expect(answer.header('proxy-status')).toBe('test; error=connection_limit_reached; details="overload; UO"');
    expect(answer.header('x-request-id')).toMatch(/^[0-9a-f-]{36}$/);
    expect(engine.last).toMatchObject({ code: 503, flags: 'UO', details: 'overload', attempts: 0 });
    expect(upstream.requests).toHaveLength(0);
  });

  it('of gRPC are answered as such', async () => {
    Object.assign(engine.runtime.overload, { shedsRequests: true, requests: 1 });
    const answer = await engine.client('in', { http2: true }).call({ headers: ['content-type', 'application/grpc'], body: 'x' });
    expect([answer.status, answer.header('grpc-status'), answer.header('grpc-message')]).toEqual([200, '14', 'overloaded']);
  });

  it('are shed to the share that is asked for', async () => {
    Object.assign(engine.runtime.overload, { shedsRequests: true, requests: 0.5 });
    const client = engine.client('in');
    let shed = 0;
    for (let i = 0; i < 200; i++) if ((await client.call()).status === 503) shed++;
    expect(shed).toBeGreaterThan(70);
    expect(shed).toBeLessThan(130);
  });
});

describe('a loop that lags', () => {
  it('sheds requests once it has lagged for two seconds, and stops as soon as it does not', async () => {
    const clock = new LateClock();
    control = new OverloadControl(LOOP_ALONE, engine.runtime.overload, engine.listeners, processParts().overload, engine.runtime.log, clock);
    control.start();
    const turns = (count: number, lateMs: number): number => {
      clock.lateMs = lateMs;
      for (let i = 0; i < count; i++) clock.turn();
      return engine.runtime.overload.requests;
    };
    expect(turns(20, 5)).toBe(0);
    // A pause, then another: garbage, a large configuration.
    expect(turns(1, 4_000)).toBe(0);
    expect(turns(1, 0)).toBe(0);
    expect(turns(7, 900)).toBe(0);
    expect(turns(1, 750)).toBe(0.5);
    expect(turns(8, 3_000)).toBe(1);
    expect((await engine.client('in').call()).status).toBe(503);
    expect(turns(1, 0)).toBe(0);
    expect((await engine.client('in').call()).status).toBe(200);
    control.close();
    expect(clock.idle).toBe(true);
    expect(LOOP_ALONE.refreshIntervalMs).toBe(LOOK_MS);
  });
});

describe('memory that is short', () => {
  it('resets the streams that hold most, and those alone', async () => {
    control = new OverloadControl(LOOP_ALONE, engine.runtime.overload, engine.listeners, processParts().overload, engine.runtime.log);
    upstream.onRequest = () => {};
    const calls = [10, 4_000, 900_000].map((bytes) => engine.client('in', { http2: true }).send({ body: 'x'.repeat(bytes), open: true }));
    await engine.settle();
    control.resetStreams(0.01, 1_000);
    await engine.settle();
    expect(calls.map((call) => call.over)).toEqual([false, false, true]);
    expect([control.resets, engine.last.flags]).toEqual([1, 'OM']);
    control.resetStreams(1, 1_000);
    await engine.settle();
    expect(calls.map((call) => call.over)).toEqual([false, true, true]);
    // There was none to reset.
    control.resetStreams(1, 1_000);
    expect(control.resets).toBe(2);
  });

  it('takes nothing in until what reset streams have held is collected', async () => {
    const clock = new LateClock();
    const parts = processParts();
    control = new OverloadControl(LOOP_ALONE, engine.runtime.overload, engine.listeners, parts.overload, engine.runtime.log, clock);
    upstream.onRequest = () => {};
    for (let i = 0; i < 60; i++) engine.client('in', { http2: true }).send({ body: 'x'.repeat(40_000), open: true });
    await engine.settle();
    control.resetStreams(1, 1_000);
    control.resetStreams(1, 1_000);
    expect([control.resets, control.shrinks, parts.intake.held]).toEqual([60, 0, true]);
    await engine.settle();
    clock.turn();
    expect([control.shrinks, parts.intake.held, clock.idle]).toEqual([1, false, true]);
  });

  it('is looked at as buffers take it, and not by time alone', async () => {
    const { overload } = processParts();
    control = new OverloadControl(DEFAULT_OVERLOAD, engine.runtime.overload, engine.listeners, overload, engine.runtime.log, new LateClock());
    control.start();
    expect(overload.memory.pressure(1)).toBeLessThan(0.5);
    const usage = vi.spyOn(process, 'memoryUsage').mockImplementation(() => ({ ...SHORT_OF_MEMORY, rss: 2 * ownLimitBytes() }));
    try {
      overload.memory.growth.took(ownLimitBytes() * 0.006);
      await engine.settle();
      expect(engine.runtime.overload.requests).toBe(0);
      overload.memory.growth.took(ownLimitBytes() * 0.006);
      await engine.settle();
      expect(engine.runtime.overload.requests).toBe(1);
    } finally {
      usage.mockRestore();
    }
  });

  it('closes connections that have been idle for longer than they now may', async () => {
    control = new OverloadControl(LOOP_ALONE, engine.runtime.overload, engine.listeners, processParts().overload, engine.runtime.log);
    const [idle, fresh] = [engine.client('in'), engine.client('in')];
    await idle.call();
    await engine.advance(5_000);
    await fresh.call();
    control.reduceTimeouts(1, { kind: 'min', minMs: 2_000 }, null);
    await engine.settle();
    expect([idle.closed, fresh.closed]).toEqual([true, false]);
  });

  it('gives streams less time to be idle, and their own back', async () => {
    await engine.listener('slow', { routes: [routeTo('app')], manager: { streamIdleTimeout: '300s' } });
    control = new OverloadControl(LOOP_ALONE, engine.runtime.overload, engine.listeners, processParts().overload, engine.runtime.log);
    upstream.onRequest = () => {};
    const shrink = (state: number): void => control!.reduceTimeouts(state, null, { kind: 'ratio', ratio: 0.01 });
    const call = engine.client('slow').send();
    await engine.settle();
    shrink(1);
    await engine.advance(4_000);
    expect(call.status).toBe(504);
    shrink(0);
    const other = engine.client('slow').send();
    await engine.advance(100_000);
    expect(other.over).toBe(false);
    await engine.advance(300_000);
    expect(other.status).toBe(504);
  });

  it('is looked for by collecting garbage, at most every ten seconds', () => {
    control = new OverloadControl(LOOP_ALONE, engine.runtime.overload, engine.listeners, processParts().overload, engine.runtime.log);
    control.shrinkHeap();
    control.shrinkHeap();
    expect(control.shrinks).toBe(1);
  });
});

it('copies of requests keep no more than so much content', async () => {
  const copy = engine.upstream('copy');
  copy.onRequest = () => {};
  engine.cluster('copy', { endpoints: ['copy'] });
  await engine.listener('mirrored', { routes: [routeTo('app', { requestMirrorPolicies: [{ cluster: 'copy' }] })] });
  const body = 'x'.repeat(1_000_000);
  for (let i = 0; i < 20; i++) expect((await engine.client('mirrored').call({ body })).status).toBe(200);
  await engine.settle();
  expect(copy.requests).toHaveLength(16);
  await engine.advance(20_000);
});
