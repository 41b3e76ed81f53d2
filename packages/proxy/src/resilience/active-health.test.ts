import { FastRandom } from '@outrigger/telemetry';
import { describe, expect, it } from 'vitest';
import { ActiveHealth, type CheckIntervals, nextCheckMs } from './active-health.ts';

const thresholds = { healthyThreshold: 2, unhealthyThreshold: 3 };

function passing(): ActiveHealth {
  const health = new ActiveHealth(thresholds, false);
  health.onSuccess(false);
  return health;
}

describe('the first result', () => {
  it('counts at once when it is good', () => {
    const health = new ActiveHealth(thresholds, false);
    expect(health.failed).toBe(true);
    expect(health.onSuccess(false)).toBe('changed');
    expect(health.failed).toBe(false);
  });

  it('leaves a new endpoint failed when it is bad, and then the threshold holds', () => {
    const health = new ActiveHealth(thresholds, false);
    expect(health.onFailure('network', false)).toBe('unchanged');
    expect(health.onSuccess(false)).toBe('pending');
    expect(health.onSuccess(false)).toBe('changed');
    expect(health.failed).toBe(false);
  });

  it('ends the waiting of an endpoint that was not to be counted, whatever it is', () => {
    const health = new ActiveHealth(thresholds, true);
    expect(health.onFailure('network', false)).toBe('changed');
    expect([health.waiting, health.failed]).toEqual([false, true]);
  });
});

describe('a failure', () => {
  it.each([
    ['of the network', 'network', false],
    ['by timeout', 'network-timeout', false],
    ['by an answer that may be asked for again', 'active', true],
  ] as const)('%s counts towards the threshold', (_what, kind, retriable) => {
    const health = passing();
    expect([health.onFailure(kind, retriable), health.onFailure(kind, retriable), health.failed]).toEqual(['pending', 'pending', false]);
    expect([health.onFailure(kind, retriable), health.failed]).toEqual(['changed', true]);
    expect(health.timedOut).toBe(kind === 'network-timeout');
  });

  it('by any other answer fails it at once', () => {
    const health = passing();
    expect([health.onFailure('active', false), health.failed, health.timedOut]).toEqual(['changed', true, false]);
  });

  it('is forgotten with the next success', () => {
    const health = passing();
    for (let round = 0; round < 5; round++) {
      health.onFailure('network', false);
      health.onFailure('network', false);
      health.onSuccess(false);
    }
    expect(health.failed).toBe(false);
  });

  it('begins the count of good results anew', () => {
    const health = passing();
    health.onFailure('active', false);
    health.onSuccess(false);
    health.onFailure('active', false);
    expect(health.onSuccess(false)).toBe('pending');
    health.excluded = true;
    expect(health.onSuccess(false)).toBe('changed');
    expect([health.failed, health.excluded, health.timedOut]).toEqual([false, false, false]);
  });
});

it('a change to degraded and back is a change', () => {
  const health = passing();
  expect([health.onSuccess(true), health.degraded, health.onSuccess(true), health.onSuccess(false), health.degraded]).toEqual([
    'changed',
    true,
    'unchanged',
    'changed',
    false,
  ]);
});

describe('the next check', () => {
  const intervals: CheckIntervals = {
    intervalMs: 10,
    intervalJitterMs: 0,
    intervalJitterPercent: 0,
    noTrafficIntervalMs: 20,
    noTrafficHealthyIntervalMs: 30,
    unhealthyIntervalMs: 40,
    unhealthyEdgeIntervalMs: 50,
    healthyEdgeIntervalMs: 60,
  };
  const random = new FastRandom([1, 2, 3, 4]);

  it.each([
    ['a good one', true, 'unchanged', true, 10],
    ['a good one that is not enough yet', true, 'pending', true, 60],
    ['a bad one', false, 'unchanged', true, 40],
    ['the bad one that was one too many', false, 'changed', true, 40],
    ['a bad one that is not enough yet', false, 'pending', true, 50],
    ['a good one without traffic', true, 'unchanged', false, 30],
    ['a good one that is not enough yet, without traffic', true, 'pending', false, 20],
    ['a bad one without traffic', false, 'unchanged', false, 20],
  ] as const)('after %s', (_what, passed, transition, traffic, ms) => {
    expect(nextCheckMs(intervals, passed, transition, traffic, random)).toBe(ms);
  });

  it('is later by up to both jitters', () => {
    const jittered = { ...intervals, intervalMs: 100, intervalJitterMs: 50, intervalJitterPercent: 20 };
    const times = Array.from({ length: 1000 }, () => nextCheckMs(jittered, true, 'unchanged', true, random));
    expect(Math.min(...times)).toBeGreaterThanOrEqual(100);
    expect(Math.min(...times)).toBeLessThan(110);
    expect(Math.max(...times)).toBeGreaterThan(150);
    expect(Math.max(...times)).toBeLessThan(170);
  });
});
