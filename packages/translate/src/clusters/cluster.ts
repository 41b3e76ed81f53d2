import { create, type JsonObject } from '@bufbuild/protobuf';
import { fullHost, type Service, type ServicePort } from '@outrigger/resources';
import {
  type Cluster,
  Cluster_DiscoveryType,
  Cluster_DnsLookupFamily,
  Cluster_LbPolicy,
  ClusterSchema,
} from '@outrigger/xds/protos/envoy/config/cluster/v3/cluster';
import { ApiVersion } from '@outrigger/xds/protos/envoy/config/core/v3/config_source';
import { HttpProtocolOptionsSchema } from '@outrigger/xds/protos/envoy/extensions/upstreams/http/v3/http_protocol_options';
import { socketAddress } from '../addresses.ts';
import { HTTP_TUNNEL, inboundCluster, isSniCluster, type OutboundName, parseInboundCluster, parseOutboundCluster } from '../cluster-name.ts';
import { durationOf } from '../durations.ts';
import { http1Options } from '../http1.ts';
import { parseEgressTunnel } from '../listeners/egress-proxy.ts';
import { any, type Init, milliseconds } from '../messages.ts';
import { isHttp, isHttp2 } from '../protocols.ts';
import type { Reader } from '../reader.ts';
import type { MeshSettings } from '../settings.ts';
import { Visibility } from '../visibility.ts';
import { dnsAssignment, inSubset } from './endpoints.ts';
import { loadBalancer, localityLbSetting } from './load-balancer.ts';
import { takesMeshTls } from './mesh-tls.ts';
import { dynamicForwardProxy, originalDestination, outwardClusterNamed, ownSource } from './outward-clusters.ts';
import { breakerMetadata, circuitBreakers, OUTRIGGER_METADATA, outlierDetection } from './resilience.ts';
import { type EffectivePolicy, effectivePolicy, type FoundSubset, mergedRules, NO_POLICY } from './traffic-policy.ts';
import { sniffedMetadata, transportSecurity } from './transport-security.ts';

const CONNECT_TIMEOUT_MS = 1_000;
const ALL_ENDPOINTS = Number.POSITIVE_INFINITY;

type ClusterInit = Init<typeof ClusterSchema>;

/** One cluster by its name; undefined where the node has none of that name. */
export function clusterNamed(reader: Reader, name: string): Cluster | undefined {
  if (name === HTTP_TUNNEL) return reader.node.httpProxy === undefined ? undefined : tunnelCluster(name);
  const proxyPort = parseEgressTunnel(name);
  if (proxyPort !== undefined) return new Visibility(reader).egressProxies.some(({ port }) => port === proxyPort) ? tunnelCluster(name) : undefined;
  const applicationPort = parseInboundCluster(name);
  if (applicationPort !== undefined) return inbound(reader, applicationPort);
  const parsed = parseOutboundCluster(name);
  return parsed === undefined ? outwardClusterNamed(reader, name) : outbound(reader, name, parsed);
}

