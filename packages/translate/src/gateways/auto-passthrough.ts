import { covers, type Service } from '@outrigger/resources';
import type { FilterChainSchema } from '@outrigger/xds/protos/envoy/config/listener/v3/listener_components';
import { sniCluster } from '../cluster-name.ts';
import { mergedRules } from '../clusters/traffic-policy.ts';
import { MESH_ALPN } from '../listeners/inbound-chains.ts';
import { carriedTo } from '../listeners/tcp-proxy.ts';
import type { Init } from '../messages.ts';
import type { Reader } from '../reader.ts';
import type { Visibility } from '../visibility.ts';
import type { GatewayServer } from './server.ts';

/**
 * AUTO_PASSTHROUGH: the mesh's own TLS from other networks, which names where it goes ("outbound_.8080_.v1_.HOST"). It is not ended here: the service's
 * endpoints see who calls.
 */
export function autoPassthroughChains(reader: Reader, visibility: Visibility, server: GatewayServer): Init<typeof FilterChainSchema>[] {
  return [...autoPassthroughClusters(visibility, [server])].map((name) => ({
    filterChainMatch: { transportProtocol: 'tls', serverNames: [name.toLowerCase()], applicationProtocols: MESH_ALPN },
    filters: [carriedTo(reader, name)],
  }));
}

/** The clusters that such servers lead to: every port and subset of the mesh's services that their hosts cover. */
export function* autoPassthroughClusters(visibility: Visibility, servers: readonly GatewayServer[]): IterableIterator<string> {
  const own = servers.filter(({ tls }) => tls?.kind === 'auto-passthrough');
  if (own.length === 0) return;
  for (const service of visibility.services()) {
    if (service.location !== 'MESH_INTERNAL' || !own.some((server) => serves(server, service))) continue;
    const subsets = ['', ...mergedRules(visibility, service).subsets.keys()];
    for (const { port, protocol } of service.ports) if (protocol !== 'UDP') for (const subset of subsets) yield sniCluster(port, subset, service.hostname);
  }
}

function serves({ hosts }: GatewayServer, { hostname, namespace }: Service): boolean {
  return hosts.some((one) => (one.namespace === '*' || one.namespace === namespace) && covers(one.host, hostname));
}
