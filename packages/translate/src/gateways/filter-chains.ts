import type { Resource } from '@outrigger/resources';
import type { FilterChainSchema, FilterSchema } from '@outrigger/xds/protos/envoy/config/listener/v3/listener_components';
import { connectionManager, outboundFilters } from '../listeners/connection-manager.ts';
import { rds } from '../listeners/outbound.ts';
import { outboundTcpProxy } from '../listeners/tcp-proxy.ts';
import type { VirtualService } from '../mesh.ts';
import type { Init } from '../messages.ts';
import type { Reader } from '../reader.ts';
import { httpAuthorization, tcpAuthorization } from '../security/authorization.ts';
import { type FoundRoute, matchesConnection, matchingTcpRoute, routedConnections } from '../tcp-route.ts';
import type { Visibility } from '../visibility.ts';
import { connectionRoutes } from './api/connections.ts';
import { autoPassthroughChains } from './auto-passthrough.ts';
import type { GatewayPort } from './ports.ts';
import { type GatewayServer, routeNameOf, routesRequests, sharedHosts } from './server.ts';
import { serverTls } from './server-tls.ts';

type Chain = Init<typeof FilterChainSchema>;
type NetworkFilter = Init<typeof FilterSchema>;

const HTTP_ALPN = ['h2', 'http/1.1'];

export function filterChains(reader: Reader, visibility: Visibility, port: GatewayPort): readonly Chain[] {
  if (port.family === 'http') return [{ filters: [requestRouting(reader, port, port.servers[0]!)] }];
  const taken = new Set(port.servers.filter(routesRequests).flatMap(({ hosts }) => hosts.map(({ host }) => host)));
  return port.servers.flatMap((server) => {
    if (routesRequests(server)) return [terminated(reader, server, [requestRouting(reader, port, server)])];
    if (server.tls?.kind === 'auto-passthrough') return autoPassthroughChains(reader, visibility, server);
    if (server.tls?.kind === 'passthrough') return passthroughChains(reader, visibility, port, server, taken);
    const found = tcpRoutes(reader, visibility, server);
    // Only names tell connections apart, and an Istio server has one route for all of its own.
    const taking = server.listener !== undefined && server.tls !== undefined ? found : found.slice(0, 1);
    return taking.flatMap(({ virtualService, route }) => {
      const filters = connectionRouting(reader, visibility, port, virtualService, route);
      if (server.tls === undefined || server.listener === undefined) {
        reader.uses(virtualService);
        return [server.tls === undefined ? { filters } : terminated(reader, server, filters)];
      }
      const names = untaken(reader, virtualService, port, virtualService.spec.hosts ?? [], taken, 'spec');
      if (names.length === 0) return [];
      reader.uses(virtualService);
      return [terminated(reader, server, filters, names)];
    });
  });
}

/** Of two routes for one name the first has it. */
function untaken(
  reader: Reader,
  route: Resource,
  { declaredPort }: GatewayPort,
  hosts: readonly string[],
  taken: Set<string>,
  field: string,
): readonly string[] {
  const names = hosts.map((host) => host.toLowerCase()).filter((host) => !taken.has(host));
  if (names.length === 0) reader.ignored(route, field, `port ${declaredPort}: an older route has ${hosts.join(', ')}`);
  for (const name of names) taken.add(name);
  return names;
}

/** The server's hosts as names of the TLS handshake; none: any name, or no name at all. */
function serverNames(server: GatewayServer): string[] {
  // "./*.example.com" and "*.example.com" are one: an Envoy refuses a listener that has it twice.
  const hosts = new Set(server.hosts.map(({ host }) => host));
  return hosts.has('*') ? [] : [...hosts];
}

function terminated(reader: Reader, server: GatewayServer, filters: NetworkFilter[], names?: readonly string[]): Chain {
  const tls = serverTls(reader, server.tls!, routesRequests(server) ? HTTP_ALPN : []);
  return {
    name: `${server.name}/${server.field}`,
    filterChainMatch: { transportProtocol: 'tls', serverNames: names === undefined ? serverNames(server) : names.includes('*') ? [] : [...names] },
    ...(tls === undefined ? {} : { transportSocket: tls }),
    filters,
  };
}

function requestRouting(reader: Reader, port: GatewayPort, server: GatewayServer): NetworkFilter {
  const name = routeNameOf(server);
  const { tls } = server;
  return connectionManager(reader, {
    statPrefix: name,
    routes: rds(name),
    direction: 'outbound',
    edge: { verifiedClient: tls?.kind === 'mesh' || (tls?.kind === 'terminate' && tls.clientAuthorities !== undefined) },
    filters: [...httpAuthorization(reader, portsOf(port)), ...outboundFilters(false)],
    upgrades: ['websocket'],
  });
}

/** A policy names the port that the resource has; connections come in on the one that is bound. */
function portsOf({ address, port, declaredPort }: GatewayPort) {
  return { mesh: { host: address, port }, application: { host: address, port: declaredPort } };
}

function connectionRouting(reader: Reader, visibility: Visibility, port: GatewayPort, virtualService: VirtualService, route: FoundRoute): NetworkFilter[] {
  return [
    ...tcpAuthorization(reader, portsOf(port)),
    outboundTcpProxy(
      reader,
      `${virtualService.metadata.namespace}/${virtualService.metadata.name}`,
      routedConnections(reader, visibility, virtualService, route, port.declaredPort),
    ),
  ];
}

/** VirtualServices bound to the server that share a host with it. */
function bound(reader: Reader, visibility: Visibility, server: GatewayServer): readonly VirtualService[] {
  if (server.listener !== undefined) return connectionRoutes(reader, visibility, server);
  return visibility.boundVirtualServices(server.name).filter(
    ({ metadata, spec }) =>
      sharedHosts(
        server,
        (spec.hosts ?? []).map((host) => host.toLowerCase()),
        metadata.namespace,
      ).length > 0,
  );
}

function tcpRoutes(reader: Reader, visibility: Visibility, server: GatewayServer): readonly { virtualService: VirtualService; route: FoundRoute }[] {
  return bound(reader, visibility, server).flatMap((virtualService) => {
    const route = matchingTcpRoute(reader, virtualService, server.port, server.name);
    return route === undefined ? [] : [{ virtualService, route }];
  });
}

/** By the name that a client asks for, which is all that is looked at. */
function passthroughChains(reader: Reader, visibility: Visibility, port: GatewayPort, server: GatewayServer, taken: Set<string>): Chain[] {
  const chains: Chain[] = [];
  for (const virtualService of bound(reader, visibility, server)) {
    for (const [index, { match, route = [] }] of (virtualService.spec.tls ?? []).entries()) {
      const field = `spec.tls[${index}]`;
      for (const one of match) {
        if (route.length === 0 || !matchesConnection(reader, virtualService, `${field}.match`, one, server.port, server.name)) continue;
        const names = untaken(reader, virtualService, port, one.sniHosts, taken, field);
        if (names.length === 0) continue;
        reader.uses(virtualService);
        chains.push({
          filterChainMatch: { transportProtocol: 'tls', serverNames: names.includes('*') ? [] : [...names] },
          filters: connectionRouting(reader, visibility, port, virtualService, { route, field }),
        });
      }
    }
  }
  return chains;
}
