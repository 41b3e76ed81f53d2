import { create } from '@bufbuild/protobuf';
import { anyUnpack } from '@bufbuild/protobuf/wkt';
import { type ConnectionFacts, type FilterChainConfig, parseIp } from '@outrigger/proxy/pure';
import { type Resource, type ResourceRef, refKey, refOf, refText } from '@outrigger/resources';
import { listener, listenerNames, type Mesh, type Place, type ProxyNode, routeConfiguration } from '@outrigger/translate';
import type { Listener } from '@outrigger/xds/protos/envoy/config/listener/v3/listener';
import { RouteConfigurationSchema } from '@outrigger/xds/protos/envoy/config/route/v3/route';
import type { Route } from '@outrigger/xds/protos/envoy/config/route/v3/route_components';
import { HttpConnectionManagerSchema } from '@outrigger/xds/protos/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager';
import type { Call } from './call.ts';
import { clientVerifier } from './client-certificate.ts';
import { accept, SOMEBODY } from './connection.ts';
import { withDestinationTls } from './destination-tls.ts';
import { type Routes, routeRequest } from './http.ts';
import { type Matched, type Outcome, outcome } from './outcome.ts';
import { leavesMesh, targetOf } from './target.ts';
import type { World } from './world.ts';

/** What a gateway does with a connection to one of its ports, and with the request on it. */
export function atGateway(world: World, node: ProxyNode, call: Call): Outcome {
  const found = listenerNames(world.mesh, node).names.find((name) => name.endsWith(`_${call.port}`));
  const message = found === undefined ? undefined : listener(world.mesh, node, found).message;
  if (message === undefined) return outcome({ decision: 'no-listener', explanation: [`the gateway does not listen on port ${call.port}`] });
  return throughListener(world, node, message, call);
}

/** What the proxy beside a workload does with a connection to a port of it. */
export function atWorkload(world: World, node: ProxyNode, call: Call): Outcome {
  const port = node.inbound.find(({ application }) => application.port === call.port);
  const message = port === undefined ? undefined : listener(world.mesh, node, `inbound_${port.mesh.host}_${port.mesh.port}`).message;
  if (message === undefined) return outcome({ decision: 'no-listener', explanation: [`the workload has no port ${call.port}`] });
  return throughListener(world, node, message, call);
}

export function throughListener(world: World, node: ProxyNode, message: Listener, call: Call): Outcome {
  const accepted = accept(message, call, clientVerifier(world.others));
  const mtls = accepted.kind === 'chain' && accepted.authenticated;
  if (accepted.kind !== 'chain') return named(outcome({ decision: accepted.kind, explanation: [accepted.why] }), message, '');
  const { chain, terminated } = accepted;
  const opaque = call.tls !== undefined && !terminated;
  const result = withDestinationTls(world, node, throughChain(world, node, message, chain, call, { opaque, mtls }));
  const source = chain.tls?.certificates[0];
  const certificate = terminated && source?.kind === 'sds' ? source.name : '';
  return named({ ...result, mtls, certificate, tlsTerminated: terminated, assumed: world.assumed }, message, chain.name);
}

function named(result: Outcome, { name }: Listener, filterChain: string): Outcome {
  return { ...result, xds: { ...result.xds, listener: name, filterChain } };
}

function throughChain(
  world: World,
  node: ProxyNode,
  message: Listener,
  chain: FilterChainConfig,
  call: Call,
  { opaque, mtls }: { readonly opaque: boolean; readonly mtls: boolean },
): Outcome {
  const facts = factsOf(call, mtls);
  const { filter } = chain;
  if (filter.kind === 'tcp') {
    for (const policy of filter.tcp.policies) {
      const verdict = policy.decide(facts, null);
      if (!verdict.allowed)
        return outcome({
          decision: 'denied',
          authorization: { allowed: false, policy: verdict.policy },
          explanation: [`authorization closes the connection: ${verdict.policy || 'no policy allows it'}`],
        });
    }
    return connected(filter.tcp.clusters, ownerOf(world, listener(world.mesh, node, message.name).sources));
  }
  if (opaque || call.request === undefined)
    return outcome({
      decision: 'tls-error',
      explanation: [opaque ? 'requests of HTTP are wanted here, and TLS comes' : 'requests of HTTP are wanted here, and other bytes come'],
    });
  const routes = routesOf(world.mesh, node, message, chain);
  return routeRequest({ manager: filter.http, routes, facts, request: call.request, matched: (place, route) => matchedOf(world.resources, place, route) });
}

/** Connections that are carried as they are. */
export function connected(clusters: readonly { readonly name: string; readonly weight: number }[], matched: Matched | null): Outcome {
  const total = clusters.reduce((sum, { weight }) => sum + weight, 0);
  return outcome({
    decision: clusters.every(({ name }) => leavesMesh(name)) ? 'passthrough' : 'route',
    matched,
    destinations: clusters.map(({ name, weight }) => ({ ...targetOf(name), weight: clusters.length === 1 ? 100 : (weight * 100) / total })),
    explanation: [`the connection is carried to ${clusters.map(({ name }) => name).join(', ')}`],
    xds: { listener: '', filterChain: '', virtualHost: '', route: '', clusters: clusters.map(({ name }) => name) },
  });
}

/** Routes of opaque bytes have no messages of their own: what the listener is made of is told. */
export function ownerOf({ resources }: World, sources: readonly ResourceRef[]): Matched | null {
  const route = sources.find(({ kind }) => kind.endsWith('Route') || kind === 'VirtualService');
  return route === undefined ? null : { resource: refText(route), ...writtenAt(resources, route), rule: '' };
}

export function matchedOf(resources: readonly Resource[], place: Place | undefined, route: Route): Matched {
  if (place === undefined) return { resource: '', file: '', line: 0, rule: route.name };
  const name = route.name === 'default' ? '' : ` (${route.name})`;
  return { resource: refText(place.resource), ...writtenAt(resources, place.resource, place.field), rule: `${place.field}${name}` };
}

function writtenAt(resources: readonly Resource[], ref: ResourceRef, field = ''): Pick<Matched, 'file' | 'line'> {
  const written = resources.find((resource) => refKey(refOf(resource)) === refKey(ref));
  return { file: written?.origin?.file ?? '', line: (field === '' ? undefined : written?.lineOf?.(field)) ?? written?.origin?.line ?? 0 };
}

function routesOf(mesh: Mesh, node: ProxyNode, message: Listener, chain: FilterChainConfig): Routes {
  if (chain.filter.kind === 'http' && chain.filter.http.routes.kind === 'rds') {
    const { message: configuration, places } = routeConfiguration(mesh, node, chain.filter.http.routes.name);
    return { configuration: configuration ?? create(RouteConfigurationSchema, {}), places };
  }
  const written = message.filterChains.find(({ name }) => name === chain.name);
  for (const { configType } of written?.filters ?? []) {
    const manager = configType.case === 'typedConfig' ? anyUnpack(configType.value, HttpConnectionManagerSchema) : undefined;
    if (manager?.routeSpecifier.case === 'routeConfig') return { configuration: manager.routeSpecifier.value, places: new Map() };
  }
  return { configuration: create(RouteConfigurationSchema, {}), places: new Map() };
}

export function factsOf(call: Call, mtls: boolean): ConnectionFacts {
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
