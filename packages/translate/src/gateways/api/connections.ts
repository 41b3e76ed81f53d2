import type { BackendReference, ConnectionApiRouteSpec, Resource, RouteDestination } from '@outrigger/resources';
import type { VirtualService } from '../../mesh.ts';
import type { Reader } from '../../reader.ts';
import { INVALID_BACKEND } from '../../routes/destination.ts';
import type { Visibility } from '../../visibility.ts';
import type { GatewayServer } from '../server.ts';
import { attachedTo } from './attachment.ts';
import type { ApiGateway } from './gateways.ts';
import { backendOf } from './references.ts';

/** TLSRoutes and TCPRoutes of a listener as VirtualServices would have them: by name where TLS shows one, else for every connection. */
export function connectionRoutes(reader: Reader, visibility: Visibility, server: GatewayServer): readonly VirtualService[] {
  const gateway = server.gateway as ApiGateway;
  const listener = server.listener!;
  const made: VirtualService[] = [];
  const make = (route: Resource<ConnectionApiRouteSpec>, hostnames: readonly string[]): void => {
    const destinations = destinationsOf(reader, visibility, route, route.spec.rules?.[0]?.backendRefs);
    // What has nowhere to go at all is refused: no chain takes it.
    if (destinations.every(({ destination }) => destination.host === INVALID_BACKEND)) return;
    const passthrough = server.tls?.kind === 'passthrough';
    const spec = passthrough ? { tls: [{ match: [{ sniHosts: hostnames }], route: destinations }] } : { tcp: [{ route: destinations }] };
    made.push({ ...route, spec: { hosts: hostnames, ...spec } });
  };
  for (const { route, hostnames } of attachedTo<ConnectionApiRouteSpec>(reader, 'TLSRoute', gateway, listener)) make(route, hostnames);
  for (const { route, hostnames } of attachedTo<ConnectionApiRouteSpec>(reader, 'TCPRoute', gateway, listener)) make(route, hostnames);
  return made;
}

/** The share of a backend that is none is refused: the others do not get it. */
function destinationsOf(reader: Reader, visibility: Visibility, route: Resource, references: readonly BackendReference[] | undefined): RouteDestination[] {
  return (references ?? []).flatMap((reference) => {
    const backend = backendOf(reader, visibility, route, reference);
    const weight = reference.weight ?? 1;
    if (weight === 0) return [];
    const { host, port } = 'reason' in backend ? { host: INVALID_BACKEND, port: 1 } : { host: backend.service.hostname, port: backend.port };
    return [{ destination: { host, port: { number: port } }, weight }];
  });
}
