import { isIPv4, isIPv6 } from 'node:net';
import { create } from '@bufbuild/protobuf';
import { CidrRangeSchema } from '@outrigger/xds/protos/envoy/config/core/v3/address';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { CompileReport } from '../../routing/compile-result.ts';
import { compileCidr, parseIp } from './ip-address.ts';

describe('address', () => {
  it.each([
    ['10.0.0.1', 4, [0, 0, 0, 0x0a000001]],
    ['::1', 6, [0, 0, 0, 1]],
    ['2001:db8::ff00:42:8329', 6, [0x20010db8, 0, 0xff00, 0x00428329]],
    ['::', 6, [0, 0, 0, 0]],
    ['::ffff:10.0.0.1', 4, [0, 0, 0, 0x0a000001]],
    ['1::', 6, [0x10000, 0, 0, 0]],
  ] as const)('%s', (text, family, words) => {
    expect(parseIp(text)).toEqual({ family, words });
  });

  it('takes what the platform takes, and nothing else', () => {
    const group = fc.constantFrom('', '0', 'ffff', '1', '10000', 'g', '10.0.0.1', '256.1.1.1');
    const texts = fc.oneof(
      fc.array(group, { maxLength: 9 }).map((groups) => groups.join(':')),
      fc.ipV4(),
      fc.ipV6(),
      fc.string({ maxLength: 12 }),
    );
    fc.assert(
      fc.property(texts, (text) => {
        expect(parseIp(text).family !== 0).toBe(isIPv4(text) || (isIPv6(text) && !text.includes('%')));
      }),
      { numRuns: 3000 },
    );
  });
});

describe('range', () => {
  it.each([
    ['10.0.0.0', 8, '10.255.0.1', true],
    ['10.0.0.0', 8, '11.0.0.1', false],
    ['10.0.0.7', 24, '10.0.0.200', true],
    ['0.0.0.0', 0, '203.0.113.9', true],
    ['0.0.0.0', 0, '::1', false],
    ['10.0.0.1', 32, '10.0.0.1', true],
    ['10.0.0.1', 32, '10.0.0.2', false],
    ['128.0.0.0', 1, '200.0.0.1', true],
    ['2001:db8::', 32, '2001:db8:1::1', true],
    ['2001:db8::', 33, '2001:db8:8000::1', false],
    ['::', 0, 'ffff::1', true],
  ])('%s/%i and %s: %s', (addressPrefix, prefixLen, address, expected) => {
    const report = new CompileReport();
    expect(compileCidr(create(CidrRangeSchema, { addressPrefix, prefixLen }), 'r', report).contains(parseIp(address))).toBe(expected);
    expect(report.errors).toEqual([]);
  });
});
