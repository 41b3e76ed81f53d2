import { describe, expect, it } from 'vitest';
import { FastRandom } from './random.ts';
import { makeRequestId } from './request-id.ts';

describe('request id', () => {
  it('is a UUID of version 4, another one each time', () => {
    const random = new FastRandom([1, 2, 3, 4]);
    const ids = Array.from({ length: 10_000 }, () => makeRequestId(random));
    expect(new Set(ids).size).toBe(10_000);
    for (const id of ids) expect(id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  });
});

describe('random source', () => {
  it('is uniform over its range, and the same for the same seed', () => {
    const random = new FastRandom([5, 6, 7, 8]);
    const buckets = new Array<number>(16).fill(0);
    for (let i = 0; i < 160_000; i++) buckets[random.uint32() >>> 28]!++;
    for (const count of buckets) expect(Math.abs(count - 10_000)).toBeLessThan(500);
    expect(new FastRandom([5, 6, 7, 8]).uint32()).toBe(new FastRandom([5, 6, 7, 8]).uint32());
    expect(new FastRandom([0, 0, 0, 0]).uint32()).toBeGreaterThanOrEqual(0);
  });

  it('does not stay at zero for a seed of zeros', () => {
    const random = new FastRandom([0, 0, 0, 0]);
    expect(new Set(Array.from({ length: 20 }, () => random.uint32())).size).toBeGreaterThan(10);
  });
});
