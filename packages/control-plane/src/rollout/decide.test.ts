import type { Resource, RolloutSpec } from '@outrigger/resources';
import { describe, expect, test } from 'vitest';
import { act, begin, GONE_MS, isOver, observe, planOf, type RolloutPlan, type RolloutState, splitOf } from './decide.ts';
import { restored, stored } from './stored.ts';
import { type Behaviour, seeded, served } from './testing/simulated.ts';

const spec: RolloutSpec = {
  service: 'order-service',
  to: 'v2',
  steps: [1, 10, 50, 100],
  every: '60s',
  require: ['success>=99.5%', 'p99<=1.2x'],
  confidence: 99,
  minimumRequests: 100,
  deadline: '30m',
};
const plan = planOf(spec, 'v1');
const metadata = {
  name: 'order-service',
  namespace: 'default',
  labels: {},
  annotations: {},
  creationTimestamp: '',
  resourceVersion: '1',
  uid: 'u',
  generation: 1,
};
const resource: Resource<RolloutSpec> = { apiVersion: 'outrigger.dev/v1alpha1', kind: 'Rollout', metadata, spec };
const good: Behaviour = { failing: 0.001, medianMs: 20 };
const here = { from: 2, to: 2, others: 0 };
const TICK_MS = 1_000;

interface Run {
  readonly state: RolloutState;
  readonly seconds: number;
  /** Of the new version, all in all. */
  readonly failed: number;
}

/** A service of `rate` requests a second, second by second, until the rollout is over or stands still. */
function run(plan: RolloutPlan, old: Behaviour, fresh: Behaviour, options: { rate?: number; seed: number; state?: RolloutState; untilSecond?: number }): Run {
  const { rate = 200, seed, untilSecond = 4 * 3600 } = options;
  const random = seeded(seed);
  let state = options.state ?? begin(plan, 0);
  let failed = 0;
  let seconds = state.seenAtMs / TICK_MS;
  while (!isOver(state) && state.phase !== 'paused' && seconds < untilSecond) {
    seconds += 1;
    const split = splitOf(plan, state, here)!;
    const share = (percent: number): number => Math.floor((rate * percent) / 100 + random());
    const from = served(share(100 - split.to), old, random);
    const to = served(share(split.to + split.mirror), fresh, random);
    failed += to.failures;
    state = observe(plan, state, { nowMs: seconds * TICK_MS, present: here, from, to });
  }
  return { state, seconds, failed };
}

test('a good version comes to 100 % step by step, and not before each has been held', () => {
  const { state, seconds } = run(plan, good, good, { seed: 1 });
  expect(state.phase).toBe('succeeded');
  expect(state.history.map(({ text }) => text)).toEqual([
    'begun: 1 % to v2',
    'passed; 10 % to v2',
    'passed; 50 % to v2',
    'passed; 100 % to v2',
    'succeeded: every step has passed: 100 % to v2',
  ]);
  expect(seconds).toBeGreaterThanOrEqual(240);
});

test('a version that fails 3 % is rolled back at its first step', () => {
  const { state, failed } = run(plan, good, { ...good, failing: 0.03 }, { seed: 2 });
  expect(state).toMatchObject({
    phase: 'rolled-back',
    step: 0,
    reason: expect.stringMatching(/^success>=99.5%: 9\d\.\d\d % of \d+ succeeded .*beyond chance$/),
  });
  expect(splitOf(plan, state, here)).toEqual({ to: 0, mirror: 0 });
  expect(failed).toBeLessThan(20);
});

test('a version that takes twice as long is rolled back', () => {
  const { state } = run(plan, good, { ...good, medianMs: 40 }, { seed: 3 });
  expect(state).toMatchObject({ phase: 'rolled-back', reason: expect.stringMatching(/^p99<=1.2x: p99 \d+ ms \(v1: \d+ ms\)/) });
});

test('what makes both versions fail is not the new one’s fault: the step waits, and is paused at its deadline', () => {
  const bad = { ...good, failing: 0.05 };
  const { state, seconds } = run(plan, bad, bad, { seed: 4 });
  expect(state).toMatchObject({ phase: 'paused', reason: expect.stringContaining('v1 does not meet it either') });
  expect(seconds).toBe(1800);
  expect(run(plan, bad, { ...good, failing: 0.3 }, { seed: 5 }).state.phase).toBe('rolled-back');
});

test('with too little traffic a step waits and says what for, until its deadline', () => {
  const { state } = run(plan, good, good, { rate: 1, seed: 6 });
  expect(state).toMatchObject({
    phase: 'paused',
    step: 0,
    reason: expect.stringMatching(/^the step has not passed within 30 min; success>=99.5%: .*v2 has had \d+ of the 100 requests that are needed$/),
  });
});

test('copies of requests go first where that is wanted, and a bad version never sees a real one', () => {
  const mirroring = planOf({ ...spec, mirrorFirst: 20 }, 'v1');
  expect(splitOf(mirroring, begin(mirroring, 0), here)).toEqual({ to: 0, mirror: 20 });
  expect(run(mirroring, good, { ...good, failing: 0.03 }, { seed: 7 }).state).toMatchObject({ phase: 'rolled-back', step: -1 });
  expect(run(mirroring, good, good, { seed: 8 }).state).toMatchObject({ phase: 'succeeded' });
});

