import type { JsonObject } from '@bufbuild/protobuf';
import { FastRandom } from '@outrigger/telemetry';
import { describe, expect, it } from 'vitest';
import { LbContext } from './context.ts';
import { Host } from './host.ts';
import { DEFAULT_LB_OPTIONS } from './options.ts';
import { SubsetBalancer, type SubsetOptions, type SubsetSelector } from './subset-balancer.ts';
import { criteriaOf, keysIdOf } from './subset-criteria.ts';

const HOSTS: Readonly<Record<string, JsonObject>> = {
  a: { version: 'v1', stage: 'prod' },
  b: { version: 'v1', stage: 'canary' },
  c: { version: 'v2', stage: 'prod' },
  d: { stage: ['prod', 'dark'] },
};

function selector(keys: string[], fallback: SubsetSelector['fallback'] = null, fallbackKeys: string[] = []): [string, SubsetSelector] {
  return [keysIdOf(keys), { keys, fallback, fallbackKeys: new Set(fallbackKeys) }];
}

function scene(options: Partial<SubsetOptions>, all: Readonly<Record<string, JsonObject>> = HOSTS) {
  const hosts = Object.entries(all).map(([name, metadata]) => {
    const host = new Host(name, 0);
    host.metadata = metadata;
    return host;
  });
  const balancer = new SubsetBalancer(
    { ...DEFAULT_LB_OPTIONS, panicThreshold: 0 },
    {
      selectors: new Map([selector(['version'])]),
      fallback: 'none',
      defaultSubset: {},
      localityWeightAware: false,
      scaleLocalityWeight: false,
      panicModeAny: false,
      listAsAny: false,
      ...options,
    },
    new FastRandom([1, 2, 3, 4]),
  );
  const update = (some: readonly Host[]): void => balancer.update({ hosts: some, localityWeights: new Map(), overprovisioning: 1.4 });
  update(hosts);
  const reach = (match?: JsonObject): string => {
    const context = new LbContext();
    context.subset = criteriaOf(match);
    const found = new Set(Array.from({ length: 40 }, () => balancer.pick(context)?.address ?? '-'));
    return [...found].sort().join('');
  };
  return { hosts, balancer, update, reach };
}

describe('a request goes', () => {
  it.each<readonly [string, Partial<SubsetOptions>, JsonObject | undefined, string]>([
    ['to the endpoints of its subset', {}, { version: 'v1' }, 'ab'],
    ['nowhere where its subset is not there', {}, { version: 'v3' }, '-'],
    ['nowhere where no selector has its keys', {}, { stage: 'prod' }, '-'],
    ['nowhere without criteria', {}, undefined, '-'],
    ['anywhere without criteria, by ANY_ENDPOINT', { fallback: 'any' }, undefined, 'abcd'],
    ['anywhere where its subset is not there, by ANY_ENDPOINT', { fallback: 'any' }, { version: 'v3' }, 'abcd'],
    ['to the default subset', { fallback: 'default', defaultSubset: { stage: 'prod' } }, { version: 'v3' }, 'ac'],
    ['to all of them where the default subset asks for nothing', { fallback: 'default' }, undefined, 'abcd'],
    ['nowhere where nobody is in the default subset', { fallback: 'default', defaultSubset: { stage: 'x' } }, undefined, '-'],
    ['anywhere then, in panic mode', { fallback: 'default', defaultSubset: { stage: 'x' }, panicModeAny: true }, undefined, 'abcd'],
    ['by several keys, in whatever order', { selectors: new Map([selector(['stage', 'version'])]) }, { version: 'v1', stage: 'prod' }, 'a'],
    ['where its selector falls back to', { fallback: 'any', selectors: new Map([selector(['version'], 'none')]) }, { version: 'v3' }, '-'],
    ['by fewer keys', { selectors: new Map([selector(['version']), selector(['stage', 'version'], 'keys', ['version'])]) }, { version: 'v2', stage: 'x' }, 'c'],
    [
      'by fewer keys, and on by their selector',
      { selectors: new Map([selector(['version'], 'any'), selector(['stage', 'version'], 'keys', ['version'])]) },
      { version: 'x', stage: 'x' },
      'abcd',
    ],
    ['to who has the value in a list', { listAsAny: true, selectors: new Map([selector(['stage'])]) }, { stage: 'dark' }, 'd'],
    ['not there where a list is one value', { selectors: new Map([selector(['stage'])]) }, { stage: 'dark' }, '-'],
  ])('%s', (_what, options, match, wanted) => {
    expect(scene(options).reach(match)).toBe(wanted);
  });
});

it('a subset whose endpoints are ill is there all the same, and gives nobody', () => {
  const { hosts, balancer, reach } = scene({ fallback: 'any' });
  for (const host of hosts.slice(0, 2)) host.health = 'unhealthy';
  balancer.healthChanged();
  expect(reach({ version: 'v1' })).toBe('-');
});

it('a subset goes with its last endpoint, and comes with a new one', () => {
  const { hosts, update, reach } = scene({ fallback: 'none' });
  update(hosts.filter(({ address }) => address !== 'c'));
  expect(reach({ version: 'v2' })).toBe('-');
  hosts[0]!.metadata = { version: 'v2' };
  update(hosts);
  expect([reach({ version: 'v2' }), reach({ version: 'v1' })]).toEqual(['ac', 'b']);
});

it('the criteria of a weighted cluster stand over those of the route', () => {
  expect(criteriaOf({ a: 1, b: 2 }, { b: 3 })!.id).toBe(criteriaOf({ b: 3, a: 1 })!.id);
  expect(criteriaOf(undefined, {})).toBeNull();
});
