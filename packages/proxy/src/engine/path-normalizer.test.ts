import { expect, it } from 'vitest';
import { needsNormalizing, normalizePath } from './path-normalizer.ts';

const istio = { normalizePath: true, mergeSlashes: false, escapedSlashes: 'keep' } as const;

it.each([
  ['/a/b?x=/../y', '/a/b?x=/../y'],
  ['/public/../admin', '/admin'],
  ['/public/%2e%2e/admin', '/admin'],
  ['/a/./b/', '/a/b/'],
  ['/a/..', '/'],
  ['/a\\..\\b', '/b'],
  ['/%61%2Fb%3f', '/a%2Fb%3F'],
  ['/a//b', '/a//b'],
  ['*', '*'],
])('%s becomes %s', (path, expected) => {
  expect(normalizePath(path, istio)).toEqual({ verdict: 'ok', path: expected });
  if (path !== expected) expect(needsNormalizing(path)).toBe(true);
});

it('refuses what leaves the root or holds NUL', () => {
  expect(normalizePath('/../etc', istio)).toEqual({ verdict: 'reject' });
  expect(normalizePath('/a/%2e%2e/..', istio)).toEqual({ verdict: 'reject' });
  expect(normalizePath('/a%00b', istio)).toEqual({ verdict: 'reject' });
});

it('merges slashes and heeds the action for escaped ones', () => {
  expect(normalizePath('//a///b', { ...istio, mergeSlashes: true })).toEqual({ verdict: 'ok', path: '/a/b' });
  expect(normalizePath('/a%2Fb', { ...istio, escapedSlashes: 'reject' })).toEqual({ verdict: 'reject' });
  expect(normalizePath('/a%2F..%5cb?c', { ...istio, escapedSlashes: 'unescape-redirect' })).toEqual({ verdict: 'redirect', path: '/b?c' });
});
