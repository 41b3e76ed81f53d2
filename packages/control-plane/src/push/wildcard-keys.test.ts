import { keys } from '@outrigger/translate';
import { expect, test } from 'vitest';
import { WildcardKeys } from './wildcard-keys.ts';

const names = (...on: string[]) => ({ names: [], keys: new Set(on) });

test('a push looks at clients while the names of one of them hang on what it touches', () => {
  const wildcards = new WildcardKeys();
  const one = names('services', 'sidecar:shop');
  wildcards.replace(undefined, one);
  wildcards.replace(undefined, names('services'));
  const looks = (...touched: string[]): boolean => wildcards.isTouched(new Set(touched));
  expect([looks('instances:orders'), looks('instances:orders', 'services'), looks('sidecar:shop'), looks(keys.settings)]).toEqual([false, true, true, true]);
  wildcards.replace(one, 'failed');
  expect(looks('instances:orders')).toBe(true);
  wildcards.replace('failed', undefined);
  expect([looks('sidecar:shop'), looks('services')]).toEqual([false, true]);
});
