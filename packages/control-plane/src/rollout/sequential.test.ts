import { expect, test } from 'vitest';
import { evidenceAbove, evidenceBelow, lowerBound, scaleOdds, upperBound } from './sequential.ts';
import { seeded } from './testing/simulated.ts';

test('none of many is evidence of little, many of many of much, and nothing of nothing', () => {
  expect(evidenceAbove(0, 0, 0.01)).toBeCloseTo(0);
  expect(evidenceBelow(0, 0, 0.01)).toBeCloseTo(0);
  expect(evidenceAbove(50, 1000, 0.01)).toBeGreaterThan(Math.log(1e6));
  expect(evidenceAbove(10, 1000, 0.01)).toBeLessThan(0);
  expect(evidenceBelow(0, 1000, 0.01)).toBeGreaterThan(Math.log(100));
});

test('bounds hold the measured share between them, and come closer to it with the count', () => {
  const width = (count: number): number => upperBound(count / 100, count, 0.05) - lowerBound(count / 100, count, 0.05);
  for (const count of [100, 1_000, 10_000]) {
    expect(upperBound(count / 100, count, 0.05)).toBeGreaterThan(0.01);
    expect(lowerBound(count / 100, count, 0.05)).toBeLessThan(0.01);
  }
  expect(width(10_000)).toBeLessThan(width(1_000) / 2);
  expect(upperBound(0, 1, 0.01)).toBeGreaterThan(0.99);
  expect([upperBound(0, 0, 0.01), lowerBound(0, 0, 0.01), lowerBound(0, 1, 0.01)]).toEqual([1, 0, 0]);
  expect(scaleOdds(0.5, 4)).toBeCloseTo(0.8);
});

/** Looked at after every request of so many, as no test with a fixed count may be. */
const REQUESTS = 3_000;
const STREAMS = 400;

function everFound(share: number, bound: number, alpha: number, seed: number): number {
  const random = seeded(seed);
  let found = 0;
  for (let stream = 0; stream < STREAMS; stream++) {
    let hits = 0;
    for (let count = 1; count <= REQUESTS; count++) {
      if (random() < share) hits += 1;
      // Only a hit can be what decides it.
      else continue;
      if (evidenceAbove(hits, count, bound) < -Math.log(alpha)) continue;
      found += 1;
      break;
    }
  }
  return found / STREAMS;
}

test('a share that is as allowed is found too large no more often than alpha, however often it is looked at', () => {
  expect(everFound(0.005, 0.005, 0.05, 1)).toBeLessThanOrEqual(0.05);
  expect(everFound(0.1, 0.1, 0.05, 2)).toBeLessThanOrEqual(0.05);
});

test('a share that is six times what is allowed is found', () => {
  expect(everFound(0.03, 0.005, 0.01, 3)).toBeGreaterThan(0.99);
});
