import { expect, test } from 'vitest';
import { duration, milliseconds, percent, perSecond, serviceName } from './text.ts';

test.each([
  [1, '100 %'],
  [0.99999, '99.9 %'],
  [0.5, '50.0 %'],
  [0.00001, '0.1 %'],
  [0, '0 %'],
  [null, '–'],
])('the share %s is written %s', (ratio, text) => {
  expect(percent(ratio)).toBe(text);
});

test.each([
  [null, '–'],
  [0.42, '0.4 ms'],
  [9.96, '10.0 ms'],
  [42.4, '42 ms'],
  [2340, '2.34 s'],
])('%s milliseconds are written %s', (ms, text) => {
  expect(milliseconds(ms)).toBe(text);
});

test.each([
  [0, '0.0/s'],
  [36.64, '36.6/s'],
  [640.4, '640/s'],
  [12_340, '12.3k/s'],
])('%s requests a second are written %s', (rate, text) => {
  expect(perSecond(rate)).toBe(text);
});

test('a time that is over is no negative time', () => {
  expect(duration(-5000)).toBe('0 s');
  expect(duration(86_400_000)).toBe('24 h');
});

test('the default namespace goes without saying', () => {
  expect(serviceName({ service: 'web', namespace: 'default' })).toBe('web');
  expect(serviceName({ service: 'web', namespace: 'shop' })).toBe('web.shop');
});
