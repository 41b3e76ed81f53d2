import type { L4MatchAttributes, RouteDestination, Service, ServicePort, TlsMatchAttributes } from '@outrigger/resources';
import { outboundCluster } from './cluster-name.ts';
import { covers } from './hosts.ts';
import type { VirtualService } from './mesh.ts';
import type { Reader } from './reader.ts';
import { resolveDestination } from './routes/destination.ts';
import { matchesLabels, type Visibility } from './visibility.ts';

type Clusters =
  | { readonly case: 'cluster'; readonly value: string }
  | { readonly case: 'weightedClusters'; readonly value: { readonly clusters: { readonly name: string; readonly weight: number }[] } };

/** Where connections to a TCP port of a service go: as its VirtualService's tcp (or, on TLS ports, tls) routes say. */
export function tcpClusters(reader: Reader, visibility: Visibility, service: Service, port: ServicePort): Clusters {
  const plain: Clusters = { case: 'cluster', value: outboundCluster(port.port, '', service.hostname) };
  const virtualService = visibility.virtualService(service.hostname);
  if (virtualService === undefined) return plain;
  const found = matching(reader, virtualService, service, port);
  if (found === undefined) return plain;
  reader.uses(virtualService);
  const destinations = found.route.map((entry, index) => ({
    entry,
    at: resolveDestination(reader, visibility, virtualService, `${found.field}.route[${index}].destination`, entry.destination, port.port),
  }));
  if (destinations.length === 1) return { case: 'cluster', value: destinations[0]!.at.cluster };
  return {
    case: 'weightedClusters',
    value: { clusters: destinations.filter(({ entry }) => (entry.weight ?? 0) > 0).map(({ entry, at }) => ({ name: at.cluster, weight: entry.weight! })) },
  };
}

function matching(
  reader: Reader,
  virtualService: VirtualService,
  service: Service,
  port: ServicePort,
): { readonly route: readonly RouteDestination[]; readonly field: string } | undefined {
  const { tls, tcp } = virtualService.spec;
  if (port.protocol === 'TLS' || port.protocol === 'HTTPS') {
    for (const [index, route] of (tls ?? []).entries()) {
      const hit = route.match.some(
        (match) => match.sniHosts.some((host) => covers(host, service.hostname)) && matches(reader, virtualService, `spec.tls[${index}]`, match, port.port),
      );
      if (hit && (route.route?.length ?? 0) > 0) return { route: route.route!, field: `spec.tls[${index}]` };
    }
  }
  for (const [index, route] of (tcp ?? []).entries()) {
    const any = route.match === undefined || route.match.length === 0;
    if ((any || route.match!.some((match) => matches(reader, virtualService, `spec.tcp[${index}]`, match, port.port))) && (route.route?.length ?? 0) > 0) {
      return { route: route.route!, field: `spec.tcp[${index}]` };
    }
  }
  return undefined;
}

function matches(reader: Reader, virtualService: VirtualService, field: string, match: L4MatchAttributes & Partial<TlsMatchAttributes>, port: number): boolean {
  if (match.gateways !== undefined && match.gateways.length > 0 && !match.gateways.includes('mesh')) return false;
  if (match.port !== undefined && match.port !== port) return false;
  if (match.sourceNamespace !== undefined && match.sourceNamespace !== '' && match.sourceNamespace !== reader.node.namespace) return false;
  if ((match.destinationSubnets?.length ?? 0) > 0 || (match.sourceSubnet ?? '') !== '') {
    // Not knowing the address means not matching: the route is for some connections only.
    reader.ignored(virtualService, `${field}.match`, 'subnets are not known where a connection is made by name: this match never holds');
    return false;
  }
  return matchesLabels(match.sourceLabels, reader.node.labels);
}
