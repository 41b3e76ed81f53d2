import { create } from '@bufbuild/protobuf';
import { type Cluster, Cluster_DiscoveryType, Cluster_LbPolicy, ClusterSchema } from '@outrigger/xds/protos/envoy/config/cluster/v3/cluster';
import type { BindConfigSchema } from '@outrigger/xds/protos/envoy/config/core/v3/address';
import { ClusterConfigSchema } from '@outrigger/xds/protos/envoy/extensions/clusters/dynamic_forward_proxy/v3/cluster';
import { HttpProtocolOptionsSchema } from '@outrigger/xds/protos/envoy/extensions/upstreams/http/v3/http_protocol_options';
import { BLACK_HOLE_CLUSTER, DYNAMIC_DNS_CLUSTER, INBOUND_PASSTHROUGH_CLUSTER, PASSTHROUGH_CLUSTER } from '../cluster-name.ts';
import { http1Options } from '../http1.ts';
import { any, type Init, milliseconds } from '../messages.ts';
import type { Reader } from '../reader.ts';
import { Visibility } from '../visibility.ts';
import { dnsCache } from './dns-cache.ts';
import { circuitBreakers } from './resilience.ts';
import { NO_POLICY } from './traffic-policy.ts';

/** The world outside is further away than the mesh. */
const CONNECT_TIMEOUT_MS = 10_000;

export function dynamicForwardProxy(): NonNullable<Init<typeof ClusterSchema>['clusterDiscoveryType']> {
  return {
    case: 'clusterType',
    value: {
      name: 'envoy.clusters.dynamic_forward_proxy',
      typedConfig: any(ClusterConfigSchema, { clusterImplementationSpecifier: { case: 'dnsCacheConfig', value: dnsCache }, allowInsecureClusterOptions: true }),
    },
  };
}

/** Where a captured connection was going: what the kernel says. */
export const originalDestination = { case: 'type', value: Cluster_DiscoveryType.ORIGINAL_DST } as const;

/** Clusters of what is no service's: to the host or the address that was named, or to nobody. undefined: the node has none of that name. */
export function outwardClusterNamed(reader: Reader, name: string): Cluster | undefined {
  const captured = reader.node.capture !== undefined;
  switch (name) {
    case PASSTHROUGH_CLUSTER:
      if (new Visibility(reader).outboundPolicy === 'REGISTRY_ONLY') return undefined;
      return outward(reader, name, captured ? originalDestination : dynamicForwardProxy());
    case DYNAMIC_DNS_CLUSTER:
      return captured && resolvesHosts(new Visibility(reader)) ? outward(reader, name, dynamicForwardProxy()) : undefined;
    case INBOUND_PASSTHROUGH_CLUSTER:
      return captured ? outward(reader, name, originalDestination, true) : undefined;
    case BLACK_HOLE_CLUSTER:
      return captured ? create(ClusterSchema, { name, clusterDiscoveryType: { case: 'type', value: Cluster_DiscoveryType.STATIC } }) : undefined;
    default:
      return undefined;
  }
}

/** Whether what is no service is found by the host that requests name. */
export function resolvesHosts({ outboundPolicy, egressProxies }: Visibility): boolean {
  return outboundPolicy === 'ALLOW_ANY_DYNAMIC_DNS' || (outboundPolicy !== 'REGISTRY_ONLY' && egressProxies.length > 0);
}

/** From where connections to the workload's own address come, so that redirection lets them be: Istio's rules know these. */
export function ownSource({ node }: Reader): Init<typeof BindConfigSchema> {
  const addresses = node.capture?.addresses ?? [];
  const six = addresses.filter((address) => address.includes(':'));
  const sources = [...(six.length > 0 && six.length === addresses.length ? [] : ['127.0.0.6']), ...(six.length > 0 ? ['::6'] : [])];
  const [sourceAddress, ...others] = sources.map((address) => ({ address, portSpecifier: { case: 'portValue', value: 0 } as const }));
  return { sourceAddress, extraSourceAddresses: others.map((address) => ({ address })) };
}

function outward(reader: Reader, name: string, discovery: NonNullable<Init<typeof ClusterSchema>['clusterDiscoveryType']>, own = false): Cluster {
  const { node } = reader;
  const http1 = http1Options(node);
  return create(ClusterSchema, {
    name,
    clusterDiscoveryType: discovery,
    lbPolicy: Cluster_LbPolicy.CLUSTER_PROVIDED,
    connectTimeout: milliseconds(CONNECT_TIMEOUT_MS),
    ...(own ? { upstreamBindConfig: ownSource(reader) } : {}),
    circuitBreakers: circuitBreakers(node, NO_POLICY),
    typedExtensionProtocolOptions: {
      'envoy.extensions.upstreams.http.v3.HttpProtocolOptions': any(HttpProtocolOptionsSchema, {
        upstreamProtocolOptions:
          node.capture === undefined
            ? { case: 'explicitHttpConfig', value: { protocolConfig: { case: 'httpProtocolOptions', value: http1 } } }
            : { case: 'useDownstreamProtocolConfig', value: { httpProtocolOptions: http1, http2ProtocolOptions: {} } },
      }),
    },
  });
}
