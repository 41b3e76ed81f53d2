import { createRegistry, toJson } from '@bufbuild/protobuf';
import { meshConfigFields, type Resource, type Service } from '@outrigger/resources';
import { ClusterSchema } from '@outrigger/xds/protos/envoy/config/cluster/v3/cluster';
import { ListenerSchema } from '@outrigger/xds/protos/envoy/config/listener/v3/listener';
import { RouteConfigurationSchema } from '@outrigger/xds/protos/envoy/config/route/v3/route';
import { OpenTelemetryConfigSchema } from '@outrigger/xds/protos/envoy/config/trace/v3/opentelemetry';
import { FileAccessLogSchema } from '@outrigger/xds/protos/envoy/extensions/access_loggers/file/v3/file';
import { CorsSchema } from '@outrigger/xds/protos/envoy/extensions/filters/http/cors/v3/cors';
import { FilterConfigSchema as DynamicForwardProxySchema } from '@outrigger/xds/protos/envoy/extensions/filters/http/dynamic_forward_proxy/v3/dynamic_forward_proxy';
import { HTTPFaultSchema } from '@outrigger/xds/protos/envoy/extensions/filters/http/fault/v3/fault';
import { RouterSchema } from '@outrigger/xds/protos/envoy/extensions/filters/http/router/v3/router';
import { HttpConnectionManagerSchema } from '@outrigger/xds/protos/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager';
import { RawBufferSchema } from '@outrigger/xds/protos/envoy/extensions/transport_sockets/raw_buffer/v3/raw_buffer';
import { UpstreamTlsContextSchema } from '@outrigger/xds/protos/envoy/extensions/transport_sockets/tls/v3/tls';
import { HttpProtocolOptionsSchema } from '@outrigger/xds/protos/envoy/extensions/upstreams/http/v3/http_protocol_options';
import { expect, it, test } from 'vitest';
import { keys } from './keys.ts';
import { buildMesh, changeMesh } from './mesh.ts';
import { settingsOf } from './mesh-config.ts';
import { defaultSettings } from './settings.ts';
import { instance, node, resource, service, shopInstances, shopServices } from './testing/shop.ts';
import { cluster, endpoints, listener, virtualHost } from './translate.ts';

const registry = createRegistry(
  CorsSchema,
  DynamicForwardProxySchema,
  HTTPFaultSchema,
  RouterSchema,
  OpenTelemetryConfigSchema,
  FileAccessLogSchema,
  HttpConnectionManagerSchema,
  HttpProtocolOptionsSchema,
  RawBufferSchema,
  UpstreamTlsContextSchema,
  RouteConfigurationSchema,
);
const NAME = 'outbound|8080||payment-service.default.svc.cluster.local';

// biome-ignore lint/suspicious/noExplicitAny: JSON, looked into by tests
type Tree = any;

interface World {
  readonly config?: readonly Resource[];
  readonly services?: readonly Service[];
}

const meshOf = (meshConfig: object, { config = [], services = shopServices }: World = {}) =>
  buildMesh({ config, services, instances: shopInstances, settings: settingsOf(meshConfig as Parameters<typeof settingsOf>[0]) });
const clusterOf = (meshConfig: object, world?: World): Tree =>
  toJson(ClusterSchema, cluster(meshOf(meshConfig, world), node('web'), NAME).message!, { registry });
const rule = (trafficPolicy: object) => resource('DestinationRule', 'rule', { host: 'payment-service', trafficPolicy });

it.each<[string, object, object, object]>([
  ['connectTimeout', { connectTimeout: '3s' }, { connectTimeout: '3s' }, { connectTimeout: '1s' }],
  [
    'tcpKeepalive',
    { tcpKeepalive: { probes: 3, time: '60s', interval: '10s' } },
    { upstreamConnectionOptions: { tcpKeepalive: { keepaliveProbes: 3, keepaliveTime: 60, keepaliveInterval: 10 } } },
    {},
  ],
])('%s is in effect where no DestinationRule says otherwise', (_, config, expected, otherwise) => {
  expect(clusterOf(config)).toMatchObject(expected);
  expect(clusterOf({})).toMatchObject(otherwise);
  const own = rule({ connectionPool: { tcp: { connectTimeout: '7s', tcpKeepalive: { probes: 9 } } } });
  expect(clusterOf(config, { config: [own] })).toMatchObject({ connectTimeout: '7s', upstreamConnectionOptions: { tcpKeepalive: { keepaliveProbes: 9 } } });
});

