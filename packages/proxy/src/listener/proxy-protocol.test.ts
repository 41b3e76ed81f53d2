import { describe, expect, it } from 'vitest';
import type { ProxyProtocolConfig } from '../xds/listener-config.ts';
import { NO_TLVS } from '../xds/tlv-selection.ts';
import { ConnectionOrigin } from './connection-origin.ts';
import type { Looked } from './listener-filter.ts';
import { ProxyProtocolFilter } from './proxy-protocol.ts';

const SIGNATURE = [0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d, 0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a];
const V4 = [192, 0, 2, 1, 198, 51, 100, 1, 0xdc, 0x04, 0x01, 0xbb];
const V6 = [...Array(15).fill(0), 1, 0x20, 1, 0x0d, 0xb8, ...Array(11).fill(0), 7, 0xdc, 0x04, 0x01, 0xbb];

const v2 = (versionAndCommand: number, family: number, body: readonly number[]): Buffer =>
  Buffer.from([...SIGNATURE, versionAndCommand, family, body.length >> 8, body.length & 255, ...body]);

function look(bytes: Buffer | string, config: Partial<ProxyProtocolConfig> = {}): { readonly looked: Looked; readonly from: string; readonly to: string } {
  const origin = new ConnectionOrigin('127.0.0.1', 80, '127.0.0.9', 9);
  const filter = new ProxyProtocolFilter({ kind: 'proxy-protocol', allowWithout: false, v1: true, v2: true, tlvs: NO_TLVS, ...config });
  const looked = filter.look(Buffer.from(bytes as string), origin);
  expect(origin.directRemoteIp).toBe('127.0.0.9');
  return { looked, from: `${origin.remoteIp} ${origin.remotePort}`, to: `${origin.localIp} ${origin.localPort}` };
}

const AS_IT_IS = { from: '127.0.0.9 9', to: '127.0.0.1 80' };

describe('whom a balancer speaks for', () => {
  const line4 = 'PROXY TCP4 192.0.2.1 198.51.100.1 56324 443\r\n';
  const line6 = 'PROXY TCP6 ::1 2001:db8::7 56324 443\r\n';
  it.each([
    ['version 1, IPv4', `${line4}GET`, line4.length, '192.0.2.1 56324', '198.51.100.1 443'],
    ['version 1, IPv6', line6, line6.length, '::1 56324', '2001:db8::7 443'],
    ['version 2, IPv4', v2(0x21, 0x11, V4), 28, '192.0.2.1 56324', '198.51.100.1 443'],
    ['version 2, IPv6', v2(0x21, 0x21, V6), 52, '::1 56324', '2001:db8::7 443'],
    ['version 2 over datagrams', v2(0x21, 0x12, V4), 28, '192.0.2.1 56324', '198.51.100.1 443'],
    ['version 2 with TLVs', v2(0x21, 0x11, [...V4, 0x04, 0, 2, 9, 9, 0xea, 0, 0]), 36, '192.0.2.1 56324', '198.51.100.1 443'],
  ])('%s', (_name, bytes, looked, from, to) => {
    expect(look(bytes)).toEqual({ looked, from, to });
    for (let length = 0; length < looked; length++) expect(look(Buffer.from(bytes as string).subarray(0, length)).looked).toBe('more');
  });

  it.each([
    ['UNKNOWN, whatever stands behind it', 'PROXY UNKNOWN ffff::1 x\r\n', 25],
    ['LOCAL, a health check of the balancer', v2(0x20, 0x11, V4), 28],
    ['an unspecified family', v2(0x21, 0x00, [1, 2]), 18],
  ])('nobody: %s', (_name, bytes, looked) => {
    expect(look(bytes)).toEqual({ looked, ...AS_IT_IS });
  });
});

it.each([
  ['no header', 'GET / HTTP/1.1\r\n'],
  ['a name for an address', 'PROXY TCP4 localhost 198.51.100.1 56324 443\r\n'],
  ['IPv6 under TCP4', 'PROXY TCP4 ::1 ::1 56324 443\r\n'],
  ['a port beyond 65535', 'PROXY TCP4 192.0.2.1 198.51.100.1 65536 443\r\n'],
  ['a port with a sign', 'PROXY TCP4 192.0.2.1 198.51.100.1 +5 443\r\n'],
  ['a word too many', 'PROXY TCP4 192.0.2.1 198.51.100.1 1 443 x\r\n'],
  ['a line that does not end', `PROXY TCP4 ${'1'.repeat(107)}`],
  ['version 3', v2(0x31, 0x11, V4)],
  ['an unknown command', v2(0x22, 0x11, V4)],
  ['a Unix socket', v2(0x21, 0x31, [...Array(216).fill(0)])],
  ['a transport that is none', v2(0x21, 0x13, V4)],
  ['addresses that are cut short', v2(0x21, 0x11, V4.slice(1))],
  ['a TLV that is longer than the header', v2(0x21, 0x11, [...V4, 4, 0, 9, 1])],
])('refuses %s', (_name, bytes) => {
  expect(look(bytes).looked).toBe('refuse');
});

it('takes a connection without a header as it is, where that is allowed, and then also one of a version that is not', () => {
  expect(look('GET', { allowWithout: true })).toEqual({ looked: 0, ...AS_IT_IS });
  expect(look('PRO', { allowWithout: true }).looked).toBe('more');
  expect(look(v2(0x21, 0x11, V4), { allowWithout: true, v2: false })).toEqual({ looked: 0, ...AS_IT_IS });
  expect(look(v2(0x21, 0x11, V4), { v2: false }).looked).toBe('refuse');
  expect(look('PROXY TCP4 192.0.2.1 198.51.100.1 1 2\r\n', { v1: false }).looked).toBe('refuse');
});

it.each([
  ['all', '0400020909ea000105'],
  [new Set([0xea]), 'ea000105'],
  [new Set<number>(), ''],
] as const)('keeps the TLVs that are to be passed on: %s', (tlvs, expected) => {
  const origin = new ConnectionOrigin('127.0.0.1', 80, '127.0.0.9', 9);
  const filter = new ProxyProtocolFilter({ kind: 'proxy-protocol', allowWithout: false, v1: true, v2: true, tlvs });
  filter.look(v2(0x21, 0x11, [...V4, 0x04, 0, 2, 9, 9, 0xea, 0, 1, 5]), origin);
  expect(origin.tlvs.toString('hex')).toBe(expected);
});
