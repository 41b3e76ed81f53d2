import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { BUCKET_COUNT, bucketIndex, bucketUpperBound, Histogram, ISTIO_EDGES, quantileOfBuckets } from './histogram.ts';

const value = fc.double({ min: 0.001, max: 1e8, noNaN: true });

function histogramOf(values: readonly number[]): Histogram {
  const histogram = new Histogram();
  for (const one of values) histogram.record(one);
  return histogram;
}

function exactQuantile(values: readonly number[], q: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(q * sorted.length) - 1)]!;
}

const shape = (histogram: Histogram) => ({
  filled: [...histogram.filled()],
  count: histogram.count,
  edges: ISTIO_EDGES.map((_, i) => histogram.cumulative(i)),
});

describe('buckets', () => {
  it('hold their value between their bounds', () => {
    fc.assert(
      fc.property(fc.oneof(value, fc.double({ min: 1e6, max: 1e12, noNaN: true })), (one) => {
        const index = bucketIndex(one);
        const tolerance = one * 1e-9;
        if (index < BUCKET_COUNT - 1) expect(one).toBeLessThan(bucketUpperBound(index) + tolerance);
        if (index > 0 && index < BUCKET_COUNT - 1) expect(one).toBeGreaterThanOrEqual(bucketUpperBound(index - 1) - tolerance);
      }),
    );
  });

  it('ascend', () => {
    for (let i = 1; i < BUCKET_COUNT; i++) expect(bucketUpperBound(i)).toBeGreaterThan(bucketUpperBound(i - 1));
  });

  it.each([
    [0, 0],
    [-5, 0],
    [Number.NaN, 0],
    [Number.POSITIVE_INFINITY, BUCKET_COUNT - 1],
  ])('take %d', (one, index) => {
    expect(bucketIndex(one)).toBe(index);
  });
});

describe('quantiles', () => {
  it.each([0.5, 0.9, 0.99])('p%d are within 5 %%', (q) => {
    fc.assert(
      fc.property(fc.array(fc.double({ min: 0.05, max: 1e6, noNaN: true }), { minLength: 1, maxLength: 300 }), (values) => {
        const exact = exactQuantile(values, q);
        expect(Math.abs(histogramOf(values).quantile(q) - exact) / exact).toBeLessThan(0.05);
      }),
    );
  });

  it('are not there without values', () => {
    expect(new Histogram().quantile(0.5)).toBeNaN();
  });
});

it('merged histograms are as if all values had been recorded in one', () => {
  fc.assert(
    fc.property(fc.array(value), fc.array(value), (left, right) => {
      const merged = histogramOf(left);
      merged.merge(histogramOf(right));
      expect(shape(merged)).toEqual(shape(histogramOf([...left, ...right])));
    }),
  );
});

it('counts below its edges exactly', () => {
  const histogram = histogramOf([0.5, 0.5001, 10, 10.001, 4_000_000]);
  expect(ISTIO_EDGES.map((_, i) => histogram.cumulative(i)).slice(0, 5)).toEqual([1, 2, 2, 3, 4]);
  expect(histogram.cumulative(ISTIO_EDGES.length - 1)).toBe(4);
  expect(histogram.count).toBe(5);
});

describe('quantile of Prometheus buckets', () => {
  it.each([
    [0.5, 10],
    [0.25, 5],
    [0.75, 15],
    [1, 20],
  ])('%d', (q, expected) => {
    const buckets = [
      [10, 50],
      [20, 100],
      [Number.POSITIVE_INFINITY, 100],
    ] as const;
    expect(quantileOfBuckets(buckets, q)).toBe(expected);
  });

  it('above the last edge is the last edge', () => {
    expect(
      quantileOfBuckets(
        [
          [10, 1],
          [Number.POSITIVE_INFINITY, 10],
        ],
        0.99,
      ),
    ).toBe(10);
    expect(quantileOfBuckets([], 0.5)).toBeNaN();
  });
});
