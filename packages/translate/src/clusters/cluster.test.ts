import { fromBinary } from '@bufbuild/protobuf';
import type { Instance, Service } from '@outrigger/resources';
import { Cluster_LbPolicy } from '@outrigger/xds/protos/envoy/config/cluster/v3/cluster';
import { UpstreamTlsContextSchema } from '@outrigger/xds/protos/envoy/extensions/transport_sockets/tls/v3/tls';
import { describe, expect, test } from 'vitest';
import { clusterJson, meshOf, payment, rule, type ShopWorld } from '../testing/clusters.ts';
import { instance, node, resource, service, shopInstances, shopServices, subsets } from '../testing/shop.ts';
import { cluster, clusterNames } from '../translate.ts';

const options = (made: { typedExtensionProtocolOptions?: Record<string, unknown> }) =>
  made.typedExtensionProtocolOptions?.['envoy.extensions.upstreams.http.v3.HttpProtocolOptions'] as Record<string, object> | undefined;
const tlsOf = (made: { transportSocketMatches: { transportSocket: { typedConfig: Record<string, unknown> } }[] }) =>
  made.transportSocketMatches[0]!.transportSocket.typedConfig;

test('the cluster of an application’s own port says of which service it is', () => {
  expect(clusterJson({ node: node('web', { namespace: 'shop' }) }, 'inbound|20001||').metadata.filterMetadata).toEqual({
    istio: { services: [{ host: 'web.shop.svc.cluster.local', name: 'web', namespace: 'shop' }] },
  });
});

test('a service of the mesh whose endpoints DNS has not told yet is not taken to be meshed', () => {
  const http2 = (more: Partial<Service>) => {
    const services = shopServices.map((one) => ({ ...one, ...more }));
    return options(clusterJson({ services, instances: [] }))?.explicitHttpConfig;
  };
  expect(http2({})).toHaveProperty('http2ProtocolOptions');
  expect(http2({ bySrv: true })).not.toHaveProperty('http2ProtocolOptions');
});

