import { type DescMessage, equals, type Message } from '@bufbuild/protobuf';
import { ClusterSchema } from '@outrigger/xds/protos/envoy/config/cluster/v3/cluster';
import { ClusterLoadAssignmentSchema } from '@outrigger/xds/protos/envoy/config/endpoint/v3/endpoint';
import { ListenerSchema } from '@outrigger/xds/protos/envoy/config/listener/v3/listener';
import { RouteConfigurationSchema } from '@outrigger/xds/protos/envoy/config/route/v3/route';
import { VirtualHostSchema } from '@outrigger/xds/protos/envoy/config/route/v3/route_components';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { buildMesh, changeMesh, type Mesh, type MeshChange } from './mesh.ts';
import { isSameIn } from './shared-by-node.ts';
import { canary, instance, node, paymentLock, resource, service, shopInstances, shopServices, strict, subsets } from './testing/shop.ts';
import { clusterNames, listenerNames, translate } from './translate.ts';

const host = (name: string): string => `${name}.default.svc.cluster.local`;
const url = (schema: DescMessage): string => `type.googleapis.com/${schema.typeName}`;
const shop: Mesh = buildMesh({ config: [canary, subsets, strict, paymentLock], services: shopServices, instances: shopInstances });

const nodes = [
  node('web'),
  node('payment-service', { dataPlane: 'envoy', onDemand: false }),
  node('order-service', { dataPlane: 'grpc', httpProxy: undefined }),
];
const asked: readonly (readonly [DescMessage, string])[] = [
  [ListenerSchema, 'http_proxy'],
  [ListenerSchema, 'inbound_127.0.0.1_19001'],
  [ListenerSchema, 'order-service:8080'],
  [RouteConfigurationSchema, 'http_proxy'],
  [RouteConfigurationSchema, 'order-service:8080'],
  [VirtualHostSchema, 'http_proxy/order-service:8080'],
  [VirtualHostSchema, 'http_proxy/payment-service.default:8080'],
  [VirtualHostSchema, 'http_proxy/elsewhere.example.com'],
  [ClusterSchema, `outbound|8080||${host('payment-service')}`],
  [ClusterSchema, `outbound|8080|v1|${host('order-service')}`],
  [ClusterSchema, 'PassthroughCluster'],
  [ClusterLoadAssignmentSchema, `outbound|8080||${host('payment-service')}`],
  [ClusterLoadAssignmentSchema, `outbound|8080|v2|${host('order-service')}`],
];

const changes: readonly MeshChange[] = [
  { putInstances: [{ ...shopInstances[4]!, health: 'DRAINING' }] },
  { removeInstances: ['default/payment-service-1', 'default/payment-service-2', 'default/payment-service-3'] },
  { putInstances: [instance('payment-service', 'v9', 1, 8080, 19_099, { meshed: false })] },
  { putInstances: [instance('order-service', 'v2', 2, 8080, 19_098, { serviceAccount: 'other' })] },
  { remove: [{ group: 'networking.istio.io', kind: 'VirtualService', namespace: 'default', name: 'order-service' }] },
  {
    put: [
      resource('VirtualService', 'a-wildcard', {
        hosts: ['*.default.svc.cluster.local'],
        http: [{ fault: { abort: { httpStatus: 418 } }, route: [{ destination: { host: 'web' } }] }],
      }),
    ],
  },
  { put: [resource('VirtualService', 'elsewhere', { hosts: ['*.example.com'], http: [{ directResponse: { status: 204 } }] })] },
  {
    put: [
      resource('DestinationRule', 'all', { host: '*', trafficPolicy: { connectionPool: { tcp: { connectTimeout: '7s' } } } }, { namespace: 'istio-system' }),
    ],
  },
  { put: [resource('DestinationRule', 'payment', { host: 'payment-service', trafficPolicy: { tls: { mode: 'DISABLE' } } })] },
  { remove: [{ group: 'networking.istio.io', kind: 'DestinationRule', namespace: 'default', name: 'order-service' }] },
  { put: [resource('PeerAuthentication', 'off', { selector: { matchLabels: { app: 'payment-service' } }, mtls: { mode: 'DISABLE' } })] },
  { remove: [{ group: 'security.istio.io', kind: 'AuthorizationPolicy', namespace: 'default', name: 'payment-allow-order-only' }] },
  {
    put: [
      resource('Sidecar', 'default', {
        egress: [{ hosts: ['./payment-service.default.svc.cluster.local'] }],
        outboundTrafficPolicy: { mode: 'REGISTRY_ONLY' },
      }),
    ],
  },
  { put: [resource('Sidecar', 'default', { egress: [{ hosts: ['other/*'] }] }, { namespace: 'istio-system' })] },
  { putServices: [service('elsewhere', 80, 'HTTP', { hostname: 'elsewhere.example.com' })] },
  { putServices: [service('order-service', 8080, 'HTTP', { exportTo: ['other'] })] },
  { putServices: [service('payment-service', 8080, 'GRPC')] },
  { removeServices: [{ hostname: host('web'), namespace: 'default' }] },
  { put: [canary, subsets, strict, paymentLock], putServices: shopServices, putInstances: shopInstances },
];

