import { type DestinationRuleSpec, type HttpApiRouteSpec, type Resource, readResources, type VirtualServiceSpec } from '@outrigger/resources';
import { describe, expect, test } from 'vitest';
import { type OverlayInput, overlay } from './overlay.ts';

const service = { hostname: 'orders.default.svc.cluster.local', name: 'orders', namespace: 'default' };

async function laid(text: string, options: Partial<OverlayInput> = {}) {
  const { resources, problems } = await readResources([{ file: 'mesh.yaml', text }]);
  expect(problems).toEqual([]);
  const result = overlay({ resources, service, from: 'v1', to: 'v2', split: { to: 10, mirror: 0 }, domainSuffix: 'cluster.local', ...options });
  const of = (kind: string) => result.put.filter((resource) => resource.kind === kind);
  const routes = (name: string) =>
    (of('VirtualService').find(({ metadata }) => metadata.name === name) as Resource<VirtualServiceSpec> | undefined)?.spec.http?.map((route) =>
      (route.route ?? []).map(({ destination, weight }) => `${destination.host}/${destination.subset ?? ''} ${weight ?? '-'}`),
    );
  return { ...result, shifted: result.routes, resources, routes, rules: of('DestinationRule') as Resource<DestinationRuleSpec>[] };
}

const OWN = 'outrigger-rollout-orders';
const virtualService = (http: string, more = 'hosts: [orders]', name = 'orders') => `apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: ${name}, namespace: default}
spec:
  ${more}
  http: ${http}
`;
const rule = (spec: string, name = 'orders', namespace = 'default') => `apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: ${name}, namespace: ${namespace}}
spec: {${spec}}
`;

test('where nobody has written anything, there is a route and a rule of its own', async () => {
  const { routes, rules, conflict, shifted } = await laid('');
  expect(conflict).toBeUndefined();
  expect(routes(OWN)).toEqual([['orders.default.svc.cluster.local/v1 9000', 'orders.default.svc.cluster.local/v2 1000']]);
  expect(rules.map(({ spec }) => spec.subsets)).toEqual([
    [
      { name: 'v1', labels: { version: 'v1' } },
      { name: 'v2', labels: { version: 'v2' } },
    ],
  ]);
  expect(shifted).toEqual(['every call of orders']);
});

test('of somebody’s VirtualService each route that leads there is split, as a copy', async () => {
  const text = virtualService(`
    - match: [{uri: {prefix: /beta}}]
      route: [{destination: {host: orders, subset: v2}}]
    - match: [{uri: {prefix: /both}}]
      route: [{destination: {host: orders.default.svc.cluster.local, port: {number: 8080}}, weight: 60}, {destination: {host: other}, weight: 40}]
    - match: [{uri: {prefix: /other}}]
      route: [{destination: {host: other}}]
    - timeout: 3s
      route: [{destination: {host: orders, subset: v1}}]
`);
  const { routes, resources, put, conflict, shifted } = await laid(text);
  expect(conflict).toBeUndefined();
  expect(routes('orders')).toEqual([
    ['orders/v2 -'],
    ['orders.default.svc.cluster.local/v1 540000', 'orders.default.svc.cluster.local/v2 60000', 'other/ 400000'],
    ['other/ -'],
    ['orders/v1 9000', 'orders/v2 1000'],
  ]);
  expect(routes(OWN)).toBeUndefined();
  expect(shifted).toEqual(['VirtualService default/orders spec.http[1]', 'VirtualService default/orders spec.http[3]']);
  const written = resources[0] as Resource<VirtualServiceSpec>;
  expect(written.spec.http?.[3]?.route).toEqual([{ destination: { host: 'orders', subset: 'v1' } }]);
  expect(put.find(({ kind }) => kind === 'VirtualService')).not.toBe(written);
});

test('a split of 100 and 0 between the two, as other tools want it written, is no split', async () => {
  const { routes, conflict } = await laid(
    virtualService('[{route: [{destination: {host: orders, subset: v1}, weight: 100}, {destination: {host: orders, subset: v2}, weight: 0}]}]'),
  );
  expect(conflict).toBeUndefined();
  expect(routes('orders')).toEqual([['orders/v1 900000', 'orders/v2 100000']]);
});

describe('it cannot be kept, and says why, where', () => {
  test.each([
    [
      'a route splits the two itself',
      virtualService('[{route: [{destination: {host: orders, subset: v1}, weight: 90}, {destination: {host: orders, subset: v2}, weight: 10}]}]'),
      'VirtualService default/orders spec.http[0] splits orders between v1 and v2 itself',
    ],
    [
      'one part of a route has a subset and another has none',
      virtualService('[{route: [{destination: {host: orders, subset: v3}, weight: 90}, {destination: {host: orders}, weight: 10}]}]'),
      'with a subset and without one',
    ],
    ['no route leads there', virtualService('[{route: [{destination: {host: other}}]}]'), 'no HTTP route leads to orders.default.svc.cluster.local'],
  ])('%s', async (_, text, reason) => {
    expect((await laid(text)).conflict).toContain(reason);
  });
});

