import { create, type MessageInitShape } from '@bufbuild/protobuf';
import { type FilterChainMatchSchema, FilterChainSchema } from '@outrigger/xds/protos/envoy/config/listener/v3/listener_components';
import { describe, expect, it } from 'vitest';
import { TakenMatches } from './taken-matches.ts';

type Match = Exclude<MessageInitShape<typeof FilterChainMatchSchema>, { $typeName: string }>;

const range = (addressPrefix: string, prefixLen: number) => ({ addressPrefix, prefixLen });
const names = (...serverNames: string[]): Match => ({ transportProtocol: 'tls', serverNames });

/** What is left of each, in turn. */
function left(...matches: readonly (Match | undefined)[]): readonly (readonly string[] | undefined)[] {
  const taken = new TakenMatches();
  return matches.map((match) => {
    const made = taken.take(create(FilterChainSchema, match === undefined ? {} : { filterChainMatch: match }));
    return made && [...(made.filterChainMatch?.prefixRanges.map(({ addressPrefix }) => addressPrefix) ?? []), ...(made.filterChainMatch?.serverNames ?? [])];
  });
}

describe('of two chains that match the same the older has it', () => {
  it.each<readonly [string, readonly (Match | undefined)[], readonly (readonly string[] | undefined)[]]>([
    ['everything', [undefined, undefined], [[], undefined]],
    ['a name', [names('a', 'b'), names('b', 'c'), names('a')], [['a', 'b'], ['c'], undefined]],
    ['a name in other ranges', [{ ...names('a'), prefixRanges: [range('10.0.0.0', 8)] }, names('a')], [['10.0.0.0', 'a'], ['a']]],
    [
      'a network, however it is written',
      [{ prefixRanges: [range('10.1.0.0', 8)] }, { prefixRanges: [range('10.2.0.0', 8), range('11.0.0.0', 8)] }],
      [['10.1.0.0'], ['11.0.0.0']],
    ],
    ['a network twice in one', [{ prefixRanges: [range('10.1.0.0', 8), range('10.2.0.0', 8)] }], [['10.2.0.0']]],
    ['a name twice in one', [names('a', 'a')], [['a']]],
    [
      'one of IPv6',
      [{ prefixRanges: [range('1234:1::', 16)] }, { prefixRanges: [range('1234:2::5', 16)] }, { prefixRanges: [range('1234:2::5', 32)] }],
      [['1234:1::'], undefined, ['1234:2::5']],
    ],
    ['requests beside connections', [{ transportProtocol: 'raw_buffer', applicationProtocols: ['h2c'] }, undefined], [[], []]],
  ])('%s', (_, matches, expected) => {
    expect(left(...matches)).toEqual(expected);
  });
});