describe('the keys of a result', () => {
  test('whatever a change does not touch is as it was', () => {
    fc.assert(
      fc.property(fc.array(fc.constantFrom(...changes), { minLength: 1, maxLength: 6 }), (sequence) => {
        let mesh = shop;
        for (const change of sequence) {
          const { mesh: next, touched } = changeMesh(mesh, change);
          for (const proxy of nodes) {
            for (const [schema, name] of asked) {
              const before = translate(mesh, proxy, url(schema), name)!;
              if (!touched.isDisjointFrom(before.keys)) continue;
              const after = translate(next, proxy, url(schema), name)!;
              expect(
                same(schema, after.message, before.message),
                `${proxy.dataPlane} ${name} differs though none of its keys was touched by ${JSON.stringify(change)}`,
              ).toBe(true);
              expect(after.aliases).toEqual(before.aliases);
            }
            const [before, after] = [clusterNames(mesh, proxy), clusterNames(next, proxy)];
            if (touched.isDisjointFrom(before.keys)) expect(after.names).toEqual(before.names);
          }
          mesh = next;
        }
      }),
      { numRuns: 60 },
    );
  });

  test("one endpoint's health concerns one ClusterLoadAssignment and nothing else", () => {
    const { touched } = changeMesh(shop, { putInstances: [{ ...shopInstances[4]!, health: 'UNHEALTHY' }] });
    const proxy = node('web', { dataPlane: 'envoy', onDemand: false });
    const all: (readonly [DescMessage, string])[] = [
      ...listenerNames(shop, proxy).names.map((name) => [ListenerSchema, name] as const),
      ...clusterNames(shop, proxy).names.flatMap((name) => [[ClusterSchema, name] as const, [ClusterLoadAssignmentSchema, name] as const]),
      [RouteConfigurationSchema, 'http_proxy'],
    ];
    const concerned = all.filter(([schema, name]) => !touched.isDisjointFrom(translate(shop, proxy, url(schema), name)!.keys));
    expect(concerned).toEqual([[ClusterLoadAssignmentSchema, `outbound|8080||${host('payment-service')}`]]);
  });
});

test('what is the same in all that a translation reads of two nodes gets one answer', () => {
  const others = [
    node('web', { id: 'web-2.default', instance: 'web-2', httpProxy: { host: '127.0.0.1', port: 18_002 } }),
    node('web', { labels: { app: 'other' } }),
    node('web', { namespace: 'other', workload: 'w', service: 's' }),
    node('web', { dataPlane: 'envoy', onDemand: false, certificates: true, locality: 'a/b/c' }),
  ];
  let shared = 0;
  for (const [schema, name] of asked) {
    const first = translate(shop, node('web'), url(schema), name)!;
    for (const other of others) {
      if (!isSameIn(first.reads, node('web'), other)) continue;
      shared++;
      expect(same(schema, first.message, translate(shop, other, url(schema), name)!.message), name).toBe(true);
    }
  }
  expect(shared).toBeGreaterThan(10);
});

test('a result names the resources that shaped it', () => {
  const { sources } = translate(shop, node('web'), url(VirtualHostSchema), 'http_proxy/order-service:8080')!;
  expect(sources).toEqual([{ group: 'networking.istio.io', kind: 'VirtualService', namespace: 'default', name: 'order-service' }]);
  expect(translate(shop, node('web'), url(ClusterSchema), `outbound|8080|v1|${host('order-service')}`)!.sources).toContainEqual({
    group: 'networking.istio.io',
    kind: 'DestinationRule',
    namespace: 'default',
    name: 'order-service',
  });
  expect(
    translate(shop, node('payment-service', { labels: { app: 'payment-service' } }), url(ListenerSchema), 'inbound_127.0.0.1_19001')!
      .sources.map(({ kind }) => kind)
      .sort(),
  ).toEqual(['AuthorizationPolicy', 'PeerAuthentication']);
});

test('other types are nobody here', () => {
  expect(translate(shop, node('web'), 'type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret', 'default')).toBeUndefined();
});

function same(schema: DescMessage, a: Message | undefined, b: Message | undefined): boolean {
  return a === undefined || b === undefined ? a === b : equals(schema, a, b);
}
