import type { LocalityLoadBalancerSetting } from '@outrigger/resources';
import { expect, it } from 'vitest';
import { placeLocalities } from './locality.ts';

const endpoint = (name: string, locality: string, labels: Record<string, string> = {}) => ({
  endpoint: { metadata: { filterMetadata: { name: { name } } } },
  locality,
  labels,
});
const endpoints = [
  endpoint('near', 'eu/a/1', { version: 'v1', app: 'x' }),
  endpoint('zone', 'eu/a/2', { version: 'v2', app: 'x' }),
  endpoint('region', 'eu/b/1', { version: 'v1', app: 'y' }),
  endpoint('far', 'us/a/1', { version: 'v1', app: 'x' }),
];

function priorities(setting: LocalityLoadBalancerSetting, labels: Record<string, string> = {}): Record<string, number> {
  const groups = placeLocalities(endpoints, { locality: 'eu/a/1', labels }, setting);
  return Object.fromEntries(
    groups.flatMap(({ priority = 0, lbEndpoints = [] }) =>
      lbEndpoints.map((one) => [(one as ReturnType<typeof endpoint>['endpoint']).metadata.filterMetadata.name.name, priority]),
    ),
  );
}

it.each<readonly [string, LocalityLoadBalancerSetting, Record<string, string>, Record<string, number>]>([
  ['by distance', {}, {}, { near: 0, zone: 1, region: 2, far: 3 }],
  ['not at all', { enabled: false }, {}, { near: 0, zone: 0, region: 0, far: 0 }],
  ['by labels in their order', { failoverPriority: ['version', 'app'] }, { version: 'v1', app: 'x' }, { near: 0, far: 0, region: 1, zone: 2 }],
  ['by values of the list', { failoverPriority: ['version=v2'] }, { version: 'v1' }, { zone: 0, near: 1, region: 1, far: 1 }],
  [
    'by parts of the locality',
    { failoverPriority: ['topology.kubernetes.io/region', 'topology.kubernetes.io/zone'] },
    {},
    { near: 0, zone: 0, region: 1, far: 2 },
  ],
])('%s', (_, setting, labels, expected) => {
  expect(priorities(setting, labels)).toEqual(expected);
});

it('gives shares where it distributes, and no priorities', () => {
  const groups = placeLocalities(endpoints, { locality: 'eu/a/1', labels: {} }, { distribute: [{ from: 'eu/*', to: { 'eu/a/*': 80, 'us/*': 20 } }] });
  expect(groups.map(({ locality, loadBalancingWeight, priority }) => [locality?.region, loadBalancingWeight, priority])).toEqual([
    ['eu', 4000, 0],
    ['eu', 4000, 0],
    ['us', 2000, 0],
  ]);
});

it('keeps endpoints that are called where others fail behind those, wherever they are', () => {
  const spare = (name: string, locality: string, priority: number) => ({ ...endpoint(name, locality), priority });
  const all = [spare('second', 'eu/a/1', 20), spare('far', 'us/a/1', 10), spare('near', 'eu/a/1', 10)];
  const placed = (setting?: LocalityLoadBalancerSetting) =>
    placeLocalities(all, { locality: 'eu/a/1', labels: {} }, setting).map(({ locality, priority }) => [locality?.region, priority]);
  expect(placed()).toEqual([
    ['eu', 0],
    ['eu', 1],
    ['us', 0],
  ]);
  expect(placed({})).toEqual([
    ['eu', 0],
    ['eu', 2],
    ['us', 1],
  ]);
});

it('gives no priority above those that an Envoy takes, and leaves no gap', () => {
  const all = Array.from({ length: 200 }, (_, index) => ({ ...endpoint(`${index}`, ''), priority: index * 300 }));
  const groups = placeLocalities(all, { locality: '', labels: {} }, undefined);
  expect([...new Set(groups.map(({ priority }) => priority))]).toEqual(Array.from({ length: 129 }, (_, index) => index));
  // What nothing is given to has no priority either.
  const some = [
    { ...endpoint('a', 'eu'), priority: 0 },
    { ...endpoint('b', 'us'), priority: 1 },
  ];
  const left = placeLocalities(some, { locality: 'eu', labels: {} }, { distribute: [{ from: 'eu', to: { us: 100 } }] });
  expect(left.map(({ locality, priority }) => [locality?.region, priority])).toEqual([['us', 0]]);
});
