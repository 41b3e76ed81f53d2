import { describe, expect, it } from 'vitest';
import { ipFamily } from './ip.ts';
import { parseRequestUrl } from './url.ts';

describe('ipFamily', () => {
  it.each(['10.0.0.1', '0.0.0.0', '255.255.255.255'])('%s is IPv4', (text) => expect(ipFamily(text)).toBe(4));
  it.each(['::', '::1', '2001:db8::', '1:2:3:4:5:6:7:8', '::ffff:10.0.0.1', 'fe80::1:2'])('%s is IPv6', (text) => expect(ipFamily(text)).toBe(6));
  it.each(['', '10.0.0', '256.0.0.1', '01.2.3.4', '1:2:3', ':::', '1::2::3', '1:2:3:4:5:6:7:8:9', 'fe80::1%eth0', 'g::', 'example.com'])('%j is none', (text) =>
    expect(ipFamily(text)).toBeUndefined(),
  );
});

describe('parseRequestUrl', () => {
  it.each([
    ['http://example.com', 'http', 'example.com', ''],
    ['HTTPS://example.com:8443/a?b', 'https', 'example.com', '8443'],
    ['oci://ghcr.io/a/b:v1', 'oci', 'ghcr.io', ''],
    ['file:///etc/x', 'file', '', ''],
    ['http://[::1]:80/', 'http', '::1', '80'],
    ['/path', '', '', ''],
    ['example.com:80/x', 'example.com', '', ''],
  ])('%s', (text, scheme, hostname, port) => expect(parseRequestUrl(text)).toMatchObject({ scheme, hostname, port }));
  it.each(['', 'example', 'example.com/x', ':x', 'http://a b/', 'http://a:port/', 'hTPp\\\blah', 'http://a/%zz', 'http://[::1'])('refuses %j', (text) =>
    expect(parseRequestUrl(text)).toBeUndefined(),
  );
});
