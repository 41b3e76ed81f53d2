import type { JsonObject } from '@bufbuild/protobuf';
import { describe, expect, it } from 'vitest';
import { listener, routeTo } from '../testing/messages.ts';
import { compileListener } from './compile-listener.ts';

function errorsOf(filterChainMatch: JsonObject): string[] {
  const message = listener('inbound', { routes: [routeTo('web')], chain: { filterChainMatch } });
  const compiled = compileListener(message, 'node');
  return compiled.ok ? [] : compiled.errors.map(({ path }) => path);
}

describe.each([
  ['prefixRanges', 'prefix_ranges'],
  ['directSourcePrefixRanges', 'direct_source_prefix_ranges'],
  ['sourcePrefixRanges', 'source_prefix_ranges'],
])('%s of a filter chain', (field, name) => {
  const at = `filter_chains[0].filter_chain_match.${name}`;

  it('may be any network of IPv4 or IPv6', () => {
    expect(
      errorsOf({
        [field]: [
          { addressPrefix: '10.0.0.0', prefixLen: 8 },
          { addressPrefix: '2001:db8::', prefixLen: 32 },
        ],
      }),
    ).toEqual([]);
  });

  it.each([
    ['no address', { addressPrefix: 'payment', prefixLen: 8 }],
    ['longer than an address', { addressPrefix: '10.0.0.0', prefixLen: 33 }],
  ])('is an error of the listener where it is %s', (_, range) => {
    expect(errorsOf({ [field]: [{ addressPrefix: '10.0.0.0', prefixLen: 8 }, range] })).toEqual([expect.stringContaining(`${at}[1]`)]);
  });
});
