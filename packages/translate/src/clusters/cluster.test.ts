import { createRegistry, fromBinary, toJson } from '@bufbuild/protobuf';
import type { DestinationRuleSpec, Instance, Resource, Service } from '@outrigger/resources';
import { Cluster_LbPolicy, ClusterSchema } from '@outrigger/xds/protos/envoy/config/cluster/v3/cluster';
import { ClusterConfigSchema } from '@outrigger/xds/protos/envoy/extensions/clusters/dynamic_forward_proxy/v3/cluster';
import { TcpProxySchema } from '@outrigger/xds/protos/envoy/extensions/filters/network/tcp_proxy/v3/tcp_proxy';
import { RawBufferSchema } from '@outrigger/xds/protos/envoy/extensions/transport_sockets/raw_buffer/v3/raw_buffer';
import { UpstreamTlsContextSchema } from '@outrigger/xds/protos/envoy/extensions/transport_sockets/tls/v3/tls';
import { HttpProtocolOptionsSchema } from '@outrigger/xds/protos/envoy/extensions/upstreams/http/v3/http_protocol_options';
import { describe, expect, test } from 'vitest';
import { buildMesh } from '../mesh.ts';
import type { ProxyNode } from '../node.ts';
import { instance, node, resource, service, shopInstances, shopServices, subsets } from '../testing/shop.ts';
import { cluster, clusterNames, endpoints, listener } from '../translate.ts';

const registry = createRegistry(ClusterConfigSchema, RawBufferSchema, UpstreamTlsContextSchema, HttpProtocolOptionsSchema);
const payment = 'outbound|8080||payment-service.default.svc.cluster.local';

interface World {
  readonly config?: readonly Resource[];
  readonly services?: readonly Service[];
  readonly instances?: readonly Instance[];
  readonly node?: ProxyNode;
}

const meshOf = ({ config = [], services = shopServices, instances = shopInstances }: World) => buildMesh({ config, services, instances });

// biome-ignore lint/suspicious/noExplicitAny: JSON, looked into by tests
function json(world: World = {}, name = payment): any {
  const { message } = cluster(meshOf(world), world.node ?? node('web'), name);
  return message === undefined ? undefined : toJson(ClusterSchema, message, { registry });
}

/** null in what is expected says: not there. */
// biome-ignore lint/suspicious/noExplicitAny: JSON, looked into by tests
function absentAsNull(actual: any, expected: any): any {
  if (expected === null) return actual ?? null;
  if (typeof expected !== 'object' || typeof actual !== 'object') return actual;
  for (const key of Object.keys(expected)) actual[key] = absentAsNull(actual[key], expected[key]);
  return actual;
}

const rule = (trafficPolicy: DestinationRuleSpec['trafficPolicy'], more: Partial<DestinationRuleSpec> = {}, metadata: Partial<Resource['metadata']> = {}) =>
  resource(
    'DestinationRule',
    metadata.name ?? 'rule',
    { host: 'payment-service', ...(trafficPolicy === undefined ? {} : { trafficPolicy }), ...more },
    metadata,
  );
const options = (made: { typedExtensionProtocolOptions?: Record<string, unknown> }) =>
  made.typedExtensionProtocolOptions?.['envoy.extensions.upstreams.http.v3.HttpProtocolOptions'] as Record<string, object> | undefined;
const tlsOf = (made: { transportSocketMatches: { transportSocket: { typedConfig: Record<string, unknown> } }[] }) =>
  made.transportSocketMatches[0]!.transportSocket.typedConfig;

test('the cluster of an application’s own port says of which service it is', () => {
  expect(json({ node: node('web', { namespace: 'shop' }) }, 'inbound|20001||').metadata.filterMetadata).toEqual({
    istio: { services: [{ host: 'web.shop.svc.cluster.local', name: 'web', namespace: 'shop' }] },
  });
});

