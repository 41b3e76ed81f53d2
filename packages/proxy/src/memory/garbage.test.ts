import { expect, it } from 'vitest';
import { giveBackMemory, ProcessGarbage } from './garbage.ts';

it.each([
  ['ProcessGarbage', () => new ProcessGarbage().collect(0, 0)],
  ['giveBackMemory', giveBackMemory],
])('%s collects what nobody holds any more', async (_name, collect) => {
  const held = new Array(1_000).fill(0).map((_, index) => ({ index }));
  const lost = new WeakRef({ index: -1 });
  const kept = new WeakRef(held[7]!);
  // A WeakRef holds its target for the rest of the turn.
  await new Promise((resolve) => setImmediate(resolve));
  collect();
  expect([lost.deref(), kept.deref()?.index, held.length]).toEqual([undefined, 7, 1_000]);
});

it('is not collected for one proxy when it just was for another', () => {
  const garbage = new ProcessGarbage();
  expect([1_000, 5_000, 11_000, 11_001].map((nowMs) => garbage.collect(nowMs, 10_000))).toEqual([true, false, true, false]);
  expect(garbage.collect(11_001, 0)).toBe(true);
});
