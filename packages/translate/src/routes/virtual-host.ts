import { create } from '@bufbuild/protobuf';
import { fullHost, type Service, type ServicePort } from '@outrigger/resources';
import {
  type Route,
  type RouteActionSchema,
  RouteSchema,
  type VirtualHost,
  VirtualHostSchema,
} from '@outrigger/xds/protos/envoy/config/route/v3/route_components';
import { isIp } from '../addresses.ts';
import { HTTP_TUNNEL } from '../cluster-name.ts';
import { callNames, coveringHosts, meantHosts, parseAuthority } from '../hosts.ts';
import type { VirtualService } from '../mesh.ts';
import { type Init, milliseconds } from '../messages.ts';
import { outwardCluster } from '../outward.ts';
import { isHttp } from '../protocols.ts';
import type { Reader } from '../reader.ts';
import { tcpConnections } from '../tcp-route.ts';
import type { Visibility } from '../visibility.ts';
import { GIVEN_UP_HEADER, PEER_HEADER, signature } from './headers.ts';
import { httpRoutes } from './http-route.ts';

export const PROXY_ROUTE = 'http_proxy';
const HTTP_PORT = 80;

/** A CONNECT that ends here, its bytes going to `cluster`. */
function connectRoute(clusterSpecifier: NonNullable<Init<typeof RouteActionSchema>['clusterSpecifier']>): Route {
  return create(RouteSchema, {
    name: 'connect',
    match: { pathSpecifier: { case: 'connectMatcher', value: {} } },
    action: { case: 'route', value: { clusterSpecifier, timeout: milliseconds(0), upgradeConfigs: [{ upgradeType: 'CONNECT', connectConfig: {} }] } },
  });
}

function connectTo(cluster: string): Route {
  return connectRoute({ case: 'cluster', value: cluster });
}

/** Domains of a service port: every name with the port, and without it on port 80. */
function domainsOf(names: readonly string[], port: number): string[] {
  return names.flatMap((name) => (port === HTTP_PORT ? [name, `${name}:${port}`] : [`${name}:${port}`]));
}

/** The virtual host of one service port on the forward proxy. */
export function serviceVirtualHost(reader: Reader, visibility: Visibility, service: Service, port: ServicePort, tunnel = HTTP_TUNNEL): VirtualHost {
  const target = { host: service.hostname, port: port.port, service };
  const routes = httpRoutes(reader, visibility, target);
  // What is no HTTP is not looked into: its bytes go straight to the service.
  const connect = isHttp(port.protocol) ? connectTo(tunnel) : connectRoute(tcpConnections(reader, visibility, service, port).clusters);
  return create(VirtualHostSchema, {
    name: `${service.hostname}:${port.port}`,
    domains: domainsOf(callNames(service, reader.node.namespace, reader.settings.domainSuffix), port.port),
    routes: [connect, ...routes],
    responseHeadersToRemove: [GIVEN_UP_HEADER],
  });
}

/** A host that only a VirtualService knows, on any port. */
export function virtualServiceHost(
  reader: Reader,
  visibility: Visibility,
  host: string,
  port: number,
  domains: readonly string[],
  tunnel = HTTP_TUNNEL,
): VirtualHost {
  return create(VirtualHostSchema, {
    name: `${host}:${port}`,
    domains: [...domains],
    routes: [connectTo(tunnel), ...httpRoutes(reader, visibility, { host, port, service: undefined })],
    responseHeadersToRemove: [GIVEN_UP_HEADER],
  });
}

