import { create } from '@bufbuild/protobuf';
import { anyUnpack } from '@bufbuild/protobuf/wkt';
import { type ConnectionFacts, type FilterChainConfig, type HttpManagerConfig, listenerAt, parseIp, type TcpProxyConfig } from '@outrigger/proxy/pure';
import { type Resource, type ResourceRef, refText } from '@outrigger/resources';
import {
  BLACK_HOLE_CLUSTER,
  DYNAMIC_DNS_CLUSTER,
  INVALID_BACKEND,
  listener,
  listenerNames,
  type Mesh,
  type Note,
  type Place,
  type ProxyNode,
  parseAuthority,
  routeConfiguration,
  type Translated,
} from '@outrigger/translate';
import type { Listener } from '@outrigger/xds/protos/envoy/config/listener/v3/listener';
import type { FilterChain } from '@outrigger/xds/protos/envoy/config/listener/v3/listener_components';
import { RouteConfigurationSchema } from '@outrigger/xds/protos/envoy/config/route/v3/route';
import type { Route } from '@outrigger/xds/protos/envoy/config/route/v3/route_components';
import { HttpConnectionManagerSchema } from '@outrigger/xds/protos/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager';
import type { Call } from './call.ts';
import { clientVerifier } from './client-certificate.ts';
import { type Accepted, accept, SOMEBODY } from './connection.ts';
import { withDestinationTls } from './destination-tls.ts';
import { appliedPatches, patchNotes, withoutRefused, withPatches } from './envoy-filters.ts';
import { type Routes, routeRequest, sentAsIs } from './http.ts';
import { type Matched, type Outcome, outcome } from './outcome.ts';
import { leavesMesh, targetOf } from './target.ts';
import type { World } from './world.ts';
import { writtenAt } from './written-at.ts';

/** What a gateway does with a connection to one of its ports, and with the request on it. */
export function atGateway(files: World, node: ProxyNode, call: Call): Outcome {
  return withoutRefused(files, (world) => throughGateway(world, node, call));
}

function throughGateway(world: World, node: ProxyNode, call: Call): Outcome {
  const { names } = listenerNames(world.mesh, node);
  // A name of which nobody says the address is taken to be the gateway's.
  const found =
    listenerAt(names, boundAddress, call.address, call.port) ?? (call.address === '' ? names.find((name) => name.endsWith(`_${call.port}`)) : undefined);
  if (found !== undefined) return throughListener(world, node, listener(world.mesh, node, found), call);
  const where = call.address === '' ? '' : ` of ${call.address}`;
  return outcome({ decision: 'no-listener', explanation: [`the gateway does not listen on port ${call.port}${where}`] });
}

/** "ADDRESS_PORT" */
function boundAddress(name: string) {
  const at = name.lastIndexOf('_');
  return [{ host: name.slice(0, at), port: Number(name.slice(at + 1)) }];
}

/** What becomes of a connection that a listener takes. */
export function throughListener(world: World, node: ProxyNode, translated: Translated<Listener>, call: Call): Outcome {
  const { name, message, sources, patches, notes } = translated;
  const { resources, assumed } = world;
  if (message === undefined) {
    const takers = sources.filter(({ kind }) => kind === 'EnvoyFilter').map(refText);
    const why = takers.length === 0 ? '' : `: ${takers.join(', ')} takes it away`;
    return outcome({ decision: 'no-listener', explanation: [`there is no listener ${name}${why}`], assumed });
  }
  const accepted = accept(message, call, clientVerifier(world.others), sources);
  const result =
    accepted.kind === 'chain'
      ? throughChain(world, node, translated, accepted, call)
      : outcome({ decision: accepted.kind, explanation: [accepted.why], assumed });
  const chain = accepted.kind === 'chain' ? accepted.chain.name : '';
  const done = [
    ...appliedPatches(resources, patches.get(message), `listener ${name}`),
    ...(accepted.kind === 'chain'
      ? appliedPatches(resources, patches.get(accepted.message), `${chain === '' ? 'a filter chain' : `filter chain ${chain}`} of ${name}`)
      : []),
  ];
  return withPatches({ ...result, xds: { ...result.xds, listener: name, filterChain: chain } }, done, patchNotes(resources, notes));
}

type TakenBy = Extract<Accepted, { readonly kind: 'chain' }>;

function throughChain(world: World, node: ProxyNode, translated: Translated<Listener>, accepted: TakenBy, call: Call): Outcome {
  const { chain, terminated, authenticated } = accepted;
  const carried =
    chain.filter.kind === 'tcp' ? asBytes(world, translated, accepted, chain.filter.tcp, call) : asRequest(world, node, accepted, chain.filter.http, call);
  const source = chain.tls?.certificates[0];
  return {
    ...withDestinationTls(world, node, withDialled(carried, call)),
    mtls: authenticated,
    certificate: terminated && source?.kind === 'sds' ? source.name : '',
    tlsTerminated: terminated,
    assumed: world.assumed,
  };
}

function asBytes(
  world: World,
  { sources, places }: Translated<Listener>,
  { message, authenticated }: TakenBy,
  { policies, clusters }: TcpProxyConfig,
  call: Call,
): Outcome {
  const facts = factsOf(call, authenticated);
  for (const policy of policies) {
    const verdict = policy.decide(facts, null);
    if (!verdict.allowed)
      return outcome({
        decision: 'denied',
        authorization: { allowed: false, policy: verdict.policy },
        explanation: [`authorization closes the connection: ${verdict.policy || 'no policy allows it'}`],
      });
  }
  if (clusters.every(({ name }) => name === BLACK_HOLE_CLUSTER))
    return outcome({
      decision: 'no-filter-chain',
      explanation: [`nothing in the files has ${call.address || 'that address'} and port ${call.port}, and the connection is closed`],
      xds: { listener: '', filterChain: '', virtualHost: '', route: '', clusters: [BLACK_HOLE_CLUSTER] },
    });
  const place = places.get(message);
  return connected(clusters, place === undefined ? ownerOf(world, sources) : placeOf(world.resources, place));
}

