import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { DomainIndex } from './domain-index.ts';

function indexOf(domains: readonly string[], ignorePort = false): DomainIndex<string> {
  const index = new DomainIndex<string>(ignorePort);
  for (const domain of domains) index.add(domain, domain);
  return index;
}

describe('virtual host by domain', () => {
  const domains = ['order-service', 'order-service:8080', '*.example.com', '*-bar.example.com', '*.com', 'foo.*', 'foo.example.*', '*'];
  it.each([
    ['order-service', 'order-service'],
    ['ORDER-Service', 'order-service'],
    ['order-service:8080', 'order-service:8080'],
    ['order-service:8081', '*'],
    ['a.example.com', '*.example.com'],
    ['a-bar.example.com', '*-bar.example.com'],
    ['.example.com', '*.com'],
    ['foo.example.org', 'foo.example.*'],
    ['foo.net', 'foo.*'],
    ['foo.', '*'],
    ['foo.com', '*.com'],
    ['', '*'],
  ])('%j is served by %j', (host, expected) => {
    expect(indexOf(domains).find(host)).toBe(expected);
  });

  it('finds nothing without a catch-all', () => {
    expect(indexOf(['a']).find('b')).toBeNull();
  });

  it.each([
    ['a:80', 'a'],
    ['[::1]:80', '[::1]'],
    ['[::1]', '[::1]'],
  ])('leaves the port of %j aside where it does not count', (host, expected) => {
    expect(indexOf(['a', '[::1]'], true).find(host)).toBe(expected);
  });

  it('refuses a domain that is taken, in any case', () => {
    const index = indexOf(['a', '*.b', 'c.*', '*']);
    for (const domain of ['A', '*.B', 'c.*', '*']) expect(index.add(domain, domain)).toBe(false);
  });

  it('equals a search through all domains', () => {
    const label = fc.constantFrom('a', 'b', 'a.b', 'a.a.b', 'b.a', 'ab', 'ba.b');
    const domain = fc.oneof(
      label,
      label.map((text) => `*.${text}`),
      label.map((text) => `${text}.*`),
      fc.constant('*'),
    );
    fc.assert(
      fc.property(fc.uniqueArray(domain, { maxLength: 8 }), label, (all, host) => {
        const wins = (kind: (name: string) => boolean): string | undefined => all.filter(kind).sort((x, y) => y.length - x.length)[0];
        const expected =
          wins((name) => name === host) ??
          wins((name) => name !== '*' && name.startsWith('*') && host.endsWith(name.slice(1)) && host.length > name.length - 1) ??
          wins((name) => name !== '*' && name.endsWith('*') && host.startsWith(name.slice(0, -1)) && host.length > name.length - 1) ??
          wins((name) => name === '*') ??
          null;
        expect(indexOf(all).find(host)).toBe(expected);
      }),
    );
  });
});