/** What happens with hosts that are no service of the mesh. */
export function unknownVirtualHost(reader: Reader, visibility: Visibility, domains: readonly string[]): VirtualHost {
  const outward = outwardCluster(reader, visibility, 'requests');
  if (outward === undefined) {
    const refuse = { case: 'directResponse', value: { status: 502 } } as const;
    return create(VirtualHostSchema, {
      name: 'block_all',
      domains: [...domains],
      responseHeadersToAdd: [signature(reader.node, 'http_request_denied', 'block_all')],
      routes: [
        { name: 'block_all', match: { pathSpecifier: { case: 'connectMatcher', value: {} } }, action: refuse },
        { name: 'block_all', match: { pathSpecifier: { case: 'prefix', value: '' } }, action: refuse },
      ],
    });
  }
  return create(VirtualHostSchema, {
    name: 'allow_any',
    domains: [...domains],
    routes: [
      connectTo(outward),
      {
        name: 'allow_any',
        match: { pathSpecifier: { case: 'prefix', value: '' } },
        action: { case: 'route', value: { clusterSpecifier: { case: 'cluster', value: outward }, timeout: milliseconds(0) } },
        requestHeadersToRemove: [PEER_HEADER],
      },
    ],
  });
}

/** The service and port that an application in the node's namespace means by an authority; undefined: none. */
export function serviceMeant(
  reader: Reader,
  visibility: Visibility,
  host: string,
  port: number,
): { readonly service: Service; readonly port: ServicePort } | undefined {
  for (const service of servicesNamed(reader, visibility, host)) {
    const found = service.ports.find((one) => one.port === port);
    if (found !== undefined && visibility.port(service, port)) return { service, port: found };
  }
  return undefined;
}

/** The services that a host may mean, the likeliest first. */
export function* servicesNamed(reader: Reader, visibility: Visibility, host: string): IterableIterator<Service> {
  const address = host.replace(/^\[|\]$/g, '');
  const candidates = isIp(address)
    ? reader.hostnamesAt(address)
    : [...meantHosts(host, reader.node.namespace, reader.settings.domainSuffix), ...coveringHosts(host).slice(1)];
  for (const candidate of candidates) {
    const service = visibility.service(candidate);
    if (service !== undefined) yield service;
  }
}

export interface FoundVirtualHost {
  readonly virtualHost: VirtualHost;
  /** Subscription names under which it is found. */
  readonly names: readonly string[];
}

/** The virtual host for an authority on the forward proxy: of a service, of a VirtualService, or one made for an unknown host. */
export function virtualHostFor(reader: Reader, visibility: Visibility, authority: string): FoundVirtualHost | undefined {
  const parsed = parseAuthority(authority);
  if (parsed === undefined) return undefined;
  const port = parsed.port ?? HTTP_PORT;
  const domain = parsed.port === undefined ? parsed.host : `${parsed.host}:${port}`;
  const meant = serviceMeant(reader, visibility, parsed.host, port);
  if (meant !== undefined) {
    const virtualHost = serviceVirtualHost(reader, visibility, meant.service, meant.port);
    if (virtualHost.domains.includes(authority)) return { virtualHost, names: virtualHost.domains };
    // Under a wildcard, or in another spelling: a resource of the asked name alone, since a client knows it by no other.
    virtualHost.domains = [domain];
    return { virtualHost, names: [authority] };
  }
  for (const host of meantHosts(parsed.host, reader.node.namespace, reader.settings.domainSuffix)) {
    const virtualService = visibility.virtualService(host);
    // A service has the ports that it has; under a wildcard, which v3 cannot have for every port, a host has the one of HTTP.
    if (virtualService?.spec.http === undefined || visibility.service(host) !== undefined) continue;
    if (port !== HTTP_PORT && !namesHost(reader, virtualService, host)) continue;
    return { virtualHost: virtualServiceHost(reader, visibility, host, port, [domain]), names: [authority] };
  }
  return { virtualHost: unknownVirtualHost(reader, visibility, [domain]), names: [authority] };
}

function namesHost(reader: Reader, { metadata, spec }: VirtualService, host: string): boolean {
  return (spec.hosts ?? []).some((written) => fullHost(written, metadata.namespace, reader.settings.domainSuffix) === host);
}

