import { expect, it } from 'vitest';
import { HeapTrim } from './native-heap.ts';

const MB = 1024 * 1024;

function scene(trimmedTo: number) {
  const state = { rss: 50 * MB, busy: 0, trims: 0 };
  const trim = new HeapTrim({
    rssBytes: () => state.rss,
    busyRatio: () => state.busy,
    trim: () => {
      state.trims++;
      state.rss = trimmedTo;
      return Promise.resolve();
    },
  });
  return { state, trim };
}

it('gives memory back once a burst is over, not in it', async () => {
  const { state, trim } = scene(55 * MB);
  await trim.look();
  expect(state.trims).toBe(0);
  Object.assign(state, { rss: 90 * MB, busy: 0.6 });
  await trim.look();
  expect(state.trims).toBe(0);
  state.busy = 0.02;
  await trim.look();
  expect(state.trims).toBe(1);
});

it('lets be what does not get smaller, until it has grown again', async () => {
  const { state, trim } = scene(88 * MB);
  await trim.look();
  state.rss = 90 * MB;
  await trim.look();
  await trim.look();
  expect(state.trims).toBe(1);
  state.rss = 95 * MB;
  await trim.look();
  expect(state.trims).toBe(1);
  state.rss = 97 * MB;
  await trim.look();
  expect(state.trims).toBe(2);
});
