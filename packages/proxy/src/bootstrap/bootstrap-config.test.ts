import type { JsonObject } from '@bufbuild/protobuf';
import { describe, expect, it } from 'vitest';
import { createProxy } from '../engine/proxy.ts';
import { typed } from '../testing/messages.ts';
import { BootstrapError, readBootstrap } from './bootstrap-config.ts';

const ADS: JsonObject = { apiType: 'DELTA_GRPC', transportApiVersion: 'V3', grpcServices: [{ envoyGrpc: { clusterName: 'xds-grpc' } }] };
const pipe = (name: string): JsonObject => ({
  name,
  loadAssignment: { clusterName: name, endpoints: [{ lbEndpoints: [{ endpoint: { address: { pipe: { path: '/tmp/x.sock' } } } }] }] },
});

function bootstrap(fields: JsonObject = {}): JsonObject {
  return {
    node: { id: 'web-1.default', cluster: 'web' },
    staticResources: { clusters: [pipe('xds-grpc')] },
    dynamicResources: { adsConfig: ADS, ldsConfig: { ads: {} } },
    ...fields,
  };
}

const read = (json: JsonObject) => readBootstrap(JSON.stringify(json), 'proxy.json');

it('is read as Envoy has it', async () => {
  const config = await read(
    bootstrap({
      admin: { address: { socketAddress: { address: '127.0.0.1', portValue: 15000 } } },
      bootstrapExtensions: [{ name: 'internal', typedConfig: typed('envoy.extensions.bootstrap.internal_listener.v3.InternalListener') }],
    }),
  );
  expect(config).toMatchObject({
    node: { id: 'web-1.default' },
    admin: { kind: 'socket', host: '127.0.0.1', port: 15000 },
    ads: { cluster: 'xds-grpc', spiffeIds: [] },
    listenersOverAds: true,
    clustersOverAds: false,
  });
});

it('keeps the admin interface to this machine', async () => {
  const at = (address: string) => read(bootstrap({ admin: { address: { socketAddress: { address, portValue: 15000 } } } }));
  for (const address of ['127.0.0.1', '127.9.9.9', '::1']) expect((await at(address)).admin).toMatchObject({ host: address });
  for (const address of ['0.0.0.0', '::', '10.0.0.1', '127.evil.example']) await expect(at(address)).rejects.toThrow('must be a loopback address');
});

it('has numbers of the runtime, as they are written or one in another; the last layer has its way', async () => {
  const layers = [
    {
      name: 'one',
      staticLayer: { 'overload.global_downstream_max_connections': 7, envoy: { resource_limits: { listener: { in: { connection_limit: 3 } } } } },
    },
    { name: 'two', staticLayer: { overload: { global_downstream_max_connections: 9 } } },
  ];
  const config = await read(bootstrap({ layeredRuntime: { layers } }));
  expect(config.maxConnections).toBe(9);
  expect(config.runtime.get('envoy.resource_limits.listener.in.connection_limit')).toBe(3);
});

it('may have everything in itself, with any type that Envoy knows', async () => {
  const router = { name: 'router', typedConfig: typed('envoy.extensions.filters.http.router.v3.Router') };
  const http = typed('envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager', {
    statPrefix: 'x',
    routeConfig: {},
    httpFilters: [router],
  });
  const listeners = [{ name: 'in', address: { pipe: { path: '/tmp/in.sock' } }, filterChains: [{ filters: [{ name: 'http', typedConfig: http }] }] }];
  const config = await read({ node: { id: 'x' }, staticResources: { listeners } });
  expect([config.ads, config.admin, config.listeners.length]).toEqual([null, null, 1]);
});

