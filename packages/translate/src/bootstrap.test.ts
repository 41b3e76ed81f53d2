import { describe, expect, test } from 'vitest';
import { bootstrapText, envoyBootstrap } from './bootstrap.ts';
import { grpcBootstrap } from './grpc-bootstrap.ts';
import { buildMesh } from './mesh.ts';
import { node, paymentLock, service, shopInstances, shopServices } from './testing/shop.ts';
import { listener, listenerNames } from './translate.ts';

const sdsPipe = '/run/sds.sock';
const admin = { host: '127.0.0.1', port: 15_000 };
const parsed = (options: Parameters<typeof envoyBootstrap>[0]) => JSON.parse(bootstrapText(envoyBootstrap(options)));

describe("Envoy's bootstrap", () => {
  test('for our proxy: the control plane over mTLS, clusters on demand', () => {
    const bootstrap = parsed({
      node: node('web', { locality: 'eu/a' }),
      ads: { host: '127.0.0.1', port: 15_010, spiffeIds: ['spiffe://cluster.local/ns/istio-system/sa/outrigger'] },
      sdsPipe,
      admin,
    });
    expect(bootstrap.node).toMatchObject({
      id: 'web-1.default',
      cluster: 'web',
      locality: { region: 'eu', zone: 'a' },
      metadata: { ON_DEMAND: true, HTTP_PROXY: '127.0.0.1:18001' },
    });
    expect(bootstrap.dynamicResources).toMatchObject({ adsConfig: { apiType: 'DELTA_GRPC' }, ldsConfig: { ads: {} } });
    expect(bootstrap.dynamicResources.cdsConfig).toBeUndefined();
    const [ads, sds] = bootstrap.staticResources.clusters;
    expect(ads).toMatchObject({ name: 'xds-grpc', transportSocket: { typedConfig: { commonTlsContext: { alpnProtocols: ['h2'] } } } });
    expect(JSON.stringify(ads)).toContain('spiffe://cluster.local/ns/istio-system/sa/outrigger');
    expect(sds).toMatchObject({ name: 'sds-grpc', loadAssignment: { endpoints: [{ lbEndpoints: [{ endpoint: { address: { pipe: { path: sdsPipe } } } }] }] } });
  });

  test('for Envoy: a pipe to the relay, everything by wildcard, a collector by name', () => {
    const bootstrap = parsed({
      node: node('web', { dataPlane: 'envoy', onDemand: false, otlp: { host: 'collector', port: 4318 } }),
      ads: { pipe: '/run/ads.sock' },
      sdsPipe,
      admin,
    });
    expect(bootstrap.dynamicResources.cdsConfig).toMatchObject({ ads: {} });
    expect(bootstrap.bootstrapExtensions).toMatchObject([{ name: 'envoy.bootstrap.internal_listener' }]);
    // biome-ignore lint/suspicious/noExplicitAny: JSON
    expect(bootstrap.staticResources.clusters.map(({ name, type }: any) => `${name} ${type ?? 'STATIC'}`)).toEqual([
      'xds-grpc STATIC',
      'sds-grpc STATIC',
      'otlp STRICT_DNS',
    ]);
  });
});

describe('gRPC without a proxy', () => {
  test('a bootstrap with and without certificates', () => {
    const plain = JSON.parse(grpcBootstrap({ node: node('web'), serverUri: 'unix:///run/ads.sock' }));
    expect(plain).toMatchObject({
      xds_servers: [{ server_uri: 'unix:///run/ads.sock', channel_creds: [{ type: 'insecure' }] }],
      node: { metadata: { DATA_PLANE: 'grpc' } },
    });
    expect(plain.certificate_providers).toBeUndefined();
    const secure = JSON.parse(
      grpcBootstrap({ node: node('web'), serverUri: 'unix:///run/ads.sock', certificates: { certificateFile: '/c', privateKeyFile: '/k', bundleFile: '/b' } }),
    );
    expect(secure.node.metadata.CERTIFICATES).toBe(true);
    expect(secure.certificate_providers.default).toMatchObject({
      plugin_name: 'file_watcher',
      config: { certificate_file: '/c', private_key_file: '/k', ca_certificate_file: '/b' },
    });
  });

  const mesh = buildMesh({ config: [paymentLock], services: [...shopServices, service('greeter', 50_051, 'GRPC')], instances: shopInstances });
  test('a channel finds its listener by any name of the service', () => {
    const client = node('web', { dataPlane: 'grpc', httpProxy: undefined });
    for (const name of ['greeter:50051', 'greeter.default.svc.cluster.local:50051'])
      expect(listener(mesh, client, name).message).toMatchObject({ name, apiListener: {} });
    for (const name of ['greeter', 'greeter:1', 'nobody:50051']) expect(listener(mesh, client, name).message).toBeUndefined();
    expect(listenerNames(mesh, client).names).toEqual([]);
  });

  test('a server finds its own, with TLS where it has certificates, and policies', () => {
    const server = (certificates: boolean) =>
      node('payment-service', { dataPlane: 'grpc', labels: { app: 'payment-service' }, certificates, httpProxy: undefined });
    const name = 'grpc-server/127.0.0.1:50051';
    expect(listener(mesh, server(false), name).message!.filterChains[0]).toMatchObject({ name: 'plaintext' });
    const secure = listener(mesh, server(true), name);
    expect(secure.message!.filterChains[0]!.transportSocket).toBeDefined();
    expect(secure.sources).toMatchObject([{ kind: 'AuthorizationPolicy' }]);
  });
});

test('the listeners of a sidecar', () => {
  const mesh = buildMesh({ config: [], services: [...shopServices, service('redis', 6379, 'TCP')], instances: shopInstances });
  const upstream = (name: string, port: number, own: number) => ({ service: name, port, address: { host: '127.0.0.1', port: own } });
  const sidecar = node('web', { upstreams: [upstream('redis', 6379, 7001), upstream('order-service', 8080, 7002), upstream('later', 1, 7003)] });
  const { names } = listenerNames(mesh, sidecar);
  expect(names).toEqual([
    'inbound_127.0.0.1_19001',
    'upstream_127.0.0.1_7001',
    'upstream_127.0.0.1_7002',
    'upstream_127.0.0.1_7003',
    'http_proxy',
    'http_tunnel',
  ]);
  const filters = names.map((name) =>
    listener(mesh, sidecar, name)
      .message!.filterChains.at(-1)!
      .filters.map(({ name }) => name.split('.').at(-1))
      .join(),
  );
  expect(filters).toEqual([
    'http_connection_manager',
    'tcp_proxy',
    'http_connection_manager',
    'http_connection_manager',
    'http_connection_manager',
    'http_connection_manager',
  ]);
  expect(listener(mesh, sidecar, 'http_tunnel').message!.listenerSpecifier.case).toBe('internalListener');
  expect(listenerNames(mesh, node('web', { httpProxy: undefined })).names).toEqual(['inbound_127.0.0.1_19001']);
});
