import { expect, it } from 'vitest';
import { Flag, FrameType } from './frame.ts';
import { FrameLimits } from './frame-limits.ts';

const NONE = {
  consecutiveEmptyFrames: Number.POSITIVE_INFINITY,
  priorityFramesPerStream: Number.POSITIVE_INFINITY,
  windowUpdatesPerDataFrame: Number.POSITIVE_INFINITY,
};

it('counts empty frames in a row, not those that end a stream', () => {
  const limits = new FrameLimits({ ...NONE, consecutiveEmptyFrames: 1 });
  const empty = (flags = 0) => limits.allows(FrameType.DATA, flags, 0, 1, 0);
  expect([empty(), empty(Flag.END_STREAM), empty(), empty()]).toEqual([true, true, true, false]);
  const none = new FrameLimits({ ...NONE, consecutiveEmptyFrames: 0 });
  expect(none.allows(FrameType.CONTINUATION, 0, 0, 1, 0)).toBe(false);
});

it('allows PRIORITY and WINDOW_UPDATE by streams opened and DATA frames sent', () => {
  const limits = new FrameLimits({ ...NONE, priorityFramesPerStream: 1, windowUpdatesPerDataFrame: 2 });
  const priority = (opened: number) => limits.allows(FrameType.PRIORITY, 0, 5, opened, 0);
  expect([priority(0), priority(0), priority(2), priority(2)]).toEqual([true, false, true, false]);
  const update = (opened: number, dataFrames: number) => limits.allows(FrameType.WINDOW_UPDATE, 0, 4, opened, dataFrames);
  for (let i = 0; i < 7; i++) expect(update(1, 0)).toBe(true);
  expect(update(1, 0)).toBe(false);
  expect(update(1, 1)).toBe(true);
});

it('leaves other frames alone', () => {
  const limits = new FrameLimits({ consecutiveEmptyFrames: 0, priorityFramesPerStream: 0, windowUpdatesPerDataFrame: 0 });
  for (let i = 0; i < 10; i++) expect(limits.allows(FrameType.SETTINGS, 0, 0, 0, 0)).toBe(true);
});
