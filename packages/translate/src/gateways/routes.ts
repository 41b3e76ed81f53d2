import { create } from '@bufbuild/protobuf';
import { fullHost } from '@outrigger/resources';
import { type RouteConfiguration, RouteConfigurationSchema } from '@outrigger/xds/protos/envoy/config/route/v3/route';
import {
  type Route,
  RouteSchema,
  type VirtualHost,
  VirtualHost_TlsRequirementType,
  VirtualHostSchema,
} from '@outrigger/xds/protos/envoy/config/route/v3/route_components';
import type { Reader } from '../reader.ts';
import { GIVEN_UP_HEADER, peerOf } from '../routes/headers.ts';
import { virtualServiceRoutes } from '../routes/http-route.ts';
import { everyPath } from '../routes/match.ts';
import { ownHeaders } from '../routes/retry.ts';
import { Visibility } from '../visibility.ts';
import { apiRoutes, misdirectedHosts } from './api/routes.ts';
import { gatewayPorts } from './ports.ts';
import { type GatewayServer, routeNameOf, routesRequests, sharedHosts } from './server.ts';

/** The routes of all servers that have this name for them; undefined where the gateway has none. */
export function gatewayRoutes(reader: Reader, name: string): RouteConfiguration | undefined {
  const ports = gatewayPorts(reader);
  const servers = ports.flatMap(({ family, servers: all }) => {
    // Those of plain HTTP are one, whatever port each of them names.
    if (family === 'http') return routeNameOf(all[0]!) === name ? all : [];
    return all.filter((server) => routesRequests(server) && routeNameOf(server) === name);
  });
  if (servers.length === 0) return undefined;
  const visibility = new Visibility(reader);
  const hosts = new Map<string, VirtualHost>();
  for (const server of servers) {
    reader.uses(server.gateway);
    if (server.listener === undefined) addVirtualServices(reader, visibility, server, hosts);
    else addListener(reader, visibility, server, ports.find((port) => port.servers.includes(server))!.servers, hosts);
    if (server.httpsRedirect) redirectToTls(server, hosts);
  }
  if (servers.some(({ listener }) => listener === undefined)) for (const host of hosts.values()) host.routes = catchAllLast(host.routes);
  return create(RouteConfigurationSchema, {
    name,
    virtualHosts: hosts.size > 0 ? [...hosts.values()] : [{ name: `blackhole:${servers[0]!.port}`, domains: ['*'] }],
    validateClusters: false,
    ignorePortInHostMatching: true,
    requestHeadersToAdd: peerOf(reader.node),
  });
}

const MISDIRECTED_STATUS = 421;

function addListener(reader: Reader, visibility: Visibility, server: GatewayServer, ofPort: readonly GatewayServer[], hosts: Map<string, VirtualHost>): void {
  const others = ofPort.filter((other) => other.listener !== undefined && routesRequests(other));
  for (const [domain, routes] of apiRoutes(reader, visibility, server, others)) hostAt(hosts, domain, server.port).routes.push(...routes);
  for (const domain of misdirectedHosts(server, others)) {
    if (hosts.has(domain)) continue;
    const action = { case: 'directResponse', value: { status: MISDIRECTED_STATUS } } as const;
    hostAt(hosts, domain, server.port).routes.push(create(RouteSchema, { name: 'misdirected', match: everyPath, action }));
  }
}

function hostAt(hosts: Map<string, VirtualHost>, domain: string, port: number): VirtualHost {
  let host = hosts.get(domain);
  if (host === undefined) {
    host = create(VirtualHostSchema, { name: `${domain}:${port}`, domains: [domain], responseHeadersToRemove: [GIVEN_UP_HEADER] });
    hosts.set(domain, host);
  }
  return host;
}

function addVirtualServices(reader: Reader, visibility: Visibility, server: GatewayServer, hosts: Map<string, VirtualHost>): void {
  for (const virtualService of visibility.boundVirtualServices(server.name)) {
    const { namespace } = virtualService.metadata;
    const named = (virtualService.spec.hosts ?? []).map((host) => fullHost(host, namespace, reader.settings.domainSuffix));
    const shared = sharedHosts(server, named, namespace);
    if (shared.length === 0 || (virtualService.spec.http?.length ?? 0) === 0) continue;
    for (const domain of shared) {
      const target = { host: domain, port: server.port, service: undefined, secure: server.tls !== undefined };
      const routes = virtualServiceRoutes(reader, visibility, virtualService, target, server.name);
      // One whose rules are all for other ports or gateways says nothing of the host.
      if (routes.length === 0) continue;
      reader.uses(virtualService);
      hostAt(hosts, domain, server.port).routes.push(...routes);
    }
  }
}

/** For all of the server's hosts, those without a route too. */
function redirectToTls(server: GatewayServer, hosts: Map<string, VirtualHost>): void {
  for (const { host: own } of server.hosts) {
    hostAt(hosts, own, server.port);
    for (const [domain, host] of hosts) {
      if (domain === own || (own.startsWith('*') && domain.endsWith(own.slice(1)))) host.requireTls = VirtualHost_TlsRequirementType.ALL;
    }
  }
}

/** Where several resources have routes for one host, what takes every request must not stand before the others' routes. */
function catchAllLast(routes: readonly Route[]): Route[] {
  const isCatchAll = ({ match }: Route): boolean =>
    match?.pathSpecifier.case === 'prefix' && match.pathSpecifier.value === '/' && ownHeaders(match).length === 0 && match.queryParameters.length === 0;
  return [...routes.filter((route) => !isCatchAll(route)), ...routes.filter(isCatchAll)];
}
