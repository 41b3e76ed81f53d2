import { create } from '@bufbuild/protobuf';
import type { CidrRangeSchema } from '@outrigger/xds/protos/envoy/config/core/v3/address';
import { type FilterChain, FilterChainSchema } from '@outrigger/xds/protos/envoy/config/listener/v3/listener_components';
import { outboundCluster } from '../cluster-name.ts';
import { callNames } from '../hosts.ts';
import { outboundTcpProxy } from '../listeners/tcp-proxy.ts';
import type { VirtualService } from '../mesh.ts';
import type { Init } from '../messages.ts';
import type { Reader } from '../reader.ts';
import { type Connections, type FoundRoute, meshConnection, routedConnections, serviceConnections } from '../tcp-route.ts';
import type { Visibility } from '../visibility.ts';
import { ANY_ADDRESS, type CapturedPort } from './places.ts';

/** Filter chains for the connections to one port of a service, where requests are not looked at. */
export function connectionChains(reader: Reader, visibility: Visibility, captured: CapturedPort, address: string): FilterChain[] {
  return captured.protocol === 'TLS' || captured.protocol === 'HTTPS'
    ? tlsChains(reader, visibility, captured, address)
    : tcpChains(reader, visibility, captured);
}

function chain(reader: Reader, name: string, to: Connections, ranges: readonly string[], serverNames: readonly string[] = []): FilterChain {
  const named = serverNames.length > 0 && !serverNames.includes('*');
  const match = {
    ...(ranges.length === 0 ? {} : { prefixRanges: ranges.map(cidr) }),
    ...(named ? { serverNames: serverNames.map((one) => one.toLowerCase()).sort(), transportProtocol: 'tls' } : {}),
  };
  return create(FilterChainSchema, {
    ...(Object.keys(match).length === 0 ? {} : { filterChainMatch: match }),
    filters: [outboundTcpProxy(reader, name, to)],
  });
}

function cidr(text: string): Init<typeof CidrRangeSchema> {
  const [addressPrefix = '', length] = text.split('/');
  return { addressPrefix, prefixLen: length === undefined ? (addressPrefix.includes(':') ? 128 : 32) : Number(length) };
}

/** By the name that a client asks for, as the VirtualServices say. */
function tlsChains(reader: Reader, visibility: Visibility, captured: CapturedPort, address: string): FilterChain[] {
  const { service, port, ranges } = captured;
  const chains: FilterChain[] = [];
  for (const virtualService of visibility.connectionServices(service.hostname)) {
    for (const [index, { match, route = [] }] of (virtualService.spec.tls ?? []).entries()) {
      const field = `spec.tls[${index}]`;
      for (const one of match) {
        if (route.length === 0 || !meshConnection(reader, virtualService, one, port.port)) continue;
        const subnets = one.destinationSubnets?.length ? one.destinationSubnets : ranges;
        chains.push(routed(reader, visibility, virtualService, { route, field }, captured, subnets, one.sniHosts));
      }
    }
  }
  if (chains.length > 0) return chains;
  // Where no address is the service's own, its name alone tells it from others.
  const shared = ranges.length > 0 || (address === ANY_ADDRESS && service.addresses.length === 0);
  return [plain(reader, visibility, captured, shared ? namesOf(reader, visibility, captured) : [])];
}

/** Its host, and what its aliases are called. */
function namesOf(reader: Reader, visibility: Visibility, { service }: CapturedPort): readonly string[] {
  const aliases = [...visibility.services()].filter(({ aliasOf }) => aliasOf === service.hostname);
  const { node, settings } = reader;
  return [service.hostname, ...aliases.flatMap(({ hostname }) => callNames({ hostname, addresses: [] }, node.namespace, settings.domainSuffix))];
}

/** The first TCP route that holds for every destination ends the list; those for subnets stand before it. */
function tcpChains(reader: Reader, visibility: Visibility, captured: CapturedPort): FilterChain[] {
  const { service, port, ranges } = captured;
  const chains: FilterChain[] = [];
  for (const virtualService of visibility.connectionServices(service.hostname)) {
    for (const [index, { match = [], route = [] }] of (virtualService.spec.tcp ?? []).entries()) {
      if (route.length === 0) continue;
      const found: FoundRoute = { route, field: `spec.tcp[${index}]` };
      const applying = match.filter((one) => meshConnection(reader, virtualService, one, port.port));
      if (match.length > 0 && applying.length === 0) continue;
      const subnets = applying.flatMap(({ destinationSubnets = [] }) => destinationSubnets);
      const everywhere = match.length === 0 || applying.some(({ destinationSubnets = [] }) => destinationSubnets.length === 0);
      chains.push(routed(reader, visibility, virtualService, found, captured, everywhere ? ranges : subnets));
      if (everywhere) return chains;
    }
  }
  chains.push(plain(reader, visibility, captured, []));
  return chains;
}

function routed(
  reader: Reader,
  visibility: Visibility,
  virtualService: VirtualService,
  route: FoundRoute,
  { service, port }: CapturedPort,
  ranges: readonly string[],
  serverNames?: readonly string[],
): FilterChain {
  reader.uses(virtualService);
  const to = routedConnections(reader, visibility, virtualService, route, port.port);
  const made = chain(reader, outboundCluster(port.port, '', service.hostname), to, ranges, serverNames);
  reader.places([made], virtualService, route.field);
  return made;
}

function plain(reader: Reader, visibility: Visibility, { service, port, ranges }: CapturedPort, serverNames: readonly string[]): FilterChain {
  return chain(reader, outboundCluster(port.port, '', service.hostname), serviceConnections(reader, visibility, service, port.port), ranges, serverNames);
}
