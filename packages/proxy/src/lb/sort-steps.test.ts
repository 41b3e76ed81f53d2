import { atOnce } from '@outrigger/xds/slices';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { sortedPositions } from './sort-steps.ts';

it('sorts as a stable sort does, whatever the length', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 3_000 }), fc.integer({ min: 1, max: 2_000 }), fc.integer(), (count, values, seed) => {
      const numbers = Array.from({ length: count }, (_, index) => (Math.imul(index + 1, seed | 1) >>> 3) % values);
      const sorted = atOnce(sortedPositions(count, (a, b) => numbers[a]! - numbers[b]!));
      expect([...sorted]).toEqual(Array.from(numbers.keys()).sort((a, b) => numbers[a]! - numbers[b]!));
    }),
  );
});

it('pauses often enough', () => {
  let compared = 0;
  let most = 0;
  const steps = sortedPositions(100_000, (a, b) => {
    compared += 1;
    return ((a * 7919) % 100_003) - ((b * 7919) % 100_003);
  });
  while (steps.next().done !== true) {
    most = Math.max(most, compared);
    compared = 0;
  }
  expect(most).toBeLessThan(512 * 10);
});