describe('a cluster of meshed instances', () => {
  test('tells an Envoy of every ejection at once', () => {
    expect(clusterJson({ node: node('web', { dataPlane: 'envoy', onDemand: false }) }).commonLbConfig.updateMergeWindow).toBe('0s');
    expect(clusterJson().commonLbConfig.updateMergeWindow).toBeUndefined();
  });

  test('lets an Envoy, which counts refused connections, retry more at once', () => {
    const { retryBudget } = clusterJson({ node: node('web', { dataPlane: 'envoy', onDemand: false }) }).circuitBreakers.thresholds[0];
    expect(retryBudget).toEqual({ budgetPercent: { value: 20 }, minRetryConcurrency: 100 });
  });

  test('has the defaults of the mesh', () => {
    expect(clusterJson()).toMatchObject({
      name: payment,
      type: 'EDS',
      edsClusterConfig: { serviceName: payment },
      connectTimeout: '1s',
      lbPolicy: 'LEAST_REQUEST',
      commonLbConfig: { healthyPanicThreshold: {} },
      circuitBreakers: { thresholds: [{ maxConnections: 0xffff_ffff, retryBudget: { budgetPercent: { value: 20 }, minRetryConcurrency: 3 } }] },
      outlierDetection: { consecutive5xx: 5, baseEjectionTime: '30s', maxEjectionTime: '30s', maxEjectionPercent: 100, enforcingSuccessRate: 0 },
      metadata: {
        filterMetadata: {
          istio: { services: [{ host: 'payment-service.default.svc.cluster.local', name: 'payment-service', namespace: 'default' }] },
          'outrigger.dev': { outlier: { halfOpen: true } },
        },
      },
    });
  });

  test('speaks HTTP/2 over mTLS to exactly the identities of its instances', () => {
    const made = clusterJson({ instances: [...shopInstances, instance('payment-service', '', 9, 8080, 19_029, { serviceAccount: 'billing' })] });
    expect(options(made)).toMatchObject({ explicitHttpConfig: { http2ProtocolOptions: { allowConnect: true } } });
    expect(made.transportSocketMatches.map((one: { match: unknown }) => one.match)).toEqual([{ tlsMode: 'istio' }, {}]);
    expect(tlsOf(made)).toMatchObject({
      sni: 'outbound_.8080_._.payment-service.default.svc.cluster.local',
      commonTlsContext: {
        alpnProtocols: ['istio-h2', 'h2'],
        tlsCertificateSdsSecretConfigs: [{ name: 'default' }],
        combinedValidationContext: {
          defaultValidationContext: {
            matchTypedSubjectAltNames: ['billing', 'payment-service'].map((account) => ({
              sanType: 'URI',
              matcher: { exact: `spiffe://cluster.local/ns/default/sa/${account}` },
            })),
          },
          validationContextSdsSecretConfig: { name: 'ROOTCA' },
        },
      },
    });
  });

  test('with nobody known yet lets nobody in', () => {
    const made = clusterJson({ instances: [] });
    expect(JSON.stringify(tlsOf(made))).toContain('spiffe://nobody.invalid/');
    expect(options(made)!['explicitHttpConfig']).toHaveProperty('http2ProtocolOptions');
  });

  test('a subset is the same cluster with its last instance and without it', () => {
    const config = [rule({}, { subsets: [{ name: 'v9', labels: { version: 'v9' } }] })];
    const name = 'outbound|8080|v9|payment-service.default.svc.cluster.local';
    const last = instance('payment-service', 'v9', 9, 8080, 19_029);
    expect(clusterJson({ config }, name)).toEqual(clusterJson({ config, instances: [...shopInstances, last] }, name));
  });

  test.each<readonly [string, ShopWorld, 'http2ProtocolOptions' | 'httpProtocolOptions']>([
    [
      'one plain instance among them: HTTP/1.1',
      { instances: [...shopInstances, instance('payment-service', '', 9, 8080, 1, { meshed: false })] },
      'httpProtocolOptions',
    ],
    [
      'a gRPC port: HTTP/2, whoever is there',
      { services: [service('payment-service', 8080, 'GRPC')], instances: [instance('payment-service', '', 9, 8080, 1, { meshed: false })] },
      'http2ProtocolOptions',
    ],
    ['mTLS switched off by the server', { config: [resource('PeerAuthentication', 'off', { mtls: { mode: 'DISABLE' } })] }, 'httpProtocolOptions'],
    ['mTLS switched off by the client', { config: [rule({ tls: { mode: 'DISABLE' } })] }, 'httpProtocolOptions'],
    [
      'an upgrade asked for',
      { config: [rule({ tls: { mode: 'DISABLE' }, connectionPool: { http: { h2UpgradePolicy: 'UPGRADE' } } })] },
      'http2ProtocolOptions',
    ],
  ])('%s', (_, world, protocol) => {
    expect(options(clusterJson(world))!['explicitHttpConfig']).toHaveProperty(protocol);
  });

  test('a TCP port has no HTTP in it', () => {
    const made = clusterJson({ services: [service('redis', 6379, 'TCP')] }, 'outbound|6379||redis.default.svc.cluster.local');
    expect(options(made)).toBeUndefined();
    expect(tlsOf(made)).toMatchObject({ commonTlsContext: { alpnProtocols: ['istio'] } });
  });

  test.each([
    'outbound|81||payment-service.default.svc.cluster.local',
    'outbound|8080||nowhere.default.svc.cluster.local',
    'outbound|8080|v9|payment-service.default.svc.cluster.local',
    'inbound|1||',
    'what',
  ])('%s is none', (name) => {
    expect(clusterJson({}, name)).toBeUndefined();
  });
});

describe('ServiceEntry resolutions', () => {
  const outside = (resolution: Service['resolution']) => service('api', 443, 'HTTPS', { hostname: 'api.example.com', location: 'MESH_EXTERNAL', resolution });
  const name = 'outbound|443||api.example.com';
  const at = (address: string): Instance => instance('api', '', 1, 443, 8443, { id: `x/${address}`, address, meshed: false, services: ['api.example.com'] });

  test.each<readonly [Service['resolution'], unknown]>([
    ['DNS', { type: 'STRICT_DNS', respectDnsTtl: true }],
    ['DNS_ROUND_ROBIN', { type: 'LOGICAL_DNS' }],
    ['NONE', { clusterType: { name: 'envoy.clusters.dynamic_forward_proxy' }, lbPolicy: 'CLUSTER_PROVIDED' }],
    ['STATIC', { type: 'EDS' }],
  ])('%s', (resolution, expected) => {
    expect(clusterJson({ services: [outside(resolution)], instances: [] }, name)).toMatchObject(expected as object);
  });

  test('DNS names are those of the endpoints, or else the host', () => {
    interface Made {
      loadAssignment: { endpoints: { lbEndpoints: { endpoint: { address: { socketAddress: { address: string; portValue: number } } } }[] }[] };
    }
    const addresses = (made: Made) =>
      made.loadAssignment.endpoints.flatMap((one) =>
        one.lbEndpoints.map((two) => `${two.endpoint.address.socketAddress.address}:${two.endpoint.address.socketAddress.portValue}`),
      );
    expect(addresses(clusterJson({ services: [outside('DNS')], instances: [] }, name))).toEqual(['api.example.com:443']);
    expect(addresses(clusterJson({ services: [outside('DNS')], instances: [at('eu.example.com'), at('us.example.com')] }, name))).toEqual([
      'eu.example.com:8443',
      'us.example.com:8443',
    ]);
    expect(addresses(clusterJson({ services: [outside('DNS_ROUND_ROBIN')], instances: [at('eu.example.com'), at('us.example.com')] }, name))).toEqual([
      'eu.example.com:8443',
    ]);
  });
});