function outbound(reader: Reader, name: string, parsed: OutboundName): Cluster | undefined {
  const visibility = new Visibility(reader);
  const service = visibility.service(parsed.host);
  const port = service?.ports.find((candidate) => candidate.port === parsed.port);
  if (service === undefined || port === undefined) return undefined;
  const merged = mergedRules(visibility, service);
  const subset = parsed.subset === '' ? undefined : merged.subsets.get(parsed.subset);
  if (parsed.subset !== '' && subset === undefined) return undefined;
  for (const rule of merged.rules) reader.uses(rule);
  const policy = effectivePolicy(merged, parsed.port, subset);
  const everyone = reader.identities(service.hostname);
  const own = inSubset(everyone, subset);
  // A subset that is empty for a moment keeps its cluster as it was: one that changes is made anew, and forgets what it knew of its endpoints.
  const instances = own.length > 0 ? own : everyone;
  const meshed = instances.filter((instance) => takesMeshTls(reader, instance, parsed.port));
  // Of nothing everything is meshed: an internal service that has no instance yet is going to get meshed ones.
  const mayBeMeshed = service.location === 'MESH_INTERNAL' && service.resolution === 'STATIC' && (instances.length > 0 || service.bySrv !== true);
  const whereDialled = goesWhereDialled(reader, service, policy);
  const allMeshed = whereDialled
    ? service.location === 'MESH_INTERNAL' && instances.length > 0 && meshed.length === instances.length
    : mayBeMeshed && meshed.length === instances.length;
  const http2 = speaksHttp2(reader, port, policy, allMeshed);
  const grpc = reader.node.dataPlane === 'grpc';
  // What is passed through has its protocol and its TLS from its client.
  const secured = isSniCluster(name) ? {} : transportSecurity(reader, { service, port, parsed, policy, instances, meshed, allMeshed, http2, whereDialled });
  const toMesh =
    policy.tls === undefined ? secured.transportSocketMatches !== undefined || (whereDialled && allMeshed) : policy.tls.value.mode === 'ISTIO_MUTUAL';
  const sniffed = port.protocol === 'UNSUPPORTED' && toMesh && !grpc;
  return create(ClusterSchema, {
    name,
    ...(whereDialled
      ? { clusterDiscoveryType: originalDestination, lbPolicy: Cluster_LbPolicy.CLUSTER_PROVIDED }
      : { ...discovery(reader, service, parsed, subset, name), ...loadBalancerOf(reader, service, policy) }),
    connectTimeout: connectTimeout(reader, policy),
    commonLbConfig: {
      healthyPanicThreshold: { value: policy.outlierDetection?.value.minHealthPercent ?? 0 },
      // Envoy holds a second ejection back for a second by default, and sends to the ejected endpoint meanwhile.
      ...(reader.node.dataPlane === 'envoy' ? { updateMergeWindow: milliseconds(0) } : {}),
      ...(localityLbSetting(reader, policy)?.distribute === undefined ? {} : { localityConfigSpecifier: { case: 'localityWeightedLbConfig', value: {} } }),
    },
    circuitBreakers: circuitBreakers(reader.node, policy),
    outlierDetection: outlierDetection(reader, policy),
    ...(grpc ? {} : keepalive(reader, policy)),
    ...(!isSniCluster(name) && (isHttp(port.protocol) || port.protocol === 'UNSUPPORTED')
      ? { typedExtensionProtocolOptions: protocolOptions(reader, policy, http2) }
      : {}),
    ...secured,
    metadata: {
      filterMetadata: {
        istio: istioMetadata(service, merged.rules[0]?.metadata),
        [OUTRIGGER_METADATA]: sniffed ? { ...breakerMetadata, ...sniffedMetadata } : breakerMetadata,
      },
    },
  });
}

function istioMetadata(
  service: { readonly hostname: string; readonly name: string; readonly namespace: string },
  rule: { readonly namespace: string; readonly name: string } | undefined,
): JsonObject {
  return {
    services: [{ host: service.hostname, name: service.name, namespace: service.namespace }],
    ...(rule === undefined ? {} : { config: `/apis/networking.istio.io/v1/namespaces/${rule.namespace}/destination-rule/${rule.name}` }),
  };
}

/** A captured call to an instance of a headless service is for that instance, and nothing is chosen where a rule says PASSTHROUGH. */
function goesWhereDialled({ node }: Reader, service: Service, policy: EffectivePolicy): boolean {
  return node.capture !== undefined && (service.headless === true || service.resolution === 'NONE' || policy.loadBalancer?.value.simple === 'PASSTHROUGH');
}

/** NONE and DYNAMIC_DNS: the request says where to. */
function resolvesPerRequest(service: Service): boolean {
  return service.resolution === 'NONE' || service.resolution === 'DYNAMIC_DNS';
}

function loadBalancerOf(reader: Reader, service: Service, policy: EffectivePolicy): Pick<ClusterInit, 'lbPolicy' | 'lbConfig'> {
  return resolvesPerRequest(service) ? { lbPolicy: Cluster_LbPolicy.CLUSTER_PROVIDED } : loadBalancer(reader, policy);
}

