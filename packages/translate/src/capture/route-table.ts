import { create } from '@bufbuild/protobuf';
import { covers, fullHost, hostsOverlap, isPartialWildcard, type Service } from '@outrigger/resources';
import { type RouteConfiguration, RouteConfigurationSchema } from '@outrigger/xds/protos/envoy/config/route/v3/route';
import { type VirtualHost, VirtualHostSchema } from '@outrigger/xds/protos/envoy/config/route/v3/route_components';
import { callNames } from '../hosts.ts';
import { byAge, type VirtualService } from '../mesh.ts';
import { isHttp } from '../protocols.ts';
import type { Reader } from '../reader.ts';
import { GIVEN_UP_HEADER, peerOf } from '../routes/headers.ts';
import { httpRoutes } from '../routes/http-route.ts';
import { unknownVirtualHost } from '../routes/virtual-host.ts';
import type { Visibility } from '../visibility.ts';
import { isAlias } from './places.ts';

/** Where hosts of which only a VirtualService speaks are called. */
const HTTP_PORT = 80;

/**
 * The routes of captured requests: "8080" for all hosts that are called on that port of any address, "HOST:8080" for those to an address that is
 * HOST's own, whatever host they name. undefined: a name of another kind.
 */
export function capturedRoutes(reader: Reader, visibility: Visibility, name: string): RouteConfiguration | undefined {
  const match = /^(?:(.+):)?(\d{1,5})$/.exec(name);
  if (match === null) return undefined;
  const [, host] = match;
  const port = Number(match[2]);
  const services = requestServices(visibility, port);
  if (host === undefined) return table(reader, name, [...sharedHosts(reader, visibility, services, port), unknownVirtualHost(reader, visibility, ['*'])]);
  const service = services.find(({ hostname }) => hostname === host);
  return table(reader, name, service === undefined ? [] : [virtualHost(reader, visibility, host, port, service, ['*'])]);
}

function table(reader: Reader, name: string, virtualHosts: VirtualHost[]): RouteConfiguration {
  return create(RouteConfigurationSchema, {
    name,
    validateClusters: false,
    ignorePortInHostMatching: true,
    virtualHosts,
    requestHeadersToAdd: peerOf(reader.node),
  });
}

/** Services that take requests on a port, or may. */
function requestServices(visibility: Visibility, port: number): readonly Service[] {
  return [...visibility.services()]
    .filter((service) => {
      const protocol = service.ports.find((candidate) => candidate.port === port)?.protocol;
      return protocol !== undefined && (isHttp(protocol) || protocol === 'UNSUPPORTED') && visibility.imports(service, port) && !isAlias(visibility, service);
    })
    .sort((a, b) => (a.hostname < b.hostname ? -1 : 1));
}

function virtualHost(
  reader: Reader,
  visibility: Visibility,
  host: string,
  port: number,
  service: Service | undefined,
  domains: readonly string[],
): VirtualHost {
  return create(VirtualHostSchema, {
    name: `${host}:${port}`,
    domains: [...domains],
    routes: httpRoutes(reader, visibility, { host, port, service }),
    responseHeadersToRemove: [GIVEN_UP_HEADER],
  });
}

/** First the hosts that VirtualServices name and that are no service, then the services; a name that is taken is not given again. */
function sharedHosts(reader: Reader, visibility: Visibility, services: readonly Service[], port: number): readonly VirtualHost[] {
  const found: VirtualHost[] = [];
  const taken = new Set<string>();
  const full = new Set(services.map(({ hostname }) => hostname));
  const push = (made: VirtualHost): void => {
    const own = made.name.slice(0, made.name.lastIndexOf(':'));
    made.domains = made.domains.filter((domain) => !taken.has(domain) && (domain === own || !full.has(domain)));
    for (const domain of made.domains) taken.add(domain);
    if (made.domains.length > 0) found.push(made);
  };
  for (const host of namedHosts(reader, visibility, services, port)) {
    const made = virtualHost(reader, visibility, host, port, undefined, [host]);
    // Of rules that are all for other workloads nothing is left.
    if (made.routes.length > 0) push(made);
  }
  const aliases = [...visibility.services()].filter((service) => isAlias(visibility, service));
  for (const service of services) push(virtualHost(reader, visibility, service.hostname, port, service, domainsOf(reader, service, aliases)));
  return found;
}

/** All names by which an application may call a service or an alias of it; under a headless one those of its instances. */
function domainsOf({ node, settings }: Reader, service: Service, aliases: readonly Service[]): readonly string[] {
  const others = aliases.filter(({ aliasOf }) => aliasOf === service.hostname).map(({ hostname }) => ({ hostname, addresses: [] }));
  const names = [service, ...others].flatMap((one) => callNames(one, node.namespace, settings.domainSuffix));
  return service.headless === true ? [...names, ...names.map((name) => `*.${name}`)] : names;
}

/** Hosts of VirtualServices that no service of the port has: on 80, or where the same VirtualService has a service on that port. */
function namedHosts(reader: Reader, visibility: Visibility, services: readonly Service[], port: number): readonly string[] {
  const known = [...visibility.services()].filter(
    (service) => service.aliasOf === undefined && service.ports.some((one) => one.port === port) && visibility.imports(service, port),
  );
  const names = new Set(known.map(({ hostname }) => hostname));
  const isKnown = (host: string): boolean =>
    names.has(host) || (host.startsWith('*') && !isPartialWildcard(host) && known.some(({ hostname }) => hostsOverlap(host, hostname)));
  return [...visibility.virtualServiceHosts()]
    .sort(([, a], [, b]) => byAge(a, b))
    .filter(([host, virtualService]) => !isKnown(host) && (port === HTTP_PORT || hasService(reader, visibility, virtualService, services)))
    .map(([host]) => host);
}

/** Whether the VirtualService has the requests to one of the services. */
function hasService(reader: Reader, visibility: Visibility, virtualService: VirtualService, services: readonly Service[]): boolean {
  const hosts = (virtualService.spec.hosts ?? []).map((host) => fullHost(host, virtualService.metadata.namespace, reader.settings.domainSuffix));
  return services.some(({ hostname }) => hosts.some((host) => covers(host, hostname)) && visibility.virtualService(hostname) === virtualService);
}