describe('the identity of the control plane', () => {
  const tls = (validation: JsonObject): JsonObject => ({
    ...pipe('xds-grpc'),
    transportSocket: { name: 'tls', typedConfig: typed('envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext', { commonTlsContext: validation }) },
  });
  const names = { matchTypedSubjectAltNames: [{ sanType: 'URI', matcher: { exact: 'spiffe://cluster.local/ns/istio-system/sa/rig' } }] };

  it.each<[string, JsonObject]>([
    ['beside SDS', { combinedValidationContext: { defaultValidationContext: names, validationContextSdsSecretConfig: { name: 'ROOTCA' } } }],
    ['inline', { validationContext: { ...names, trustedCa: { inlineString: 'x' } } }],
  ])('is the one that is named (%s)', async (_how, validation) => {
    expect((await read(bootstrap({ staticResources: { clusters: [tls(validation)] } }))).ads?.spiffeIds).toEqual([
      'spiffe://cluster.local/ns/istio-system/sa/rig',
    ]);
  });

  it.each<[string, JsonObject]>([
    ['none', { validationContextSdsSecretConfig: { name: 'ROOTCA' } }],
    ['a prefix alone', { validationContext: { matchTypedSubjectAltNames: [{ sanType: 'URI', matcher: { prefix: 'spiffe://' } }] } }],
  ])('must be one: %s is refused', async (_what, validation) => {
    await expect(read(bootstrap({ staticResources: { clusters: [tls(validation)] } }))).rejects.toThrow('must name the identity of the control plane');
  });
});

describe('an error', () => {
  it('of syntax says where', async () => {
    await expect(readBootstrap('{"node": ', '/etc/proxy.json')).rejects.toMatchObject({
      code: 'syntax',
      message: expect.stringMatching(/^\/etc\/proxy\.json is not JSON: /) as string,
    });
  });

  it.each<[string, JsonObject, string]>([
    ['a field that does not exist', { nodes: {} }, 'proxy.json is no Envoy bootstrap: cannot decode'],
    ['no node', { node: {} }, 'node.id: must not be empty'],
    ['state of the world', { dynamicResources: { adsConfig: { ...ADS, apiType: 'GRPC' } } }, 'dynamic_resources.ads_config.api_type: only DELTA_GRPC'],
    [
      'a service of Google',
      { dynamicResources: { adsConfig: { ...ADS, grpcServices: [{ googleGrpc: { targetUri: 'x', statPrefix: 'x' } }] } } },
      'needs an envoy_grpc service',
    ],
    ['a cluster that is not there', { staticResources: {} }, 'there is no static cluster xds-grpc'],
    [
      'listeners from a file',
      { dynamicResources: { adsConfig: ADS, ldsConfig: { pathConfigSource: { path: '/x' } } } },
      'dynamic_resources.lds_config: only ads',
    ],
    ['clusters from a file', { dynamicResources: { adsConfig: ADS, cdsConfig: { path: '/x' } } }, 'dynamic_resources.cds_config: only ads'],
    [
      'an address that is none',
      { admin: { address: { socketAddress: { address: '', portValue: 1 } } } },
      'admin.address.socket_address.address: must not be empty',
    ],
    [
      'an admin port without number',
      { admin: { address: { socketAddress: { address: '127.0.0.1', namedPort: 'http' } } } },
      'admin.address.socket_address.named_port',
    ],
  ])('names the field: %s', async (_what, fields, words) => {
    const failure = await read(bootstrap(fields)).then(
      () => undefined,
      (error: unknown) => error,
    );
    expect(failure).toBeInstanceOf(BootstrapError);
    expect((failure as BootstrapError).code).toBe('invalid');
    expect((failure as BootstrapError).message).toContain(words);
  });

  it('of a static cluster or listener says which', async () => {
    const bad = await read(bootstrap({ staticResources: { clusters: [pipe('xds-grpc'), { name: 'bad', type: 'ORIGINAL_DST' }] } }));
    expect(() => createProxy(bad)).toThrow('static cluster bad cannot be used: lb_policy: must be CLUSTER_PROVIDED for ORIGINAL_DST');
    const listeners = [{ name: 'empty', address: { pipe: { path: '/tmp/in.sock' } } }];
    const proxy = createProxy(await read({ node: { id: 'x' }, staticResources: { listeners } }));
    await expect(proxy.start()).rejects.toThrow('static listener empty cannot be used: filter_chains: needs at least one filter chain');
    await proxy.close();
  });
});