describe('by hand', () => {
  const state = begin(plan, 0);
  const done = (result: RolloutState | string): RolloutState => {
    if (typeof result === 'string') throw new Error(result);
    return result;
  };

  test('a paused one stays at its step, its time stands, and goes on when resumed', () => {
    const paused = done(act(plan, state, 'pause', 5_000));
    const later = observe(plan, paused, { nowMs: 9_000, present: here, from: served(9_000, good, seeded(9)), to: served(900, good, seeded(10)) });
    expect(later).toMatchObject({ phase: 'paused', step: 0, heldMs: 0, reason: 'by hand' });
    const resumed = done(act(plan, later, 'resume', 9_000));
    expect(run(plan, good, good, { seed: 11, state: resumed }).state.phase).toBe('succeeded');
  });

  test('a bad version is taken back while it is paused, too', () => {
    const paused = done(act(plan, state, 'pause', 5_000));
    const later = observe(plan, paused, {
      nowMs: 9_000,
      present: here,
      from: served(900, good, seeded(12)),
      to: served(900, { ...good, failing: 0.1 }, seeded(13)),
    });
    expect(later.phase).toBe('rolled-back');
  });

  test('promote and abort end it at once, and what is over stays so', () => {
    const promoted = done(act(plan, state, 'promote', 1_000));
    expect([promoted.phase, splitOf(plan, promoted, here)]).toEqual(['succeeded', { to: 100, mirror: 0 }]);
    const aborted = done(act(plan, state, 'abort', 1_000));
    expect([aborted.phase, splitOf(plan, aborted, here)]).toEqual(['aborted', { to: 0, mirror: 0 }]);
    expect(act(plan, aborted, 'promote', 2_000)).toBe('it is over: aborted');
    expect(act(plan, state, 'resume', 2_000)).toBe('it is not paused');
  });
});

describe('a version that vanishes', () => {
  const nothing = { from: served(0, good, seeded(1)), to: served(0, good, seeded(1)) };
  const gone = { ...here, to: 0 };

  test('gets no traffic from then on, and is rolled back when it does not come back', () => {
    let state: RolloutState = { ...begin(plan, 0), step: 2 };
    expect(splitOf(plan, state, gone)).toEqual({ to: 0, mirror: 0 });
    for (let nowMs = TICK_MS; nowMs < GONE_MS; nowMs += TICK_MS) state = observe(plan, state, { nowMs, present: gone, ...nothing });
    expect(state.phase).toBe('progressing');
    const back = observe(plan, state, { nowMs: GONE_MS, present: here, ...nothing });
    expect([back.phase, back.goneMs]).toEqual(['progressing', 0]);
    expect(observe(plan, state, { nowMs: GONE_MS, present: gone, ...nothing })).toMatchObject({
      phase: 'rolled-back',
      reason: 'no healthy instance of v2 is left',
    });
  });

  test('leaves all to the other one; routes are as written once what was in force is gone', () => {
    const state: RolloutState = { ...begin(plan, 0), step: 2 };
    expect(splitOf(plan, state, { ...here, from: 0 })).toEqual({ to: 100, mirror: 0 });
    const succeeded: RolloutState = { ...state, phase: 'succeeded' };
    expect(splitOf(plan, succeeded, { from: 1, to: 0, others: 0 })).toBeUndefined();
    const rolledBack: RolloutState = { ...state, phase: 'rolled-back' };
    expect(splitOf(plan, rolledBack, { from: 0, to: 1, others: 0 })).toEqual({ to: 0, mirror: 0 });
    expect(splitOf(plan, rolledBack, { from: 0, to: 1, others: 1 })).toBeUndefined();
  });
});

test('a conflict pauses it with its reason', () => {
  const empty = served(0, good, seeded(1));
  const state = observe(plan, begin(plan, 0), { nowMs: 1_000, present: here, from: empty, to: empty, conflict: 'VirtualService default/a splits it' });
  expect(state).toMatchObject({ phase: 'paused', reason: 'VirtualService default/a splits it' });
});

test('what was kept goes on where it was, with what it had seen; the time away does not count', () => {
  const before = run(plan, good, good, { seed: 14, untilSecond: 100 }).state;
  expect(before).toMatchObject({ phase: 'progressing', step: 1 });
  const after = restored(JSON.parse(JSON.stringify(stored(resource, 'v1', before))) as ReturnType<typeof stored>);
  expect(after).toEqual(before);
  const empty = served(0, good, seeded(1));
  const anHourLater = observe(plan, after, { nowMs: 3_700_000, present: here, from: empty, to: empty });
  expect([anHourLater.step, anHourLater.heldMs - before.heldMs, anHourLater.to.requests]).toEqual([1, 5_000, before.to.requests]);
});

describe('over many rollouts (seeded)', () => {
  const RUNS = 25;
  const quick = planOf({ ...spec, steps: [10, 50, 100], every: '20s' }, 'v1');
  const runs = (old: Behaviour, fresh: Behaviour, seed: number): Run[] =>
    Array.from({ length: RUNS }, (_, index) => run(quick, old, fresh, { rate: 100, seed: seed + index }));
  const rolledBack = (all: readonly Run[]): number => all.filter(({ state }) => state.phase === 'rolled-back').length / all.length;

  test('a version that is as good as the old one is hardly ever rolled back', () => {
    expect(rolledBack(runs(good, good, 1_000))).toBeLessThanOrEqual(0.02);
    // At the very limit of what is required.
    expect(rolledBack(runs({ ...good, failing: 0.005 }, { ...good, failing: 0.005 }, 2_000))).toBeLessThanOrEqual(0.05);
  });

  test('a version that fails 3 % always is, after few failed requests', () => {
    const all = runs(good, { ...good, failing: 0.03 }, 3_000);
    expect(rolledBack(all)).toBe(1);
    const failed = all.map((one) => one.failed).sort((a, b) => a - b);
    expect(failed[Math.floor(RUNS * 0.5)]).toBeLessThanOrEqual(10);
    expect(failed.at(-1)).toBeLessThanOrEqual(25);
  });

  test('a version that takes twice as long always is', () => {
    expect(rolledBack(runs(good, { ...good, medianMs: 40 }, 4_000))).toBe(1);
  });
});
