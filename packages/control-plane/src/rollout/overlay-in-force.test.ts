import { type Instance, readResources, type Service } from '@outrigger/resources';
import { bareNode, buildMesh, cluster, endpoints, virtualHost } from '@outrigger/translate';
import { expect, test } from 'vitest';
import { overlay } from './overlay.ts';

const HOST = 'orders.shop.svc.cluster.local';
const service: Service = {
  hostname: HOST,
  name: 'orders',
  namespace: 'shop',
  ports: [{ name: 'http', port: 8080, protocol: 'HTTP' }],
  addresses: [],
  resolution: 'STATIC',
  location: 'MESH_INTERNAL',
  exportTo: ['*'],
  labels: {},
  subjectAltNames: [],
  creationTimestamp: '2030-01-01T00:00:00Z',
};
const instances = ['v1', 'v2'].map(
  (version, index): Instance => ({
    id: `shop/orders-${version}`,
    namespace: 'shop',
    workload: `orders-${version}`,
    labels: { app: 'orders', version },
    serviceAccount: 'orders',
    trustDomain: 'cluster.local',
    address: '127.0.0.1',
    locality: '',
    weight: 0,
    network: '',
    meshed: true,
    health: 'HEALTHY',
    ports: [{ name: 'http', servicePort: 8080, protocol: 'HTTP', meshPort: 15_000 + index, applicationPort: 9_000 + index }],
    services: [HOST],
  }),
);
const rule = (namespace: string, name: string, spec: string) => `apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: ${name}, namespace: ${namespace}}
spec: {${spec}}
`;
const route = (namespace: string, spec: string) => `apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: orders, namespace: ${namespace}}
spec: {${spec}}
`;
const exact = `host: ${HOST}`;
const all = "host: '*.shop.svc.cluster.local'";

/** A caller's weights by version, as its proxy would have them; with an endpoint behind each. */
function seenFrom(namespace: string, mesh: ReturnType<typeof buildMesh>): Record<string, number> {
  const node = bareNode(namespace, 'web', { httpProxy: { host: '127.0.0.1', port: 15_080 }, labels: { app: 'web' } });
  const { message } = virtualHost(mesh, node, `http_proxy/${HOST}:8080`);
  const action = message?.routes.map((one) => one.action).find((one) => one.case === 'route' && one.value.clusterSpecifier.case === 'weightedClusters');
  if (action?.case !== 'route' || action.value.clusterSpecifier.case !== 'weightedClusters') return {};
  return Object.fromEntries(
    action.value.clusterSpecifier.value.clusters.map(({ name, weight = 0 }) => {
      const assignment = endpoints(mesh, node, name).message;
      const ports = (assignment?.endpoints ?? []).flatMap(({ lbEndpoints }) => lbEndpoints).length;
      return [`${name.split('|')[2]}${cluster(mesh, node, name).message === undefined || ports !== 1 ? ' leads nowhere' : ''}`, weight / 100];
    }),
  );
}

test.each([
  ['nothing is written', ''],
  ['the service’s namespace has a rule', rule('shop', 'orders', exact)],
  ['that rule is for its own namespace alone', rule('shop', 'orders', `${exact}, exportTo: ['.']`)],
  ['that rule is for some callers alone', rule('shop', 'orders', `${exact}, workloadSelector: {matchLabels: {app: web}}`)],
  ['it has a wildcard’s rule', rule('shop', 'all', all)],
  ['it has both', rule('shop', 'orders', exact) + '---\n' + rule('shop', 'all', all)],
  ['callers have a rule of their own', rule('front', 'orders', exact)],
  ['callers have a wildcard’s rule of their own', rule('front', 'all', all)],
  ['the root namespace has a rule', rule('istio-system', 'orders', exact)],
  ['the root namespace has a wildcard’s rule', rule('istio-system', 'all', "host: '*.cluster.local'")],
  ['one of the subsets is written', rule('shop', 'orders', `${exact}, subsets: [{name: v2, labels: {version: v2}}]`)],
  ['a route is written', route('shop', `hosts: [orders], http: [{route: [{destination: {host: orders}}]}]`)],
  ['a route is written for its own namespace alone', route('shop', `hosts: [orders], exportTo: ['.'], http: [{route: [{destination: {host: orders}}]}]`)],
  ['callers have a route of their own', route('front', `hosts: [${HOST}], exportTo: ['.'], http: [{route: [{destination: {host: ${HOST}, subset: v1}}]}]`)],
  [
    'a route of Gateway API is attached to it',
    `apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: orders, namespace: shop}
spec: {parentRefs: [{group: '', kind: Service, name: orders}], rules: [{backendRefs: [{name: orders, port: 8080}]}]}
`,
  ],
  [
    'callers have such a route of their own',
    `apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: orders, namespace: front}
spec: {parentRefs: [{group: '', kind: Service, name: orders, namespace: shop}], rules: [{backendRefs: [{name: orders, namespace: shop, port: 8080}]}]}
---
apiVersion: gateway.networking.k8s.io/v1
kind: ReferenceGrant
metadata: {name: orders, namespace: shop}
spec: {from: [{group: gateway.networking.k8s.io, kind: HTTPRoute, namespace: front}], to: [{group: '', kind: Service}]}
`,
  ],
])('each caller’s proxy splits the traffic, and each part leads to its version, where %s', async (_, text) => {
  const { resources, problems } = await readResources([{ file: 'mesh.yaml', text }]);
  expect(problems).toEqual([]);
  const { put, conflict } = overlay({ resources, service, from: 'v1', to: 'v2', split: { to: 25, mirror: 0 }, domainSuffix: 'cluster.local' });
  expect(conflict).toBeUndefined();
  const name = (one: (typeof resources)[number]): string => `${one.kind} ${one.metadata.namespace}/${one.metadata.name}`;
  const config = [...new Map([...resources, ...put].map((one) => [name(one), one])).values()];
  const mesh = buildMesh({ config, services: [service], instances });
  for (const namespace of ['shop', 'front', 'elsewhere', 'istio-system'])
    expect({ namespace, ...seenFrom(namespace, mesh) }).toEqual({ namespace, v1: 75, v2: 25 });
});
