import { describe, expect, it } from 'vitest';
import { ConnectionOrigin } from '../listener/connection-origin.ts';
import { ProxyProtocolFilter } from '../listener/proxy-protocol.ts';
import { OWN_CONNECTION, type ProxiedConnection, proxyHeader } from './proxy-header.ts';

const V4: ProxiedConnection = { sourceHost: '192.0.2.1', sourcePort: 56_324, destinationHost: '198.51.100.1', destinationPort: 443, tlvs: Buffer.alloc(0) };
const V6: ProxiedConnection = { sourceHost: '2001:db8::1', sourcePort: 1, destinationHost: '2001:db8::2', destinationPort: 65_535, tlvs: Buffer.alloc(0) };

describe.each([1, 2] as const)('the header of version %i', (version) => {
  it.each([
    ['IPv4', V4],
    ['IPv6', V6],
  ])('of %s is what a listener reads', (_family, connection) => {
    const origin = new ConnectionOrigin('127.0.0.1', 1, '127.0.0.1', 2);
    const header = proxyHeader(version, connection, 'all');
    const filter = new ProxyProtocolFilter({ v1: true, v2: true, allowWithout: false } as ConstructorParameters<typeof ProxyProtocolFilter>[0]);
    expect(filter.look(header, origin)).toBe(header.length);
    expect([origin.remoteIp, origin.remotePort, origin.localIp, origin.localPort]).toEqual([
      connection.sourceHost,
      connection.sourcePort,
      connection.destinationHost,
      connection.destinationPort,
    ]);
  });

  it.each([
    ['nobody but this proxy', OWN_CONNECTION],
    ['a Unix socket', { ...V4, sourceHost: '/run/x.sock' }],
    ['addresses of two families', { ...V4, destinationHost: '::1' }],
  ])('says nothing of %s', (_what, connection) => {
    const wanted = version === 1 ? 'PROXY UNKNOWN\r\n' : '\r\n\r\n\0\r\nQUIT\n\x20\0\0\0';
    expect(proxyHeader(version, connection, 'all').toString('latin1')).toBe(wanted);
  });
});

it('is the line, and the bytes, of the specification', () => {
  expect(proxyHeader(1, V4, 'all').toString()).toBe('PROXY TCP4 192.0.2.1 198.51.100.1 56324 443\r\n');
  expect(proxyHeader(2, V4, 'all').toString('hex')).toBe('0d0a0d0a000d0a515549540a2111000cc0000201c6336401dc0401bb');
});

it('has the TLVs that came and are to be passed on', () => {
  const connection = { ...V4, tlvs: Buffer.from('0400020909ea000105', 'hex') };
  const tail = (tlvs: Parameters<typeof proxyHeader>[2]): string => proxyHeader(2, connection, tlvs).subarray(14).toString('hex');
  const addresses = 'c0000201c6336401dc0401bb';
  expect(tail('all')).toBe(`0015${addresses}0400020909ea000105`);
  expect(tail(new Set([0xea]))).toBe(`0010${addresses}ea000105`);
  expect(tail(new Set())).toBe(`000c${addresses}`);
});