function discovery(reader: Reader, service: Service, parsed: OutboundName, subset: FoundSubset | undefined, name: string): Partial<ClusterInit> {
  const { dnsRefreshMs } = reader.settings;
  const dns = {
    dnsLookupFamily: Cluster_DnsLookupFamily.V4_PREFERRED,
    respectDnsTtl: true,
    ...(dnsRefreshMs === undefined ? {} : { dnsRefreshRate: milliseconds(dnsRefreshMs) }),
  };
  switch (service.resolution) {
    case 'STATIC':
      return {
        clusterDiscoveryType: { case: 'type', value: Cluster_DiscoveryType.EDS },
        edsClusterConfig: {
          serviceName: name,
          edsConfig: { resourceApiVersion: ApiVersion.V3, configSourceSpecifier: { case: 'ads', value: {} }, initialFetchTimeout: milliseconds(0) },
        },
      };
    case 'DNS':
      return {
        clusterDiscoveryType: { case: 'type', value: Cluster_DiscoveryType.STRICT_DNS },
        ...dns,
        loadAssignment: dnsAssignment(reader, service, parsed, subset, name, ALL_ENDPOINTS),
      };
    case 'DNS_ROUND_ROBIN':
      return {
        clusterDiscoveryType: { case: 'type', value: Cluster_DiscoveryType.LOGICAL_DNS },
        ...dns,
        loadAssignment: dnsAssignment(reader, service, parsed, subset, name, 1),
      };
    default:
      return { clusterDiscoveryType: dynamicForwardProxy() };
  }
}

function connectTimeout(reader: Reader, policy: EffectivePolicy) {
  const placed = policy.connectionPool;
  const set = placed === undefined ? undefined : durationOf(reader, placed.rule, `${placed.field}.tcp.connectTimeout`, placed.value.tcp?.connectTimeout);
  return set ?? milliseconds(reader.settings.connectTimeoutMs);
}

function keepalive(reader: Reader, policy: EffectivePolicy): Partial<ClusterInit> {
  const placed = policy.connectionPool;
  const settings = placed?.value.tcp?.tcpKeepalive;
  if (placed === undefined || settings === undefined) return meshKeepalive(reader.settings.tcpKeepalive);
  const seconds = (name: 'time' | 'interval') => {
    const duration = durationOf(reader, placed.rule, `${placed.field}.tcp.tcpKeepalive.${name}`, settings[name]);
    return duration === undefined ? undefined : Math.max(1, Number(duration.seconds));
  };
  const time = seconds('time');
  const interval = seconds('interval');
  return {
    upstreamConnectionOptions: {
      tcpKeepalive: {
        ...(settings.probes === undefined || settings.probes === 0 ? {} : { keepaliveProbes: settings.probes }),
        ...(time === undefined ? {} : { keepaliveTime: time }),
        ...(interval === undefined ? {} : { keepaliveInterval: interval }),
      },
    },
  };
}

function meshKeepalive(settings: MeshSettings['tcpKeepalive']): Partial<ClusterInit> {
  if (settings === undefined) return {};
  const { probes, timeMs, intervalMs } = settings;
  const seconds = (ms: number): number => Math.max(1, Math.floor(ms / 1000));
  return {
    upstreamConnectionOptions: {
      tcpKeepalive: {
        ...(probes === undefined || probes === 0 ? {} : { keepaliveProbes: probes }),
        ...(timeMs === undefined ? {} : { keepaliveTime: seconds(timeMs) }),
        ...(intervalMs === undefined ? {} : { keepaliveInterval: seconds(intervalMs) }),
      },
    },
  };
}

function speaksHttp2({ settings }: Reader, port: ServicePort, policy: EffectivePolicy, allMeshed: boolean): boolean {
  if (isHttp2(port.protocol)) return true;
  if (!isHttp(port.protocol)) return false;
  const mode = policy.tls?.value.mode;
  if (mode === 'ISTIO_MUTUAL' || (mode === undefined && allMeshed && settings.autoMtls)) return true;
  const upgrade = policy.connectionPool?.value.http?.h2UpgradePolicy ?? 'DEFAULT';
  return upgrade === 'UPGRADE' || (upgrade === 'DEFAULT' && settings.upgradesToHttp2);
}

/** Websockets cross an HTTP/2 hop by extended CONNECT (RFC 8441). */
const http2Options = { allowConnect: true } as const;

