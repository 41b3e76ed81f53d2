import { covers } from '@outrigger/resources';
import { describe, expect, test } from 'vitest';
import { callNames, coveringHosts, meantHosts, parseAuthority } from './hosts.ts';

describe('hosts', () => {
  test.each([
    ['a', ['a.ns.svc.cluster.local', 'a']],
    ['a.b', ['a.b', 'a.b.svc.cluster.local']],
    ['a.b.svc', ['a.b.svc', 'a.b.svc.cluster.local']],
    ['api.example.com', ['api.example.com']],
    ['api.example.com.', ['api.example.com']],
  ])('an application that says %s may mean %j', (host, meant) => {
    expect(meantHosts(host, 'ns', 'cluster.local')).toEqual(meant);
  });

  test.each([
    ['a.b.c', ['a.b.c', '*.b.c', '*.c', '*']],
    ['*.b.c', ['*.b.c', '*.c', '*']],
    ['a', ['a', '*']],
    ['*', ['*']],
  ])('%s is covered by %j', (host, all) => {
    expect(coveringHosts(host)).toEqual(all);
    for (const pattern of all) expect(covers(pattern, host)).toBe(true);
    expect(covers('*.x', host)).toBe(false);
  });

  test('a service is called by its short names in its own namespace only', () => {
    const service = { hostname: 'a.default.svc.cluster.local', addresses: ['10.0.0.1', 'fd00::1', '10.0.0.0/8'] };
    expect(callNames(service, 'default', 'cluster.local')).toEqual(['a', 'a.default', 'a.default.svc', 'a.default.svc.cluster.local', '10.0.0.1', '[fd00::1]']);
    expect(callNames(service, 'other', 'cluster.local')[0]).toBe('a.default');
    expect(callNames({ hostname: 'api.example.com', addresses: [] }, 'default', 'cluster.local')).toEqual(['api.example.com']);
  });

  test.each([
    ['Order:8080', { host: 'order', port: 8080 }],
    ['order', { host: 'order', port: undefined }],
    ['[::1]:80', { host: '[::1]', port: 80 }],
    ['order:0', undefined],
    ['order:99999', undefined],
    ['a b', undefined],
    ['user@order:80', undefined],
    ['', undefined],
  ])('the authority %s', (authority, parsed) => {
    expect(parseAuthority(authority)).toEqual(parsed);
  });
});