it('enableAutoMtls false: mesh mTLS where a DestinationRule says so, and nowhere else', () => {
  expect(clusterOf({}).transportSocketMatches).toBeDefined();
  const plain = clusterOf({ enableAutoMtls: false });
  expect([plain.transportSocketMatches, plain.transportSocket]).toEqual([undefined, undefined]);
  expect(JSON.stringify(plain)).not.toContain('http2ProtocolOptions');
  const mutual = clusterOf({ enableAutoMtls: false }, { config: [rule({ tls: { mode: 'ISTIO_MUTUAL' } })] });
  expect(mutual.transportSocket.name).toBe('envoy.transport_sockets.tls');
});

it('meshMTLS.minProtocolVersion', () => {
  const least = (config: object) =>
    clusterOf(config).transportSocketMatches[0].transportSocket.typedConfig.commonTlsContext.tlsParams.tlsMinimumProtocolVersion;
  expect([least({}), least({ meshMTLS: { minProtocolVersion: 'TLSV1_3' } })]).toEqual(['TLSv1_2', 'TLSv1_3']);
});

it('h2UpgradePolicy', () => {
  const plain = { enableAutoMtls: false };
  const isHttp2 = (config: object, world?: World) => JSON.stringify(clusterOf({ ...plain, ...config }, world)).includes('http2ProtocolOptions');
  const never = rule({ connectionPool: { http: { h2UpgradePolicy: 'DO_NOT_UPGRADE' } } });
  expect([isHttp2({}), isHttp2({ h2UpgradePolicy: 'UPGRADE' }), isHttp2({ h2UpgradePolicy: 'UPGRADE' }, { config: [never] })]).toEqual([false, true, false]);
});

it('localityLbSetting: of a DestinationRule, else of the mesh', () => {
  const config = { localityLbSetting: { distribute: [{ from: '*', to: { 'eu/*': 100 } }] } };
  expect(clusterOf(config).commonLbConfig.localityWeightedLbConfig).toEqual({});
  const off = rule({ loadBalancer: { localityLbSetting: { enabled: false } } });
  expect(clusterOf(config, { config: [off] }).commonLbConfig.localityWeightedLbConfig).toBeUndefined();
  const instances = ['eu/a/1', 'us/a/1'].map((locality, index) => instance('payment-service', 'v1', index, 8080, 20_010 + index, { locality }));
  const mesh = buildMesh({ config: [], services: shopServices, instances, settings: settingsOf({ localityLbSetting: { failover: [] } }) });
  const near = endpoints(mesh, node('web', { locality: 'us/a/1' }), NAME).message!;
  expect(near.endpoints.map(({ locality, priority }) => [locality?.region, priority])).toEqual([
    ['eu', 1],
    ['us', 0],
  ]);
});

it('dnsRefreshRate', () => {
  const outside = service('outside', 80, 'HTTP', { hostname: 'outside.example', resolution: 'DNS' });
  const refreshed = (config: object) =>
    toJson(ClusterSchema, cluster(meshOf(config, { services: [outside] }), node('web'), 'outbound|80||outside.example').message!, { registry }) as Tree;
  expect([refreshed({}).dnsRefreshRate, refreshed({ dnsRefreshRate: '30s' }).dnsRefreshRate]).toEqual([undefined, '30s']);
});

it('defaultHttpRetryPolicy: of routes that say nothing of retries', () => {
  const retries = (config: object, own?: object) => {
    const route = {
      hosts: ['payment-service'],
      http: [{ route: [{ destination: { host: 'payment-service' } }], ...(own === undefined ? {} : { retries: own }) }],
    };
    const virtualService = resource('VirtualService', 'payment', route);
    const found = virtualHost(meshOf(config, { config: [virtualService] }), node('web'), 'http_proxy/payment-service:8080').message!;
    const { action } = found.routes.at(-1)!;
    return action.case === 'route' ? action.value.retryPolicy : undefined;
  };
  const policy = { defaultHttpRetryPolicy: { attempts: 7, retryOn: 'reset', perTryTimeout: '2s' } };
  expect(retries(policy)).toMatchObject({ retryOn: 'reset', numRetries: 7, perTryTimeout: { seconds: 2n } });
  expect(retries(policy, { attempts: 2 })?.numRetries).toBe(2);
  expect(retries({ defaultHttpRetryPolicy: { attempts: 0 } })).toBeUndefined();
});

