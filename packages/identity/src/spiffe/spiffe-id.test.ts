import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { formatSpiffeId, isMemberOf, parseSpiffeId, parseWorkloadIdentity } from './spiffe-id.ts';

describe('parseSpiffeId', () => {
  test.each(['spiffe://cluster.local', 'spiffe://cluster.local/ns/default/sa/web', 'spiffe://a_b-c.1/Path/With.Dots/-_', `spiffe://${'a'.repeat(255)}/x`])(
    'accepts %s',
    (text) => {
      expect(parseSpiffeId(text)).toMatchObject({ text });
    },
  );

  test.each([
    ['', 'starts with'],
    ['https://cluster.local/x', 'starts with'],
    ['SPIFFE://cluster.local/x', 'starts with'],
    ['spiffe://', 'has a name'],
    ['spiffe:///x', 'has a name'],
    ['spiffe://Cluster.local/x', 'lower-case'],
    ['spiffe://cluster.local:80/x', 'lower-case'],
    ['spiffe://user@cluster.local/x', 'lower-case'],
    [`spiffe://${'a'.repeat(256)}/x`, '255 bytes'],
    ['spiffe://cluster.local/', 'empty path segment'],
    ['spiffe://cluster.local/x/', 'empty path segment'],
    ['spiffe://cluster.local//x', 'empty path segment'],
    ['spiffe://cluster.local/./x', '"."'],
    ['spiffe://cluster.local/../x', '".."'],
    ['spiffe://cluster.local/x?y', 'letters, digits'],
    ['spiffe://cluster.local/x#y', 'letters, digits'],
    ['spiffe://cluster.local/%41', 'letters, digits'],
    ['spiffe://cluster.local/x y', 'letters, digits'],
    ['spiffe://cluster.local/ü', 'letters, digits'],
    [`spiffe://cluster.local/${'a'.repeat(2048)}`, '2048 bytes'],
  ])('refuses %s', (text, fault) => {
    expect(parseSpiffeId(text)).toEqual({ fault: expect.stringContaining(fault) });
  });
});

describe('parseWorkloadIdentity', () => {
  const label = fc.stringMatching(/^[a-z0-9]([a-z0-9-]{0,20}[a-z0-9])?$/);

  test('gives back what was formatted', () => {
    fc.assert(
      fc.property(label, label, label, (trustDomain, namespace, serviceAccount) => {
        const identity = { trustDomain, namespace, serviceAccount };
        expect(parseWorkloadIdentity(formatSpiffeId(identity))).toEqual(identity);
      }),
    );
  });

  test('formats exactly what it parses, whatever the text', () => {
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom('/', 'ns', 'sa', 'a', '.', '-', 'A', '%', '..', ' ') }), (rest) => {
        const text = `spiffe://td/${rest}`;
        const parsed = parseWorkloadIdentity(text);
        if (!('fault' in parsed)) expect(formatSpiffeId(parsed)).toBe(text);
      }),
    );
  });

  test.each([
    'spiffe://cluster.local',
    'spiffe://cluster.local/ns/default',
    'spiffe://cluster.local/ns/default/sa/web/more',
    'spiffe://cluster.local/sa/web/ns/default',
    'spiffe://cluster.local/ns/Default/sa/web',
    'spiffe://cluster.local/ns/default/sa/-web',
    'spiffe://cluster.local/ns/a.b/sa/web',
    `spiffe://cluster.local/ns/${'a'.repeat(64)}/sa/web`,
    `spiffe://cluster.local/ns/default/sa/${'a'.repeat(254)}`,
  ])('refuses %s', (text) => {
    expect(parseWorkloadIdentity(text)).toHaveProperty('fault');
  });
});

test('membership is of the whole trust domain, not of a prefix', () => {
  expect(isMemberOf('spiffe://cluster.local/ns/default/sa/web', 'cluster.local')).toBe(true);
  expect(isMemberOf('spiffe://cluster.local.evil/ns/default/sa/web', 'cluster.local')).toBe(false);
  expect(isMemberOf('cluster.local', 'cluster.local')).toBe(false);
});