/** Ports on which a host that only VirtualServices know has other rules, or other destinations, than on the rest. */
function portsTold(reader: Reader, visibility: Visibility, host: string): ReadonlySet<number> {
  const told = new Set<number>();
  for (const { metadata, spec } of visibility.virtualServices(host)) {
    for (const { match = [], route = [] } of spec.http ?? []) {
      for (const { port = 0 } of match) if (port !== 0) told.add(port);
      for (const { destination } of route) {
        const service = visibility.service(fullHost(destination.host, metadata.namespace, reader.settings.domainSuffix));
        // The port that was called is the destination's, where that says none and its service has several.
        if (destination.port?.number === undefined && service !== undefined && service.ports.length > 1) for (const { port } of service.ports) told.add(port);
      }
    }
  }
  return told;
}

/** No port that a rule names. */
const OTHER_PORT = 0;

/** A host that only VirtualServices know, under all names by which an application may call it, on all its ports; under a wildcard on that of HTTP. */
function hostOnEveryPort(reader: Reader, visibility: Visibility, host: string, tunnel: string): VirtualHost[] {
  const calledAs = host.startsWith('*') ? [host] : callNames({ hostname: host, addresses: [] }, reader.node.namespace, reader.settings.domainSuffix);
  const on = (port: number, ...suffixes: readonly string[]): VirtualHost =>
    virtualServiceHost(
      reader,
      visibility,
      host,
      port,
      calledAs.flatMap((name) => suffixes.map((suffix) => name + suffix)),
      tunnel,
    );
  if (host.startsWith('*')) return [on(HTTP_PORT, '', `:${HTTP_PORT}`)];
  const told = portsTold(reader, visibility, host);
  if (told.size === 0) return [on(HTTP_PORT, '', ':*')];
  const others = [...told].filter((port) => port !== HTTP_PORT);
  return [...others.map((port) => on(port, `:${port}`)), on(HTTP_PORT, '', `:${HTTP_PORT}`), on(OTHER_PORT, ':*')];
}

/** All of them: for a proxy that is not asked for one at a time. `tunnel`: the cluster for what comes out of a CONNECT to a port of HTTP. */
export function allVirtualHosts(reader: Reader, visibility: Visibility, tunnel = HTTP_TUNNEL): VirtualHost[] {
  const found: VirtualHost[] = [];
  const taken = new Set<string>();
  // Envoy refuses a table in which two virtual hosts have one domain.
  const push = (virtualHost: VirtualHost): void => {
    virtualHost.domains = virtualHost.domains.filter((domain) => !taken.has(domain));
    for (const domain of virtualHost.domains) taken.add(domain);
    if (virtualHost.domains.length > 0) found.push(virtualHost);
  };
  const services = [...visibility.services()].sort((a, b) => (a.hostname < b.hostname ? -1 : 1));
  for (const service of services)
    for (const port of service.ports) if (visibility.port(service, port.port)) push(serviceVirtualHost(reader, visibility, service, port, tunnel));
  const known = new Set(services.map(({ hostname }) => hostname));
  for (const host of [...visibility.virtualServiceHosts()].map(([named]) => named).sort()) {
    if (known.has(host) || host === '*' || visibility.virtualService(host)?.spec.http === undefined) continue;
    for (const made of hostOnEveryPort(reader, visibility, host, tunnel)) push(made);
  }
  push(unknownVirtualHost(reader, visibility, ['*']));
  return found;
}

/** Everything to one service port, whatever the host: a declared upstream port, or a gRPC channel. */
export function singleVirtualHost(reader: Reader, visibility: Visibility, service: Service, port: ServicePort): VirtualHost {
  return create(VirtualHostSchema, {
    name: `${service.hostname}:${port.port}`,
    domains: ['*'],
    routes: httpRoutes(reader, visibility, { host: service.hostname, port: port.port, service }),
    ...(reader.node.dataPlane === 'grpc' ? {} : { responseHeadersToRemove: [GIVEN_UP_HEADER] }),
  });
}
