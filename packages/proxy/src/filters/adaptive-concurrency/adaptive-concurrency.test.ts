import { FastRandom } from '@outrigger/telemetry';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { routeTo, typed } from '../../testing/messages.ts';
import { TestEngine } from '../../testing/test-engine.ts';
import type { TestUpstream } from '../../testing/test-upstream.ts';
import { GradientController, type GradientSettings } from './gradient-controller.ts';

const SETTINGS: GradientSettings = {
  percentile: 0.5,
  maxLimit: 100,
  updateIntervalMs: 100,
  minRttIntervalMs: 60_000,
  minRttSamples: 5,
  minRttJitter: 0,
  minLimit: 3,
  buffer: 0.25,
};

/** So many requests one after another, each of that latency. */
function serve(controller: GradientController, count: number, latencyMs: number, fromMs: number): number {
  let nowMs = fromMs;
  for (let i = 0; i < count; i++) {
    expect(controller.enter(nowMs)).toBe(true);
    nowMs += latencyMs;
    controller.leave(latencyMs, nowMs);
  }
  return nowMs;
}

describe('the controller', () => {
  const make = (): GradientController => new GradientController(SETTINGS, new FastRandom([1, 2, 3, 4]), 0);

  it('lets few in until it knows how long a request takes', () => {
    const controller = make();
    expect([1, 2, 3, 4].map(() => controller.enter(0))).toEqual([true, true, true, false]);
    for (let i = 0; i < 3; i++) controller.leave(10, 10);
    serve(controller, 2, 10, 10);
    expect(controller.minRttMs).toBe(10);
  });

  it('lets more in while they are as fast, up to its maximum', () => {
    const controller = make();
    let nowMs = serve(controller, 5, 10, 0);
    const before = controller.limit;
    for (let i = 0; i < 20; i++) nowMs = serve(controller, 11, 10, nowMs);
    expect(controller.limit).toBeGreaterThan(before);
    for (let i = 0; i < 200; i++) nowMs = serve(controller, 11, 10, nowMs);
    expect(controller.limit).toBe(100);
  });

  it('and fewer as soon as they become slower, down to its minimum', () => {
    const controller = make();
    let nowMs = serve(controller, 5, 10, 0);
    for (let i = 0; i < 20; i++) nowMs = serve(controller, 11, 10, nowMs);
    const before = controller.limit;
    nowMs = serve(controller, 2, 100, nowMs);
    expect(controller.limit).toBeLessThan(before);
    for (let i = 0; i < 12 && controller.limit > 3; i++) nowMs = serve(controller, 2, 100, nowMs);
    expect(controller.limit).toBe(3);
  });

  it('measures anew where it stays at its minimum, and from time to time', () => {
    const controller = make();
    let nowMs = serve(controller, 5, 10, 0);
    for (let i = 0; i < 40 && controller.minRttMs === 10; i++) nowMs = serve(controller, 2, 100, nowMs);
    expect(controller.minRttMs).toBe(100);
    nowMs = serve(controller, 1, 20, nowMs + SETTINGS.minRttIntervalMs);
    for (let i = 0; i < 6; i++) nowMs = serve(controller, 1, 20, nowMs);
    expect(controller.minRttMs).toBe(20);
  });
});

describe('the filter', () => {
  let engine: TestEngine;
  let a: TestUpstream;
  beforeEach(async () => {
    engine = new TestEngine();
    a = engine.upstream('a');
    engine.cluster('c', { endpoints: ['a'] });
    await engine.listener('in', {
      routes: [routeTo('c')],
      filters: [
        {
          name: 'adaptive',
          typedConfig: typed('envoy.extensions.filters.http.adaptive_concurrency.v3.AdaptiveConcurrency', {
            gradientControllerConfig: {
              concurrencyLimitParams: { concurrencyUpdateInterval: '0.1s' },
              minRttCalcParams: { interval: '60s', minConcurrency: 2 },
            },
          }),
        },
      ],
    });
  });
  afterEach(async () => {
    expect(await engine.close()).toEqual([]);
  });

  it('sheds what is too much, signed, and lets in again what follows', async () => {
    const calls = [1, 2, 3].map(() => engine.client('in').send());
    await engine.until(() => a.requests.length === 2 && calls.some(({ over }) => over));
    const shed = calls.find(({ over }) => over)!;
    expect([shed.status, shed.body, shed.header('proxy-status')]).toEqual([503, 'reached concurrency limit', expect.stringContaining('UO')]);
    for (const received of a.requests) received.respond(200);
    await engine.until(() => calls.every(({ over }) => over));
    a.script(200);
    expect((await engine.client('in').call()).status).toBe(200);
  });

  it('a client that goes away gives its place back', async () => {
    const calls = [1, 2].map(() => engine.client('in', { http2: true }).send());
    await engine.until(() => a.requests.length === 2);
    for (const call of calls) call.abort();
    await engine.settle();
    a.script(200);
    expect((await engine.client('in').call()).status).toBe(200);
  });
});