test('a route of Gateway API has its references to the service split, within the 32 bits that weights may have', async () => {
  const { routes, put, ...result } = await laid(
    `apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: shop, namespace: default}
spec:
  parentRefs: [{name: edge}]
  rules:
    - backendRefs: [{name: orders, port: 8080, weight: 3}, {name: other, port: 8080}]
    - backendRefs: [{name: other, port: 8080}]
    - backendRefs: [{name: orders, port: 8080, weight: 1000000}]
`,
    { split: { to: 10, mirror: 5 }, sticky: { header: 'x-user' } },
  );
  const rules = (put.find(({ kind }) => kind === 'HTTPRoute') as Resource<HttpApiRouteSpec>).spec.rules ?? [];
  const split = (old: number, fresh: number) => ({
    subsets: [
      { name: 'v1', weight: old },
      { name: 'v2', weight: fresh },
    ],
    mirror: { subset: 'v2', percent: 5 },
    sticky: { header: 'x-user' },
  });
  expect(rules.map(({ backendRefs }) => backendRefs)).toMatchObject([
    [
      { name: 'orders', weight: 30_000, split: split(27_000, 3_000) },
      { name: 'other', weight: 10_000 },
    ],
    [{ name: 'other', weight: 1 }],
    [{ name: 'orders', split: split(90_000_000, 10_000_000) }],
  ]);
  expect(result.shifted).toEqual(['HTTPRoute default/shop spec.rules[0]', 'HTTPRoute default/shop spec.rules[2]', 'every call of orders']);
  expect(routes(OWN)).toBeDefined();
});

test('a share of a third version stays what it is', async () => {
  const { routes, conflict } = await laid(
    virtualService('[{route: [{destination: {host: orders, subset: v1}, weight: 80}, {destination: {host: orders, subset: v3}, weight: 20}]}]'),
  );
  expect(conflict).toBeUndefined();
  expect(routes('orders')).toEqual([['orders/v1 720000', 'orders/v2 80000', 'orders/v3 200000']]);
});

test('a gateway’s route is split, and calls within the mesh by a route of its own', async () => {
  const { routes, shifted } = await laid(virtualService('[{route: [{destination: {host: orders}}]}]', 'hosts: [shop.example.com]\n  gateways: [edge]', 'edge'));
  expect(routes('edge')).toEqual([['orders/v1 9000', 'orders/v2 1000']]);
  expect(shifted).toEqual(['VirtualService default/edge spec.http[0]', 'every call of orders']);
});

test('a wildcard’s VirtualService stays in force: one for the host alone would take its place', async () => {
  const { put } = await laid(virtualService('[{route: [{destination: {host: orders}}]}]', "hosts: ['*.svc.cluster.local']", 'all'));
  expect(put.filter(({ kind }) => kind === 'VirtualService').map(({ metadata }) => metadata.name)).toEqual(['all']);
});

test('one that is not exported leaves the calls of other namespaces to a route of its own', async () => {
  const { routes } = await laid(virtualService('[{route: [{destination: {host: orders}}]}]', "hosts: [orders]\n  exportTo: ['.']"));
  expect(routes('orders')).toEqual(routes(OWN)?.map((route) => route.map((entry) => entry.replace(/\S+\//, 'orders/'))));
});

test('at an end all goes one way, and copies are sent where that is wanted', async () => {
  const text = virtualService('[{route: [{destination: {host: orders}}]}]');
  expect((await laid(text, { split: { to: 100, mirror: 0 } })).routes('orders')).toEqual([['orders/v2 -']]);
  const mirrored = await laid(text, { split: { to: 0, mirror: 5 } });
  expect(mirrored.routes('orders')).toEqual([['orders/v1 -']]);
  const [spec] = mirrored.put.filter(({ kind }) => kind === 'VirtualService') as Resource<VirtualServiceSpec>[];
  expect(spec?.spec.http?.[0]?.mirrors).toEqual([{ destination: { host: 'orders', subset: 'v2' }, percentage: { value: 5 } }]);
});

describe('rules', () => {
  test('a subset that somebody has written is the version, with its labels and its policy', async () => {
    const { rules } = await laid(rule('host: orders, subsets: [{name: v2, labels: {track: canary}, trafficPolicy: {loadBalancer: {simple: RANDOM}}}]'));
    expect(rules).toHaveLength(1);
    expect(rules[0]?.spec.subsets).toEqual([
      { name: 'v2', labels: { track: 'canary' }, trafficPolicy: { loadBalancer: { simple: 'RANDOM' } } },
      { name: 'v1', labels: { version: 'v1' } },
    ]);
  });

  test('what a wildcard’s rule says holds for the subsets', async () => {
    const { rules } = await laid(rule("host: '*.svc.cluster.local', trafficPolicy: {tls: {mode: DISABLE}}", 'all'));
    expect(rules.map(({ metadata, spec }) => [metadata.name, spec.host, spec.trafficPolicy])).toEqual([[OWN, service.hostname, { tls: { mode: 'DISABLE' } }]]);
  });

  test('callers of a namespace with a rule of its own find them too', async () => {
    const { rules } = await laid(rule('host: orders.default.svc.cluster.local', 'ours', 'web'));
    expect(rules.map(({ metadata, spec }) => [metadata.namespace, metadata.name, spec.subsets?.map(({ name }) => name)])).toEqual([
      ['web', 'ours', ['v1', 'v2']],
      ['default', OWN, ['v1', 'v2']],
    ]);
  });
});
