import { availableParallelism } from 'node:os';
import { expect, test } from 'vitest';
import { parseConcurrency } from './concurrency.ts';

test('processes of a proxy', () => {
  expect([parseConcurrency('1'), parseConcurrency('4'), parseConcurrency('auto')]).toEqual([1, 4, availableParallelism()]);
  for (const text of ['', '0', '-1', '1.5', 'many', '257']) expect(() => parseConcurrency(text)).toThrow(`--concurrency ${text}`);
});
