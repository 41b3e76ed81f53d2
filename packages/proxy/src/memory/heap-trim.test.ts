import { expect, it } from 'vitest';
import { HeapTrim } from './heap-trim.ts';

const MB = 1024 * 1024;

/** A process that weighs `atRest` once all has been given back. */
function scene(atRest: number) {
  const state = { rss: 50 * MB, busy: 0, done: [] as string[] };
  const trim = new HeapTrim({
    rssBytes: () => state.rss,
    busyRatio: () => state.busy,
    collect: () => {
      state.done.push('collect');
      state.rss = Math.min(state.rss, atRest);
    },
    trim: () => {
      state.done.push('trim');
      state.rss = Math.min(state.rss, atRest);
      return Promise.resolve();
    },
  });
  return { state, trim };
}

it('collects what a start has left once the process is idle', async () => {
  const { state, trim } = scene(42 * MB);
  state.busy = 0.05;
  await trim.look();
  expect(state.done).toEqual([]);
  state.busy = 0.01;
  await trim.look();
  await trim.look();
  expect(state.done).toEqual(['collect']);
});

it.each([
  ['idle', 0.01, ['collect', 'trim']],
  ['calm', 0.05, ['trim']],
  ['busy', 0.6, []],
])('gives memory back after a burst as the process is then: %s', async (_name, busy, expected) => {
  const { state, trim } = scene(42 * MB);
  await trim.look();
  state.done = [];
  Object.assign(state, { rss: 90 * MB, busy });
  await trim.look();
  expect(state.done).toEqual(expected);
});

it('lets be what does not get smaller, until it has grown again', async () => {
  const { state, trim } = scene(88 * MB);
  await trim.look();
  state.rss = 90 * MB;
  await trim.look();
  await trim.look();
  const { length } = state.done;
  state.rss = 95 * MB;
  await trim.look();
  expect(state.done).toHaveLength(length);
  state.rss = 97 * MB;
  await trim.look();
  expect(state.done.length).toBeGreaterThan(length);
});
