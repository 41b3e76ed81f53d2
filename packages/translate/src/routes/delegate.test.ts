import type { HttpMatchRequest, HttpRoute, VirtualServiceSpec } from '@outrigger/resources';
import { describe, expect, it } from 'vitest';
import { buildMesh, changeMesh } from '../mesh.ts';
import { node, resource, service, shopServices } from '../testing/shop.ts';
import { virtualHost } from '../translate.ts';

const root = (http: readonly HttpRoute[], more: Partial<VirtualServiceSpec> = {}) =>
  resource('VirtualService', 'root', { hosts: ['order-service'], http, ...more });
const delegate = (http: readonly HttpRoute[], more: Partial<VirtualServiceSpec> = {}, namespace = 'default') =>
  resource('VirtualService', 'orders', { http, ...more }, { namespace });
const to = (host: string) => [{ destination: { host } }];
const services = [...shopServices, service('order-service', 8080, 'HTTP', { hostname: 'order-service.other.svc.cluster.local', namespace: 'other' })];

function orders(...config: readonly ReturnType<typeof resource>[]) {
  const mesh = buildMesh({ config, services, instances: [] });
  const { message, notes, sources } = virtualHost(mesh, node('web'), 'http_proxy/order-service:8080');
  const routes = message!.routes.filter(({ name }) => name !== 'connect');
  return { routes, notes: notes.map(({ resource: { namespace, name }, field }) => `${namespace}/${name} ${field}`), sources: sources.map(({ name }) => name) };
}

const delegating = (match?: readonly HttpMatchRequest[], more: Partial<HttpRoute> = {}): HttpRoute => ({
  delegate: { name: 'orders' },
  ...(match === undefined ? {} : { match }),
  ...more,
});

describe('a route that is delegated', () => {
  it('is that of the delegate, whose names mean what they mean there', () => {
    const found = orders(
      root([delegating(undefined, { delegate: { name: 'orders', namespace: 'other' } })]),
      delegate([{ route: to('order-service') }], {}, 'other'),
    );
    expect(found.routes.map(({ action }) => action.value)).toMatchObject([
      { clusterSpecifier: { value: 'outbound|8080||order-service.other.svc.cluster.local' } },
    ]);
    expect(found.sources).toEqual(['orders', 'root']);
  });

  it('inherits what the delegate does not say', () => {
    const [route] = orders(
      root([delegating(undefined, { name: 'all', timeout: '3s', rewrite: { uri: '/root' } })]),
      delegate([{ name: 'one', rewrite: { uri: '/own' }, route: to('payment-service') }]),
    ).routes;
    expect(route).toMatchObject({ name: 'all-one', action: { value: { timeout: { seconds: 3n }, prefixRewrite: '/own' } } });
  });

  it.each<readonly [string, HttpMatchRequest, HttpMatchRequest, string | undefined]>([
    ['a longer prefix', { uri: { prefix: '/a' } }, { uri: { prefix: '/a/b' } }, '/a/b'],
    ['an exact path below', { uri: { prefix: '/a' } }, { uri: { exact: '/a/b' } }, '/a/b'],
    ['another condition', { uri: { prefix: '/a' } }, { method: { exact: 'GET' } }, '/a'],
    ['a prefix that is not below', { uri: { prefix: '/a' } }, { uri: { prefix: '/b' } }, undefined],
    ['a prefix below an exact path', { uri: { exact: '/a' } }, { uri: { prefix: '/a' } }, undefined],
    ['a regular expression', { uri: { prefix: '/a' } }, { uri: { regex: '/a.*' } }, undefined],
    ['another port', { port: 8080 }, { port: 81 }, undefined],
    ['another case', { uri: { prefix: '/a' }, ignoreUriCase: true }, { uri: { prefix: '/a' } }, undefined],
    ['a header that contradicts', { headers: { x: { exact: '1' } } }, { headers: { x: { exact: '2' } } }, undefined],
  ])('matches what both match: %s', (_, outer, inner, path) => {
    const { routes, notes } = orders(root([delegating([outer])]), delegate([{ match: [inner], route: to('payment-service') }]));
    const [route] = routes;
    if (path === undefined) {
      expect(notes).toEqual(['default/orders spec.http[0].match']);
      expect(route?.name ?? 'default').toBe('default');
      expect(route?.action.value).toMatchObject({ clusterSpecifier: { value: 'outbound|8080||order-service.default.svc.cluster.local' } });
    } else expect(route?.match?.pathSpecifier.value).toBe(path);
  });

  it('has headers of both', () => {
    const [route] = orders(
      root([delegating([{ headers: { a: { exact: '1' } } }])]),
      delegate([{ match: [{ headers: { b: { exact: '2' } } }], route: to('payment-service') }]),
    ).routes;
    expect(route?.match?.headers.map(({ name }) => name)).toEqual(['a', 'b']);
  });

  it.each([
    ['nobody is there', root([delegating()]), delegate([], { hosts: ['x'] }), ['default/root spec.http[0].delegate']],
    [
      'it is not exported to where it is used',
      root([delegating(undefined, { delegate: { name: 'orders', namespace: 'other' } })]),
      delegate([{ route: to('payment-service') }], { exportTo: ['.'] }, 'other'),
      ['default/root spec.http[0].delegate'],
    ],
    ['it delegates to itself', root([delegating()]), delegate([delegating()]), ['default/orders spec.http[0].delegate']],
  ])('is left out, and that is said, where %s', (_, one, other, said) => {
    expect(orders(one, other).notes).toEqual(said);
  });

  it('is made again when the delegate changes', () => {
    const mesh = buildMesh({ config: [root([delegating()])], services, instances: [] });
    const { keys } = virtualHost(mesh, node('web'), 'http_proxy/order-service:8080');
    const { touched } = changeMesh(mesh, { put: [delegate([{ route: to('payment-service') }])] });
    expect(keys.intersection(touched)).toEqual(new Set(['delegate:default/orders']));
  });
});
