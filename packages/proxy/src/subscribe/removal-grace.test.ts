import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { RemovalGrace, ROUTES_GRACE_MS } from './removal-grace.ts';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

test('removes after the grace, once, and not what has come back', () => {
  const grace = new RemovalGrace();
  const removed: string[] = [];
  for (const name of ['a', 'b', 'a']) grace.later(name, () => removed.push(name));
  vi.advanceTimersByTime(ROUTES_GRACE_MS - 1);
  expect(removed).toEqual([]);
  grace.keep('b');
  vi.advanceTimersByTime(1);
  expect(removed).toEqual(['a']);
  grace.later('c', () => removed.push('c'));
  grace.close();
  vi.advanceTimersByTime(ROUTES_GRACE_MS);
  expect(removed).toEqual(['a']);
});
