import { describe, expect, test } from 'vitest';
import { covers, fullHost, hostsOverlap } from './hosts.ts';

describe('hosts', () => {
  test.each([
    ['reviews', 'reviews.default.svc.cluster.local'],
    ['Reviews', 'reviews.default.svc.cluster.local'],
    ['reviews.other', 'reviews.other'],
    ['API.example.com', 'api.example.com'],
    ['*.example.com', '*.example.com'],
    ['*', '*'],
  ])('%s in a resource of default is %s', (host, full) => {
    expect(fullHost(host, 'default', 'cluster.local')).toBe(full);
  });

  test.each([
    ['a.b.c', 'a.b.c', true],
    ['*', 'a.b.c', true],
    ['*', '*.c', true],
    ['*.b.c', 'a.b.c', true],
    ['*.b.c', '*.a.b.c', true],
    ['*.b.c', '*.b.c', true],
    ['*b.c', 'ab.c', true],
    ['*.b.c', 'b.c', false],
    ['*.b.c', '*.c', false],
    ['*.x', 'a.b.c', false],
    ['b.c', 'a.b.c', false],
  ])('%s covers %s: %s', (pattern, host, expected) => {
    expect(covers(pattern, host)).toBe(expected);
    expect([hostsOverlap(pattern, host), hostsOverlap(host, pattern)]).toEqual(expected || covers(host, pattern) ? [true, true] : [false, false]);
  });
});
