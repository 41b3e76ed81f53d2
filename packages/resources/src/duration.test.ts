import { expect, it } from 'vitest';
import { durationMs } from './duration.ts';

it.each([
  ['1.5s', 1500],
  ['250ms', 250],
  ['1h30m', 5_400_000],
  ['-1s', -1000],
  ['0', 0],
  ['0s', 0],
  ['10us', 0.01],
  ['.5s', 500],
  ['1s1s', 2000],
])('reads %s as %d ms', (text, expected) => expect(durationMs(text)).toBeCloseTo(expected));

it.each(['', '1', 's', '1 s', '1d', 'apple', '--1s', '1s ', `${'1'.repeat(100)}s`])('takes %j for no duration', (text) =>
  expect(durationMs(text)).toBeUndefined(),
);