it('pathNormalization and accessLog', () => {
  const managerOf = (config: object, accessLog?: string): Tree => {
    const { message } = listener(meshOf(config), node('web', accessLog === undefined ? {} : { accessLog }), 'http_proxy');
    return (toJson(ListenerSchema, message!, { registry }) as Tree).filterChains[0].filters[0].typedConfig;
  };
  const normal = (normalization?: string) => {
    const { normalizePath, mergeSlashes, pathWithEscapedSlashesAction } = managerOf(
      normalization === undefined ? {} : { pathNormalization: { normalization } },
    );
    return [normalizePath, mergeSlashes, pathWithEscapedSlashesAction];
  };
  expect(normal()).toEqual([true, undefined, undefined]);
  expect(normal('DEFAULT')).toEqual(normal());
  expect(normal('NONE')).toEqual([false, undefined, undefined]);
  expect(normal('MERGE_SLASHES')).toEqual([true, true, undefined]);
  expect(normal('DECODE_AND_MERGE_SLASHES')).toEqual([true, true, 'UNESCAPE_AND_FORWARD']);
  const log = (config: object, own?: string) => managerOf(config, own).accessLog?.map(({ typedConfig }: Tree) => [typedConfig.path, typedConfig.logFormat]);
  expect(log({})).toBeUndefined();
  expect(log({ accessLogFile: '/dev/stdout' })[0][1].jsonFormat).toMatchObject({ method: '%REQ(:METHOD)%' });
  expect(log({ accessLogFile: '/dev/stdout' }, '/own')[0][0]).toBe('/own');
  const line = { textFormatSource: { inlineString: '%PROTOCOL%\n' } };
  expect(log({ accessLogFile: '/log', accessLogFormat: '%PROTOCOL%\n' })).toEqual([['/log', line]]);
  expect(log({ accessLogFile: '/log', accessLogEncoding: 'JSON', accessLogFormat: '{"p": "%PROTOCOL%"}' })).toEqual([
    ['/log', { jsonFormat: { p: '%PROTOCOL%' } }],
  ]);
});

it('enableTracing false: no spans, but where a Telemetry gives a percentage', () => {
  const otlp = { host: '127.0.0.1', port: 4318 };
  const traces = (config: object, more: readonly Resource[] = []): boolean => {
    const { message } = listener(meshOf(config, { config: more }), node('web', { otlp }), 'http_proxy');
    return JSON.stringify(toJson(ListenerSchema, message!, { registry })).includes('"tracing"');
  };
  const telemetry = { ...resource('Telemetry', 'share', { tracing: [{ randomSamplingPercentage: 10 }] }), apiVersion: 'telemetry.istio.io/v1' };
  expect([traces({}), traces({ enableTracing: false }), traces({ enableTracing: false }, [telemetry])]).toEqual([true, false, true]);
});

it.each([
  ['defaultServiceExportTo', undefined],
  ['defaultDestinationRuleExportTo', '1s'],
])('%s: of what says nothing of it', (name, seen) => {
  const config = [rule({ connectionPool: { tcp: { connectTimeout: '7s' } } })];
  const timeout = (mesh: object, namespace: string) => {
    const services = shopServices.map((one) => ({ ...one, exportTo: [] }));
    const { message } = cluster(meshOf(mesh, { config, services }), node('web', { namespace }), NAME);
    return message === undefined ? undefined : (toJson(ClusterSchema, message, { registry }) as Tree).connectTimeout;
  };
  expect([timeout({}, 'other'), timeout({ [name]: ['.'] }, 'other'), timeout({ [name]: ['.'] }, 'default')]).toEqual(['7s', seen, '7s']);
});

test('other settings touch everything, the same touch nothing', () => {
  const mesh = meshOf({});
  const settings = { ...defaultSettings, ...settingsOf({ connectTimeout: '3s' }) };
  const changed = changeMesh(mesh, { settings });
  expect(changed.touched).toEqual(new Set([keys.settings]));
  expect(changeMesh(changed.mesh, { settings: { ...settings } }).touched.size).toBe(0);
});

test('every field that is in effect changes a setting', () => {
  const written: Record<string, object | string | boolean> = {
    accessLogEncoding: 'JSON',
    accessLogFile: '/log',
    accessLogFormat: '{"a": "b"}',
    connectTimeout: '3s',
    defaultDestinationRuleExportTo: ['.'],
    defaultHttpRetryPolicy: { attempts: 1 },
    defaultServiceExportTo: ['.'],
    defaultVirtualServiceExportTo: ['.'],
    dnsRefreshRate: '3s',
    enableAutoMtls: false,
    enableTracing: false,
    h2UpgradePolicy: 'UPGRADE',
    localityLbSetting: {},
    meshMTLS: { minProtocolVersion: 'TLSV1_3' },
    outboundTrafficPolicy: { mode: 'REGISTRY_ONLY' },
    pathNormalization: { normalization: 'NONE' },
    rootNamespace: 'mesh',
    tcpKeepalive: {},
    trustDomain: 'td',
    trustDomainAliases: ['old'],
  };
  const inEffect = Object.entries(meshConfigFields).filter(([, { effect }]) => effect === 'yes' || effect === 'start');
  expect(Object.keys(written).sort()).toEqual(inEffect.map(([name]) => name).sort());
  const all = written as Parameters<typeof settingsOf>[0];
  for (const name of Object.keys(written)) {
    const { [name]: _, ...others } = all;
    expect(settingsOf(all), name).not.toEqual(settingsOf(others));
  }
});
