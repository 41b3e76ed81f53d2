import { expect, it } from 'vitest';
import { collectGarbage, giveBackMemory } from './garbage.ts';

it.each([
  ['collectGarbage', collectGarbage],
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
