import {
  covers,
  type L4MatchAttributes,
  MESH_GATEWAY,
  matchesLabels,
  type Resource,
  type RouteDestination,
  type Service,
  type ServicePort,
  type TlsMatchAttributes,
} from '@outrigger/resources';
import { tcpPolicy } from './clusters/tcp-policy.ts';
import { gatewayNames } from './gateways/names.ts';
import type { VirtualService } from './mesh.ts';
import type { Reader } from './reader.ts';
import { resolveDestination, serviceDestination } from './routes/destination.ts';
import type { Visibility } from './visibility.ts';

type Clusters =
  | { readonly case: 'cluster'; readonly value: string }
  | { readonly case: 'weightedClusters'; readonly value: { readonly clusters: { readonly name: string; readonly weight: number }[] } };

/** Where opaque bytes go, and how. */
export interface Connections {
  readonly clusters: Clusters;
  readonly policy: ReturnType<typeof tcpPolicy>;
}

/** Connections to the whole of a service. */
export function serviceConnections(reader: Reader, visibility: Visibility, service: Service, port: number): Connections {
  const destination = serviceDestination(visibility, service, port);
  return { clusters: { case: 'cluster', value: destination.cluster }, policy: tcpPolicy(reader, visibility, destination) };
}

/** Where connections to a TCP port of a service go: as its VirtualService's tcp (or, on TLS ports, tls) routes say. */
export function tcpConnections(reader: Reader, visibility: Visibility, service: Service, port: ServicePort): Connections {
  for (const virtualService of visibility.connectionServices(service.hostname)) {
    const found = matching(reader, virtualService, service, port);
    if (found === undefined) continue;
    reader.uses(virtualService);
    return routedConnections(reader, visibility, virtualService, found, port.port);
  }
  return serviceConnections(reader, visibility, service, port.port);
}

/** Where a route of opaque bytes leads. */
export function routedConnections(reader: Reader, visibility: Visibility, owner: Resource, { route, field }: FoundRoute, port: number): Connections {
  const destinations = route.map((entry, index) => ({
    entry,
    at: resolveDestination(reader, visibility, owner, `${field}.route[${index}].destination`, entry.destination, port),
  }));
  if (destinations.length === 1) {
    const { at } = destinations[0]!;
    return { clusters: { case: 'cluster', value: at.cluster }, policy: tcpPolicy(reader, visibility, at) };
  }
  const clusters = destinations.filter(({ entry }) => (entry.weight ?? 0) > 0).map(({ entry, at }) => ({ name: at.cluster, weight: entry.weight! }));
  // Said once for all of them, as none of them may mean it.
  return { clusters: { case: 'weightedClusters', value: { clusters } }, policy: {} };
}

/** A route, and where in its resource it stands. */
export interface FoundRoute {
  readonly route: readonly RouteDestination[];
  readonly field: string;
}

function matching(reader: Reader, virtualService: VirtualService, service: Service, port: ServicePort): FoundRoute | undefined {
  const { tls } = virtualService.spec;
  if (port.protocol === 'TLS' || port.protocol === 'HTTPS') {
    for (const [index, route] of (tls ?? []).entries()) {
      const hit = route.match.some(
        (match) =>
          match.sniHosts.some((host) => covers(host, service.hostname)) &&
          matchesConnection(reader, virtualService, `spec.tls[${index}]`, match, port.port, MESH_GATEWAY),
      );
      if (hit && (route.route?.length ?? 0) > 0) return { route: route.route!, field: `spec.tls[${index}]` };
    }
  }
  return matchingTcpRoute(reader, virtualService, port.port, MESH_GATEWAY);
}

/** The first TCP route of a VirtualService for what comes by a gateway ("mesh": from a sidecar) on a port. */
export function matchingTcpRoute(reader: Reader, virtualService: VirtualService, port: number, gateway: string): FoundRoute | undefined {
  for (const [index, { match = [], route = [] }] of (virtualService.spec.tcp ?? []).entries()) {
    const field = `spec.tcp[${index}]`;
    if (route.length > 0 && (match.length === 0 || match.some((one) => matchesConnection(reader, virtualService, field, one, port, gateway))))
      return { route, field };
  }
  return undefined;
}

type ConnectionMatch = L4MatchAttributes & Partial<TlsMatchAttributes>;

/** Whether a match holds for connections of the node to a port, wherever they go: subnets are the listener's to look at. */
export function meshConnection(reader: Reader, virtualService: VirtualService, match: ConnectionMatch, port: number): boolean {
  return comesBy(reader, virtualService, match, port, MESH_GATEWAY);
}

function comesBy({ node }: Reader, { metadata }: VirtualService, match: ConnectionMatch, port: number, gateway: string): boolean {
  if ((match.gateways?.length ?? 0) > 0 && !gatewayNames(match.gateways, metadata.namespace).includes(gateway)) return false;
  if (match.port !== undefined && match.port !== 0 && match.port !== port) return false;
  if (match.sourceNamespace !== undefined && match.sourceNamespace !== '' && match.sourceNamespace !== node.namespace) return false;
  return match.sourceLabels === undefined || matchesLabels(match.sourceLabels, node.labels);
}

export function matchesConnection(
  reader: Reader,
  virtualService: VirtualService,
  field: string,
  match: ConnectionMatch,
  port: number,
  gateway: string,
): boolean {
  if (!comesBy(reader, virtualService, match, port, gateway)) return false;
  if ((match.destinationSubnets?.length ?? 0) > 0 || (match.sourceSubnet ?? '') !== '') {
    // Not knowing the address means not matching: the route is for some connections only.
    reader.ignored(virtualService, `${field}.match`, 'subnets are not known where a connection is made by name: this match never holds');
    return false;
  }
  return true;
}
