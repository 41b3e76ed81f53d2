import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type PriorityCounts, priorityLoads } from './priority-load.ts';

const count = (total: number, healthy: number, degraded = 0): PriorityCounts => ({ hosts: total, total, healthy, degraded });

describe('load of priorities', () => {
  // The examples of Envoy's documentation ("Priority levels").
  it.each<[string, PriorityCounts[], number[]]>([
    ['all well', [count(100, 100), count(100, 100)], [100, 0]],
    ['72 % is enough', [count(100, 72), count(100, 100)], [100, 0]],
    ['71 % is not', [count(100, 71), count(100, 100)], [99, 1]],
    ['half', [count(100, 50), count(100, 100)], [70, 30]],
    ['none left', [count(100, 0), count(100, 100)], [0, 100]],
    ['three', [count(100, 25), count(100, 25), count(100, 25)], [35, 35, 30]],
  ])('%s', (_name, counts, healthy) => {
    const loads = priorityLoads(counts, 1.4, 0.5).healthy;
    for (const [i, load] of healthy.entries()) expect(Math.abs(loads[i]! - load)).toBeLessThanOrEqual(1);
  });

  it('sends to degraded hosts after all healthy ones', () => {
    expect(priorityLoads([count(10, 5, 5)], 1.4, 0)).toMatchObject({ healthy: [70], degraded: [30] });
  });

  it('panics only where the others cannot carry the load', () => {
    expect(priorityLoads([count(10, 1), count(10, 10)], 1.4, 0.5).panic).toEqual([false, false]);
    expect(priorityLoads([count(10, 1), count(10, 1)], 1.4, 0.5).panic).toEqual([true, true]);
    expect(priorityLoads([count(10, 0)], 1.4, 0).panic).toEqual([false]);
  });

  it('in panic everywhere gives each its share by the number of hosts', () => {
    expect(priorityLoads([count(10, 1), count(20, 1)], 1.4, 0.5)).toMatchObject({ healthy: [34, 66], panic: [true, true] });
    expect(priorityLoads([count(0, 0), count(4, 0)], 1.4, 0.5)).toMatchObject({ healthy: [0, 100] });
    expect(priorityLoads([count(1, 0), count(3, 0)], 1.4, 0)).toMatchObject({ healthy: [0, 0], panic: [false, false] });
  });

  it('rounds down, and gives what is left to the first', () => {
    // Envoy's example: 10, 20 and 10 % well, 20, 10 and 0 % degraded.
    const loads = priorityLoads([count(100, 10, 20), count(100, 20, 10), count(100, 10)], 1, 0);
    expect(loads).toMatchObject({ healthy: [16, 28, 14], degraded: [28, 14, 0] });
  });

  it('always gives 100 % away, or nothing', () => {
    const counts = fc.tuple(fc.nat(20), fc.nat(20), fc.nat(20)).map(([a, b, c]) => count(a + b + c, a, b));
    fc.assert(
      fc.property(fc.array(counts, { minLength: 1, maxLength: 4 }), fc.constantFrom(0, 0.5, 1), (all, threshold) => {
        const loads = priorityLoads(all, 1.4, threshold);
        const sum = [...loads.healthy, ...loads.degraded].reduce((a, b) => a + b, 0);
        const someone = all.some((one) => one.healthy + one.degraded > 0) || (threshold > 0 && all.some((one) => one.total > 0));
        expect(sum).toBe(someone ? 100 : 0);
        expect(Math.min(...loads.healthy, ...loads.degraded)).toBeGreaterThanOrEqual(0);
      }),
    );
  });
});
