import { expect, test } from 'vitest';
import { type PlainMatch, plainMatch, regexSteps } from './regex-cost.ts';

test.each<[string, PlainMatch | undefined]>([
  ['/a/b', { kind: 'exact', text: '/a/b' }],
  ['^/a$', { kind: 'exact', text: '/a' }],
  ['/a\\.html', { kind: 'exact', text: '/a.html' }],
  ['/a/.*', { kind: 'prefix', text: '/a/' }],
  ['^/a-1/.*$', { kind: 'prefix', text: '/a-1/' }],
  ['/a.html', undefined],
  ['/a\\.*', undefined],
  ['/a\\d', undefined],
  ['/(a|b)', undefined],
  ['.*', undefined],
  ['/a?', undefined],
])('%s is %o', (regex, expected) => {
  expect(plainMatch(regex)).toEqual(expected);
});

test.each<[string, number]>([
  ['abc', 3],
  ['a{10}', 10],
  ['(ab){3,5}', 10],
  ['((a{10}b){10}c){10}', 1_110],
  ['[a{9}]x', 2],
  ['\\{9}', 3],
  ['a|b*', 2],
  ['(((a{1000}){1000}){1000}){1000}', 1_000_000],
])('%s has %i steps', (regex, steps) => {
  expect(regexSteps(regex)).toBe(steps);
});