function protocolOptions(reader: Reader, policy: EffectivePolicy, http2: boolean): NonNullable<ClusterInit['typedExtensionProtocolOptions']> {
  const placed = policy.connectionPool;
  const http = placed?.value.http;
  const duration = (field: string, text: string | undefined) =>
    placed === undefined ? undefined : durationOf(reader, placed.rule, `${placed.field}.${field}`, text);
  const idleTimeout = duration('http.idleTimeout', http?.idleTimeout);
  const maxConnectionDuration = duration('tcp.maxConnectionDuration', placed?.value.tcp?.maxConnectionDuration);
  const keepaliveInterval = duration('http.http2KeepAlive.interval', http?.http2KeepAlive?.interval);
  const keepaliveTimeout = duration('http.http2KeepAlive.timeout', http?.http2KeepAlive?.timeout);
  const h2 = {
    ...http2Options,
    ...(http?.maxConcurrentStreams ? { maxConcurrentStreams: http.maxConcurrentStreams } : {}),
    ...(keepaliveInterval !== undefined && keepaliveTimeout !== undefined
      ? { connectionKeepalive: { interval: keepaliveInterval, timeout: keepaliveTimeout } }
      : {}),
  };
  return {
    'envoy.extensions.upstreams.http.v3.HttpProtocolOptions': any(HttpProtocolOptionsSchema, {
      commonHttpProtocolOptions: {
        ...(idleTimeout === undefined ? {} : { idleTimeout }),
        ...(maxConnectionDuration === undefined ? {} : { maxConnectionDuration }),
        ...(http?.maxRequestsPerConnection ? { maxRequestsPerConnection: http.maxRequestsPerConnection } : {}),
      },
      upstreamProtocolOptions:
        http?.useClientProtocol === true
          ? { case: 'useDownstreamProtocolConfig', value: { httpProtocolOptions: http1Options(reader.node), http2ProtocolOptions: h2 } }
          : {
              case: 'explicitHttpConfig',
              value: {
                protocolConfig: http2 ? { case: 'http2ProtocolOptions', value: h2 } : { case: 'httpProtocolOptions', value: http1Options(reader.node) },
              },
            },
    }),
  };
}

function tunnelCluster(name: string): Cluster {
  return create(ClusterSchema, {
    name,
    clusterDiscoveryType: { case: 'type', value: Cluster_DiscoveryType.STATIC },
    connectTimeout: milliseconds(CONNECT_TIMEOUT_MS),
    loadAssignment: {
      clusterName: name,
      endpoints: [
        {
          lbEndpoints: [
            {
              hostIdentifier: {
                case: 'endpoint',
                value: {
                  address: { address: { case: 'envoyInternalAddress', value: { addressNameSpecifier: { case: 'serverListenerName', value: name } } } },
                },
              },
            },
          ],
        },
      ],
    },
  });
}

function inbound(reader: Reader, applicationPort: number): Cluster | undefined {
  const { node, settings } = reader;
  const port = node.inbound.find(({ application }) => application.port === applicationPort);
  if (port === undefined) return undefined;
  const name = inboundCluster(applicationPort);
  const http2 = isHttp2(port.protocol);
  const own = { hostname: fullHost(node.service, node.namespace, settings.domainSuffix), name: node.service, namespace: node.namespace };
  return create(ClusterSchema, {
    name,
    metadata: { filterMetadata: { istio: istioMetadata(own, undefined) } },
    clusterDiscoveryType: { case: 'type', value: Cluster_DiscoveryType.STATIC },
    lbPolicy: Cluster_LbPolicy.ROUND_ROBIN,
    connectTimeout: milliseconds(CONNECT_TIMEOUT_MS),
    loadAssignment: {
      clusterName: name,
      endpoints: [{ lbEndpoints: [{ hostIdentifier: { case: 'endpoint', value: { address: socketAddress(port.application.host, port.application.port) } } }] }],
    },
    ...(node.capture?.addresses.includes(port.application.host) === true ? { upstreamBindConfig: ownSource(reader) } : {}),
    circuitBreakers: circuitBreakers(reader.node, NO_POLICY),
    ...(isHttp(port.protocol)
      ? {
          typedExtensionProtocolOptions: {
            'envoy.extensions.upstreams.http.v3.HttpProtocolOptions': any(HttpProtocolOptionsSchema, {
              upstreamProtocolOptions: {
                case: 'explicitHttpConfig',
                value: {
                  protocolConfig: http2
                    ? { case: 'http2ProtocolOptions', value: http2Options }
                    : { case: 'httpProtocolOptions', value: http1Options(reader.node) },
                },
              },
            }),
          },
        }
      : {}),
  });
}