function asRequest(world: World, node: ProxyNode, { message, chain, terminated, authenticated }: TakenBy, manager: HttpManagerConfig, call: Call): Outcome {
  const opaque = call.tls !== undefined && !terminated;
  if (opaque || call.request === undefined)
    return outcome({
      decision: 'tls-error',
      explanation: [opaque ? 'requests of HTTP are wanted here, and TLS comes' : 'requests of HTTP are wanted here, and other bytes come'],
    });
  const { resources, mesh } = world;
  const routes = routesOf(mesh, node, message, chain);
  const found = routeRequest({
    manager,
    routes,
    facts: factsOf(call, authenticated),
    request: call.request,
    matched: (place, route) => matchedOf(resources, place, route),
    patched: (places, to) => appliedPatches(resources, places, to),
  });
  return withPatches(found, [], patchNotes(resources, routes.notes));
}

const HTTP_PORT = 80;

/** What goes on to where it was sent, or to the host that it names, goes there, and a request as it is. */
function withDialled(result: Outcome, { host, address, port, tls, request }: Call): Outcome {
  const dialled = { host: host || address, port };
  const named = request === undefined ? undefined : parseAuthority(request.authority);
  const destinations = result.destinations.map((destination) => {
    if (destination.port !== 0 || !leavesMesh(destination.host)) return destination;
    if (destination.host !== DYNAMIC_DNS_CLUSTER || named === undefined) return { ...destination, ...dialled };
    return { ...destination, host: named.host, port: named.port ?? HTTP_PORT };
  });
  const unseen = result.decision === 'passthrough' && result.request === null && request !== undefined && tls === undefined;
  return { ...result, destinations, ...(unseen ? { status: 200, request: sentAsIs(request), response: { status: 200, headers: {} } } : {}) };
}

/** Connections that are carried as they are; those of a backend that is none are closed. */
function connected(clusters: readonly { readonly name: string; readonly weight: number }[], matched: Matched | null): Outcome {
  const total = clusters.reduce((sum, { weight }) => sum + weight, 0);
  const destinations = clusters.map(({ name, weight }) => ({ ...targetOf(name), weight: clusters.length === 1 ? 100 : (weight * 100) / total }));
  const refused = destinations
    .filter(({ host }) => host === INVALID_BACKEND)
    .map(({ weight }) => `${weight.toFixed(0)} % of connections are closed: a backend is none`);
  return outcome({
    decision: clusters.every(({ name }) => leavesMesh(name)) ? 'passthrough' : 'route',
    matched,
    destinations: destinations.filter(({ host }) => host !== INVALID_BACKEND),
    explanation: [`the connection is carried to ${clusters.map(({ name }) => name).join(', ')}`, ...refused],
    xds: { listener: '', filterChain: '', virtualHost: '', route: '', clusters: clusters.map(({ name }) => name) },
  });
}

/** Routes of opaque bytes have no messages of their own: what the listener is made of is told. */
function ownerOf({ resources }: World, sources: readonly ResourceRef[]): Matched | null {
  const route = sources.find(({ kind }) => kind.endsWith('Route') || kind === 'VirtualService');
  return route === undefined ? null : { resource: refText(route), ...writtenAt(resources, route), rule: '' };
}

function placeOf(resources: readonly Resource[], { resource, field }: Place): Matched {
  return { resource: refText(resource), ...writtenAt(resources, resource, field), rule: field };
}

function matchedOf(resources: readonly Resource[], place: Place | undefined, route: Route): Matched {
  if (place === undefined) return { resource: '', file: '', line: 0, rule: route.name };
  const name = route.name === 'default' ? '' : ` (${route.name})`;
  return { resource: refText(place.resource), ...writtenAt(resources, place.resource, place.field), rule: `${place.field}${name}` };
}

interface NotedRoutes extends Routes {
  readonly notes: readonly Note[];
}

/** Of routes that stand in a listener all that is known is known of that. */
const UNKNOWN = { places: new Map(), patches: new Map(), sources: [], notes: [] } as const;

function routesOf(mesh: Mesh, node: ProxyNode, written: FilterChain, chain: FilterChainConfig): NotedRoutes {
  if (chain.filter.kind === 'http' && chain.filter.http.routes.kind === 'rds') {
    const { message: configuration, places, patches, sources, notes } = routeConfiguration(mesh, node, chain.filter.http.routes.name);
    return { configuration: configuration ?? create(RouteConfigurationSchema, {}), places, patches, sources, notes };
  }
  for (const { configType } of written.filters) {
    const manager = configType.case === 'typedConfig' ? anyUnpack(configType.value, HttpConnectionManagerSchema) : undefined;
    if (manager?.routeSpecifier.case === 'routeConfig') return { ...UNKNOWN, configuration: manager.routeSpecifier.value };
  }
  return { ...UNKNOWN, configuration: create(RouteConfigurationSchema, {}) };
}

function factsOf(call: Call, mtls: boolean): ConnectionFacts {
  const source = parseIp(SOMEBODY);
  return {
    destinationIp: parseIp(call.address === '' ? SOMEBODY : call.address),
    destinationPort: call.port,
    directRemoteIp: source,
    remoteIp: source,
    secure: call.tls !== undefined,
    peerUris: mtls && call.tls?.peer ? [call.tls.peer] : [],
    peerDnsNames: [],
    peerSubject: '',
    requestedServerName: call.tls?.sni ?? '',
  };
}