describe('names', () => {
  test('an Envoy gets all that it sees, and with a Sidecar what that lets it see', () => {
    const envoy = node('web', { dataPlane: 'envoy', onDemand: false });
    const services = [...shopServices, service('other', 80, 'HTTP', { namespace: 'other', hostname: 'other.other.svc.cluster.local' })];
    const all = clusterNames(meshOf({ services, config: [subsets] }), envoy).names;
    expect(all).toContain('outbound|8080|v2|order-service.default.svc.cluster.local');
    expect(all).toContain('outbound|80||other.other.svc.cluster.local');
    const scope = resource('Sidecar', 'scope', {
      workloadSelector: { labels: { app: 'web' } },
      egress: [
        { hosts: ['./order-service.default.svc.cluster.local', 'other/*'], port: { number: 80 } },
        { hosts: ['./payment-service.default.svc.cluster.local'] },
      ],
    });
    expect(
      clusterNames(meshOf({ services, config: [subsets, scope] }), envoy)
        .names.filter((name) => name.startsWith('outbound'))
        .sort(),
    ).toEqual([payment, 'outbound|80||other.other.svc.cluster.local']);
    expect(clusterNames(meshOf({ services, config: [scope] }), node('batch', { dataPlane: 'envoy' })).names).toContain(
      'outbound|8080||web.default.svc.cluster.local',
    );
  });

  test('what an imported VirtualService leads to comes with it', () => {
    const route = resource('VirtualService', 'route', { hosts: ['order-service'], http: [{ route: [{ destination: { host: 'ledger-service' } }] }] });
    const scope = resource('Sidecar', 'scope', { egress: [{ hosts: ['./order-service.default.svc.cluster.local'] }] });
    expect(clusterNames(meshOf({ config: [route, scope] }), node('web', { dataPlane: 'envoy' })).names).toContain(
      'outbound|8080||ledger-service.default.svc.cluster.local',
    );
  });
});

test('gRPC clients get what they can read', () => {
  const grpc = (certificates: boolean) => node('web', { dataPlane: 'grpc', certificates, httpProxy: undefined });
  const plain = cluster(meshOf({}), grpc(false), payment).message!;
  expect([plain.transportSocket, plain.transportSocketMatches, plain.lbPolicy]).toEqual([undefined, [], Cluster_LbPolicy.ROUND_ROBIN]);
  const tls = (mesh: ReturnType<typeof meshOf>) => {
    const socket = cluster(mesh, grpc(true), payment).message!.transportSocket?.configType.value as { value: Uint8Array } | undefined;
    return socket && fromBinary(UpstreamTlsContextSchema, socket.value).commonTlsContext!;
  };
  const names = (mesh: ReturnType<typeof meshOf>) => {
    const context = tls(mesh)?.validationContextType;
    // gRPC verifies by this field alone; without names it takes anybody of the mesh.
    return context?.case === 'validationContext' ? context.value.matchSubjectAltNames.map(({ matchPattern }) => matchPattern.value) : undefined;
  };
  expect(tls(meshOf({}))).toMatchObject({
    tlsCertificateProviderInstance: { instanceName: 'default' },
    validationContextType: { value: { caCertificateProviderInstance: { instanceName: 'default' } } },
  });
  expect(names(meshOf({}))).toEqual(['spiffe://cluster.local/ns/default/sa/payment-service']);
  expect(names(meshOf({ instances: [] }))).toEqual(['spiffe://nobody.invalid/']);
  const { notes } = cluster(meshOf({ config: [rule({ loadBalancer: { simple: 'RANDOM' } })] }), grpc(false), payment);
  expect(notes).toMatchObject([{ field: 'spec.trafficPolicy.loadBalancer.simple', effect: 'differs', on: 'grpc' }]);
});
