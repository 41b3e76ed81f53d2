import { expect, it } from 'vitest';
import { queryValue } from './query.ts';

it.each<[string, string, string | undefined]>([
  ['/a?x=1&y=2', 'y', '2'],
  ['/a?x=1&x=2', 'x', '1'],
  ['/a?xx=1', 'x', undefined],
  ['/a?x', 'x', ''],
  ['/a?x=', 'x', ''],
  ['/a?y=x=1', 'x', undefined],
  ['/a?x=%20#y=2', 'x', '%20'],
  ['/a?x=1#&y=2', 'y', undefined],
  ['/a', 'x', undefined],
])('query parameter of %j named %j is %j', (path, name, expected) => {
  expect(queryValue(path, name)).toBe(expected);
});