describe('a cluster of meshed instances', () => {
  test('tells an Envoy of every ejection at once', () => {
    expect(json({ node: node('web', { dataPlane: 'envoy', onDemand: false }) }).commonLbConfig.updateMergeWindow).toBe('0s');
    expect(json().commonLbConfig.updateMergeWindow).toBeUndefined();
  });

  test('lets an Envoy, which counts refused connections, retry more at once', () => {
    const { retryBudget } = json({ node: node('web', { dataPlane: 'envoy', onDemand: false }) }).circuitBreakers.thresholds[0];
    expect(retryBudget).toEqual({ budgetPercent: { value: 20 }, minRetryConcurrency: 100 });
  });

  test('has the defaults of the mesh', () => {
    expect(json()).toMatchObject({
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
    const made = json({ instances: [...shopInstances, instance('payment-service', '', 9, 8080, 19_029, { serviceAccount: 'billing' })] });
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
    const made = json({ instances: [] });
    expect(JSON.stringify(tlsOf(made))).toContain('spiffe://nobody.invalid/');
    expect(options(made)!['explicitHttpConfig']).toHaveProperty('http2ProtocolOptions');
  });

  test('a subset is the same cluster with its last instance and without it', () => {
    const config = [rule({}, { subsets: [{ name: 'v9', labels: { version: 'v9' } }] })];
    const name = 'outbound|8080|v9|payment-service.default.svc.cluster.local';
    const last = instance('payment-service', 'v9', 9, 8080, 19_029);
    expect(json({ config }, name)).toEqual(json({ config, instances: [...shopInstances, last] }, name));
  });

  test.each<readonly [string, World, 'http2ProtocolOptions' | 'httpProtocolOptions']>([
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
    expect(options(json(world))!['explicitHttpConfig']).toHaveProperty(protocol);
  });

  test('a TCP port has no HTTP in it', () => {
    const made = json({ services: [service('redis', 6379, 'TCP')] }, 'outbound|6379||redis.default.svc.cluster.local');
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
    expect(json({}, name)).toBeUndefined();
  });
});

describe('a DestinationRule', () => {
  test.each<readonly [string, DestinationRuleSpec['trafficPolicy'], unknown]>([
    ['round robin', { loadBalancer: { simple: 'ROUND_ROBIN' } }, { lbPolicy: null }],
    ['random', { loadBalancer: { simple: 'RANDOM' } }, { lbPolicy: 'RANDOM' }],
    ['least request', { loadBalancer: { simple: 'LEAST_REQUEST' } }, { lbPolicy: 'LEAST_REQUEST' }],
    [
      'ring hash',
      { loadBalancer: { consistentHash: { useSourceIp: true, ringHash: { minimumRingSize: 64 } } } },
      { lbPolicy: 'RING_HASH', ringHashLbConfig: { minimumRingSize: '64' } },
    ],
    [
      'maglev',
      { loadBalancer: { consistentHash: { useSourceIp: true, maglev: { tableSize: 101 } } } },
      { lbPolicy: 'MAGLEV', maglevLbConfig: { tableSize: '101' } },
    ],
    [
      'warm-up',
      { loadBalancer: { warmup: { duration: '30s', minimumPercent: 10 } } },
      { leastRequestLbConfig: { slowStartConfig: { slowStartWindow: '30s', minWeightPercent: { value: 10 } } } },
    ],
    [
      'limits',
      { connectionPool: { tcp: { maxConnections: 1, connectTimeout: '3s' }, http: { http1MaxPendingRequests: 2, http2MaxRequests: 3 } } },
      { connectTimeout: '3s', circuitBreakers: { thresholds: [{ maxConnections: 1, maxPendingRequests: 2, maxRequests: 3 }] } },
    ],
    [
      'a number of retries in place of the budget',
      { connectionPool: { http: { maxRetries: 7 } } },
      { circuitBreakers: { thresholds: [{ maxRetries: 7, retryBudget: null }] } },
    ],
    [
      'an ejection, the rest being the default',
      { outlierDetection: { consecutive5xxErrors: 2, baseEjectionTime: '5s', minHealthPercent: 30 } },
      {
        outlierDetection: { consecutive5xx: 2, baseEjectionTime: '5s', maxEjectionTime: '5s', maxEjectionPercent: 100 },
        commonLbConfig: { healthyPanicThreshold: { value: 30 } },
      },
    ],
    [
      'gateway errors alone',
      { outlierDetection: { consecutiveGatewayErrors: 4, interval: '2s', maxEjectionPercent: 50 } },
      {
        outlierDetection: {
          enforcingConsecutive5xx: 0,
          consecutiveGatewayFailure: 4,
          enforcingConsecutiveGatewayFailure: 100,
          interval: '2s',
          maxEjectionPercent: 50,
        },
      },
    ],
    [
      'no ejection',
      { outlierDetection: { consecutive5xxErrors: 0 } },
      { outlierDetection: { enforcingConsecutive5xx: 0, enforcingConsecutiveGatewayFailure: 0 } },
    ],
    [
      'keepalive',
      { connectionPool: { tcp: { tcpKeepalive: { probes: 3, time: '60s', interval: '10s' } } } },
      { upstreamConnectionOptions: { tcpKeepalive: { keepaliveProbes: 3, keepaliveTime: 60, keepaliveInterval: 10 } } },
    ],
    ['mTLS always', { tls: { mode: 'ISTIO_MUTUAL' } }, { transportSocket: { name: 'envoy.transport_sockets.tls' }, transportSocketMatches: null }],
    [
      'TLS of its own',
      { tls: { mode: 'SIMPLE', sni: 'pay.example.com' } },
      {
        transportSocket: {
          typedConfig: {
            sni: 'pay.example.com',
            commonTlsContext: { validationContext: { matchTypedSubjectAltNames: [{ sanType: 'DNS', matcher: { exact: 'pay.example.com' } }] } },
          },
        },
      },
    ],
    [
      'no check of a server',
      { tls: { mode: 'SIMPLE', insecureSkipVerify: true } },
      { transportSocket: { typedConfig: { commonTlsContext: { validationContext: null } } } },
    ],
    [
      'certificates of its own',
      { tls: { mode: 'MUTUAL', clientCertificate: '/c', privateKey: '/k', caCertificates: '/ca' } },
      {
        transportSocket: {
          typedConfig: {
            commonTlsContext: {
              tlsCertificates: [{ certificateChain: { filename: '/c' }, privateKey: { filename: '/k' } }],
              validationContext: { trustedCa: { filename: '/ca' } },
            },
          },
        },
      },
    ],
  ])('%s', (_, policy, expected) => {
    expect(absentAsNull(json({ config: [rule(policy)] }), expected)).toMatchObject(expected as object);
  });

  test('a subset overrides the service, a port overrides both and inherits nothing', () => {
    const config = [
      rule(
        { connectionPool: { tcp: { maxConnections: 1 } }, outlierDetection: { consecutive5xxErrors: 1 } },
        {
          subsets: [
            { name: 'all', trafficPolicy: { outlierDetection: { consecutive5xxErrors: 2 } } },
            { name: 'port', trafficPolicy: { portLevelSettings: [{ port: { number: 8080 }, outlierDetection: { consecutive5xxErrors: 3 } }] } },
          ],
        },
      ),
    ];
    const of = (subset: string) => {
      const made = json({ config }, payment.replace('||', `|${subset}|`));
      return [made.circuitBreakers.thresholds[0].maxConnections, made.outlierDetection.consecutive5xx];
    };
    expect([of(''), of('all'), of('port')]).toEqual([
      [1, 1],
      [1, 2],
      [0xffff_ffff, 3],
    ]);
  });

  const limit = (maxConnections: number) => ({ connectionPool: { tcp: { maxConnections } } });
  test.each<readonly [string, readonly Resource[], number]>([
    ['the older of two', [rule(limit(1), {}, { name: 'b', creationTimestamp: '2026-11-25T00:00:00Z' }), rule(limit(2), {}, { name: 'a' })], 2],
    [
      'the more specific of two',
      [rule(limit(1), { host: '*.default.svc.cluster.local' }, { name: 'a' }), rule(limit(2), {}, { name: 'b', creationTimestamp: '2026-11-25T00:00:00Z' })],
      2,
    ],
    [
      "the client's namespace before the root namespace",
      [rule(limit(1), { host: '*' }, { namespace: 'istio-system' }), rule(limit(2), { host: '*' }, { name: 'b' })],
      2,
    ],
    ['the root namespace where nothing else is', [rule(limit(1), { host: '*' }, { namespace: 'istio-system' })], 1],
    ['none of a third namespace', [rule(limit(1), { host: 'payment-service.default.svc.cluster.local' }, { namespace: 'third' })], 0xffff_ffff],
    ['none that is not exported', [rule(limit(1), { host: '*', exportTo: ['.'] }, { namespace: 'istio-system' })], 0xffff_ffff],
    [
      'one for these workloads before one for all',
      [rule(limit(1), {}, { name: 'a' }), rule(limit(2), { workloadSelector: { matchLabels: { app: 'web' } } }, { name: 'b' })],
      2,
    ],
    ['none for other workloads', [rule(limit(1), { workloadSelector: { matchLabels: { app: 'batch' } } }, { name: 'a' })], 0xffff_ffff],
    [
      'subsets of a younger one beside the policy of the older',
      [rule(limit(1), {}, { name: 'a' }), rule(limit(2), { subsets: [{ name: 's' }] }, { name: 'b' })],
      1,
    ],
  ])('which: %s', (_, config, maxConnections) => {
    expect(json({ config }).circuitBreakers.thresholds[0].maxConnections).toBe(maxConnections);
  });

  test('what it cannot do is said', () => {
    const { notes } = cluster(
      meshOf({
        config: [
          rule({
            loadBalancer: { simple: 'PASSTHROUGH' },
            outlierDetection: { interval: 'often' },
          }),
        ],
      }),
      node('web'),
      payment,
    );
    expect(notes.map(({ field, effect }) => `${field} ${effect}`).sort()).toEqual([
      'spec.trafficPolicy.loadBalancer.simple differs',
      'spec.trafficPolicy.outlierDetection.interval none',
    ]);
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
    expect(json({ services: [outside(resolution)], instances: [] }, name)).toMatchObject(expected as object);
  });

  test('DNS names are those of the endpoints, or else the host', () => {
    interface Made {
      loadAssignment: { endpoints: { lbEndpoints: { endpoint: { address: { socketAddress: { address: string; portValue: number } } } }[] }[] };
    }
    const addresses = (made: Made) =>
      made.loadAssignment.endpoints.flatMap((one) =>
        one.lbEndpoints.map((two) => `${two.endpoint.address.socketAddress.address}:${two.endpoint.address.socketAddress.portValue}`),
      );
    expect(addresses(json({ services: [outside('DNS')], instances: [] }, name))).toEqual(['api.example.com:443']);
    expect(addresses(json({ services: [outside('DNS')], instances: [at('eu.example.com'), at('us.example.com')] }, name))).toEqual([
      'eu.example.com:8443',
      'us.example.com:8443',
    ]);
    expect(addresses(json({ services: [outside('DNS_ROUND_ROBIN')], instances: [at('eu.example.com'), at('us.example.com')] }, name))).toEqual([
      'eu.example.com:8443',
    ]);
  });
});

describe('endpoints', () => {
  test('are where the sidecars listen, with health, identity and subset', () => {
    const instances = [
      instance('order-service', 'v1', 1, 8080, 1001),
      instance('order-service', 'v2', 1, 8080, 1002, { health: 'DRAINING', weight: 5 }),
      instance('order-service', 'v2', 2, 8080, 1003, { meshed: false }),
    ];
    const of = (subset: string) =>
      endpoints(meshOf({ config: [subsets], instances }), node('web'), `outbound|8080|${subset}|order-service.default.svc.cluster.local`).message!;
    expect(of('v1').endpoints.flatMap(({ lbEndpoints }) => lbEndpoints)).toHaveLength(1);
    expect(of('v2').endpoints[0]!.lbEndpoints).toMatchObject([
      {
        healthStatus: 3,
        loadBalancingWeight: 5,
        hostIdentifier: { value: { address: { address: { value: { address: '127.0.0.1', portSpecifier: { value: 1002 } } } } } },
        metadata: {
          filterMetadata: { 'envoy.transport_socket_match': { tlsMode: 'istio' }, istio: { workload: 'order-service-v2;default;order-service;v2;' } },
        },
      },
      { healthStatus: 1, loadBalancingWeight: 1, metadata: { filterMetadata: { istio: { workload: 'order-service-v2;default;order-service;v2;' } } } },
    ]);
    expect(of('v2').endpoints[0]!.loadBalancingWeight).toBe(6);
    expect(of('v2').endpoints[0]!.lbEndpoints[1]!.metadata!.filterMetadata['envoy.transport_socket_match']).toBeUndefined();
  });

  test('are none, but there, where no instance is; not there where no service is', () => {
    expect(endpoints(meshOf({ instances: [] }), node('web'), payment).message).toMatchObject({ clusterName: payment, endpoints: [] });
    expect(endpoints(meshOf({ services: [] }), node('web'), payment).message).toBeUndefined();
  });

  const localities = ['eu/a', 'eu/b', 'us/a', 'ap/a'].map((locality, index) => instance('payment-service', '', index, 8080, 1001 + index, { locality }));
  const priorities = (setting: object | undefined) =>
    endpoints(
      meshOf({ instances: localities, config: setting === undefined ? [] : [rule({ loadBalancer: { localityLbSetting: setting } })] }),
      node('web', { locality: 'eu/a' }),
      payment,
    ).message!.endpoints.map(({ locality, priority, loadBalancingWeight }) => `${locality!.region}/${locality!.zone} ${priority} ${loadBalancingWeight}`);
  test.each<readonly [string, object | undefined, readonly string[]]>([
    ['without a setting all are one', undefined, ['ap/a 0 1', 'eu/a 0 1', 'eu/b 0 1', 'us/a 0 1']],
    ['the nearest first, without gaps', {}, ['ap/a 2 1', 'eu/a 0 1', 'eu/b 1 1', 'us/a 2 1']],
    ['a failover before the others', { failover: [{ from: 'eu', to: 'us' }] }, ['ap/a 3 1', 'eu/a 0 1', 'eu/b 1 1', 'us/a 2 1']],
    ['switched off', { enabled: false }, ['ap/a 0 1', 'eu/a 0 1', 'eu/b 0 1', 'us/a 0 1']],
    ['distributed', { distribute: [{ from: 'eu/*', to: { 'eu/a': 80, 'us/*': 20 } }] }, ['eu/a 0 80', 'us/a 0 20']],
  ])('localities: %s', (_, setting, expected) => {
    expect(priorities(setting)).toEqual(expected);
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

describe('ISTIO_MUTUAL to a gateway, whose resources say what it takes', () => {
  const gateway = instance('payment-service', '', 1, 8080, 19_021, { meshed: false, serviceAccount: 'egress' });
  const socket = (tls: object) => json({ config: [rule({ tls: { mode: 'ISTIO_MUTUAL', ...tls } })], instances: [gateway] }).transportSocket.typedConfig;
  const names = (made: ReturnType<typeof socket>): string[] =>
    made.commonTlsContext.combinedValidationContext.defaultValidationContext.matchTypedSubjectAltNames.map(
      ({ matcher }: { matcher: { exact: string } }) => matcher.exact,
    );

  test('expects the identities of its instances, under the name that is asked for', () => {
    const made = socket({ sni: 'api.example.com' });
    expect([made.sni, names(made)]).toEqual(['api.example.com', ['spiffe://cluster.local/ns/default/sa/egress']]);
  });

  test('or those that the rule names', () => {
    const made = socket({ subjectAltNames: ['spiffe://other/ns/a/sa/b'] });
    expect([made.sni, names(made)]).toEqual(['outbound_.8080_._.payment-service.default.svc.cluster.local', ['spiffe://other/ns/a/sa/b']]);
  });
});

describe('what a DestinationRule says of connections', () => {
  const tcp = service('payment-service', 9000, 'TCP');
  const declared = node('web', { upstreams: [{ service: 'payment-service', port: 9000, address: { host: '127.0.0.1', port: 7001 } }] });
  const proxyOf = (policy: DestinationRuleSpec['trafficPolicy']) => {
    const { message } = listener(buildMesh({ config: [rule(policy)], services: [tcp], instances: [] }), declared, 'upstream_127.0.0.1_7001');
    const { configType } = message!.filterChains[0]!.filters[0]!;
    return toJson(TcpProxySchema, fromBinary(TcpProxySchema, (configType.value as { value: Uint8Array }).value));
  };

  test('they go through the destination to somewhere else', () => {
    expect(proxyOf({ tunnel: { protocol: 'POST', targetHost: 'a.example', targetPort: 443 } })).toMatchObject({
      tunnelingConfig: { hostname: 'a.example:443', usePost: true },
    });
    expect(proxyOf(undefined)).not.toHaveProperty('tunnelingConfig');
  });

  test('one caller has one endpoint', () => {
    expect(proxyOf({ loadBalancer: { consistentHash: { useSourceIp: true } } })).toMatchObject({ hashPolicy: [{ sourceIp: {} }] });
  });

  test.each<readonly [string, DestinationRuleSpec['trafficPolicy'], Partial<Instance>, boolean]>([
    ['they begin with a PROXY header', { proxyProtocol: { version: 'V2' } }, { meshed: false }, true],
    ['but not to a sidecar', { proxyProtocol: { version: 'V2' } }, {}, false],
    ['but to a sidecar that is called in plain text', { proxyProtocol: { version: 'V1' }, tls: { mode: 'DISABLE' } }, {}, true],
  ])('%s', (_, policy, more, sent) => {
    const made = cluster(meshOf({ config: [rule(policy)], instances: [instance('payment-service', '', 1, 8080, 19_021, more)] }), node('web'), payment);
    expect(made.message!.transportSocket?.name === 'envoy.transport_sockets.upstream_proxy_protocol').toBe(sent);
    expect(made.notes.map(({ field }) => field)).toEqual(sent ? [] : ['spec.trafficPolicy.proxyProtocol']);
  });
});
