import { fromBinary, fromJson, type JsonObject, toBinary } from '@bufbuild/protobuf';
import { RouteConfigurationSchema } from '@outrigger/xds/protos/envoy/config/route/v3/route';
import { expect, test } from 'vitest';
import { RequestHead } from '../http/message.ts';
import { compileRouteConfiguration } from './compile-routes.ts';
import type { RouteEntry } from './route-entry.ts';

const POLICY: JsonObject = { header: { headerName: 'X-User' } };

/** A split by weight as it comes off the wire; use_hash_policy is a field that the generated messages have not. */
function split(freshWeight: number, useHashPolicy: boolean, policy = POLICY): RouteEntry {
  const clusters = [
    { name: 'v1', weight: 100 - freshWeight },
    { name: 'v2', weight: freshWeight },
  ];
  const config = fromJson(RouteConfigurationSchema, {
    name: 'r',
    virtualHosts: [{ name: 'v', domains: ['*'], routes: [{ match: { prefix: '/' }, route: { weightedClusters: { clusters }, hashPolicy: [policy] } }] }],
  });
  const action = config.virtualHosts[0]!.routes[0]!.action;
  const specifier = action.case === 'route' ? action.value.clusterSpecifier : undefined;
  if (specifier?.case === 'weightedClusters')
    specifier.value.$unknown = [{ no: 5, wireType: 2, data: useHashPolicy ? Uint8Array.of(2, 8, 1) : Uint8Array.of(0) }];
  const compiled = compileRouteConfiguration(fromBinary(RouteConfigurationSchema, toBinary(RouteConfigurationSchema, config)));
  if (!compiled.ok) throw new Error(JSON.stringify(compiled.errors));
  return compiled.value.match(request(''), 0)!;
}

function request(user: string): RequestHead {
  return Object.assign(new RequestHead(), { method: 'GET', path: '/', authority: 'a', headers: user === '' ? [] : ['x-user', user] });
}

const USERS = Array.from({ length: 2_000 }, (_, index) => `user-${index}`);
const chosen = (entry: RouteEntry): ReadonlySet<string> => new Set(USERS.filter((user, index) => entry.pickCluster(request(user), index * 7919).name === 'v2'));

test('who has the same value gets the same cluster, and a greater share takes nobody back', () => {
  const [tenth, half] = [chosen(split(10, true)), chosen(split(50, true))];
  expect(tenth.size / USERS.length).toBeGreaterThan(0.08);
  expect(tenth.size / USERS.length).toBeLessThan(0.12);
  expect(half.size / USERS.length).toBeGreaterThan(0.46);
  expect([...tenth].filter((user) => !half.has(user))).toEqual([]);
  for (const random of [0, 1, 2 ** 31, 2 ** 32 - 1])
    expect(split(10, true).pickCluster(request('user-1'), random).name).toBe(tenth.has('user-1') ? 'v2' : 'v1');
});

test.each([
  ['the request has nothing to hash', split(50, true), ''],
  ['a cookie would be made for it', split(50, true, { cookie: { name: 'sid', ttl: '60s' } }), 'user-1'],
  ['use_hash_policy is false', split(50, false), 'user-1'],
])('the choice is by chance where %s', (_, entry, user) => {
  const names = Array.from({ length: 64 }, (_unused, index) => entry.pickCluster(request(user), Math.imul(index, 0x9e3779b1) >>> 0).name);
  expect(new Set(names)).toEqual(new Set(['v1', 'v2']));
});
