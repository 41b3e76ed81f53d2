import type { JsonObject } from '@bufbuild/protobuf';
import { atOnce } from '@outrigger/xds/slices';
import { describe, expect, it } from 'vitest';
import { listener, routeTo } from '../testing/messages.ts';
import { compileListener, listenerSteps } from './compile-listener.ts';

function errorsOf(filterChainMatch: JsonObject): string[] {
  const message = listener('inbound', { routes: [routeTo('web')], chain: { filterChainMatch } });
  const compiled = compileListener(message, 'node');
  return compiled.ok ? [] : compiled.errors.map(({ path }) => path);
}

it('compiles routes that stand inside it in steps', () => {
  const routes = Array.from({ length: 500 }, (_, index) => ({ ...routeTo('web'), match: { prefix: `/part-${index}/` } }));
  const steps = listenerSteps(listener('inbound', { routes }), 'node');
  let count = 0;
  // Each route is decoded, compiled and entered into the index.
  for (let step = steps.next(); step.done !== true; step = steps.next()) count += 1;
  expect(count).toBeGreaterThan(3 * routes.length);
});

it('says of routes that stand inside it which one is wrong', () => {
  const routes = Array.from({ length: 500 }, (_, index) => ({ ...routeTo('web'), match: index === 450 ? {} : { prefix: `/part-${index}/` } }));
  const compiled = atOnce(listenerSteps(listener('inbound', { routes }), 'node'));
  expect(compiled.ok ? [] : compiled.errors.map(({ path }) => path)).toEqual([expect.stringContaining('route_config.virtual_hosts[0].routes[450].match')]);
});

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
