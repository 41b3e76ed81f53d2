import { GATEWAY_API, type Resource } from '@outrigger/resources';
import { expect, test } from 'vitest';
import { buildMesh, changeMesh } from '../../mesh.ts';
import { canary, node, resource, shopInstances, shopServices, subsets } from '../../testing/shop.ts';
import { virtualHost } from '../../translate.ts';

const parent = { group: '', kind: 'Service', name: 'order-service', namespace: 'default' };
const route = (name: string, namespace: string, more: object = {}, parentRef: object = parent): Resource => ({
  ...resource(
    'HTTPRoute',
    name,
    { parentRefs: [parentRef], rules: [{ name, backendRefs: [{ name: 'order-service', namespace: 'default', port: 8080 }] }], ...more },
    { namespace },
  ),
  apiVersion: `${GATEWAY_API}/v1`,
});
const grant: Resource = {
  ...resource('ReferenceGrant', 'g', { from: [{ group: GATEWAY_API, kind: 'HTTPRoute', namespace: 'shop' }], to: [{ group: '', kind: 'Service' }] }),
  apiVersion: `${GATEWAY_API}/v1beta1`,
};
const meshOf = (config: readonly Resource[]) => buildMesh({ config: [canary, subsets, grant, ...config], services: shopServices, instances: shopInstances });
const routesOf = (config: readonly Resource[], namespace = 'default'): string[] =>
  virtualHost(meshOf(config), node('web', { namespace }), 'http_proxy/order-service.default:8080')
    .message!.routes.slice(1)
    .map(({ name }) => name);

test.each<readonly [string, readonly Resource[], string, string[]]>([
  ['of its namespace, in the place of its VirtualService', [route('producer', 'default')], 'default', ['producer']],
  ['for callers of other namespaces too', [route('producer', 'default')], 'shop', ['producer']],
  ["of the callers' namespace before it", [route('producer', 'default'), route('consumer', 'shop')], 'shop', ['consumer']],
  ['of no other namespace', [route('other', 'else')], 'default', ['default']],
  ['of its port', [route('port', 'default', {}, { ...parent, port: 8080 })], 'default', ['port']],
  ['of no other port', [route('port', 'default', {}, { ...parent, port: 81 })], 'default', ['default']],
  [
    'the longest path first, whoever is older',
    [
      route('b', 'default'),
      route('a', 'default', { rules: [{ name: 'a', matches: [{ path: { value: '/a' } }], backendRefs: [{ name: 'web', port: 8080 }] }] }),
    ],
    'default',
    ['a', 'b'],
  ],
])('a service is called by the routes %s', (_, config, namespace, names) => {
  expect(routesOf(config, namespace)).toEqual(names);
});

test('a change of them touches that service alone', () => {
  const { touched } = changeMesh(meshOf([]), { put: [route('producer', 'default')] });
  expect([...touched].sort()).toEqual(['gateway-api:HTTPRoute', 'routes:order-service.default.svc.cluster.local']);
});
