import { expect, it } from 'vitest';
import { applyUnderscores } from './underscores.ts';

const headers = ['a', '1', 'x_y', '2', 'b', '_', 'z_', '3'];

it('keeps, drops or refuses headers whose names have a "_"', () => {
  expect(applyUnderscores(headers, 'allow')).toBe(headers);
  expect(applyUnderscores(headers, 'drop')).toEqual(['a', '1', 'b', '_']);
  expect(applyUnderscores(headers, 'reject')).toBeNull();
});

it('leaves a list without one as it is', () => {
  const plain = ['a', 'x_y'];
  expect(applyUnderscores(plain, 'drop')).toBe(plain);
  expect(applyUnderscores(plain, 'reject')).toBe(plain);
});
