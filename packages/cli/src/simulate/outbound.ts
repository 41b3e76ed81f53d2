import { create } from '@bufbuild/protobuf';
import { CidrRange, compileListener, describeErrors, type HttpManagerConfig, parseIp } from '@outrigger/proxy/pure';
import type { Protocol, Service, ServicePort } from '@outrigger/resources';
import {
  clusterNames,
  covers,
  listener,
  meantHosts,
  PASSTHROUGH_CLUSTER,
  type ProxyNode,
  parseAuthority,
  parseOutboundCluster,
  servicesAt,
  virtualHost,
} from '@outrigger/translate';
import { RouteConfigurationSchema } from '@outrigger/xds/protos/envoy/config/route/v3/route';
import type { VirtualHost } from '@outrigger/xds/protos/envoy/config/route/v3/route_components';
import type { Call } from './call.ts';
import { withDestinationTls } from './destination-tls.ts';
import { routeRequest } from './http.ts';
import { type Outcome, outcome } from './outcome.ts';
import { connected, factsOf, matchedOf, ownerOf, throughListener } from './simulate.ts';
import type { World } from './world.ts';

/** Whoever calls one service by an address that stands for it (`--upstream`): whatever host a request names, it is for that service. */
export function throughUpstream(world: World, node: ProxyNode, service: string, call: Call): Outcome {
  const address = { host: '127.0.0.1', port: call.port };
  const asked = { ...node, upstreams: [{ service, port: call.port, address }] };
  const message = listener(world.mesh, asked, `upstream_${address.host}_${address.port}`).message;
  return message === undefined ? outward(world, node, `there is no service ${service}`) : throughListener(world, asked, message, call);
}

/** Where a sidecar itself listens: what is sent there would come back for ever. */
const OWN_PORTS: ReadonlySet<number> = new Set([15_001, 15_006]);
const BLACK_HOLE = 'BlackHoleCluster';
const HTTP_PORT = 80;

interface ServiceAt {
  readonly service: Service;
  readonly port: ServicePort;
}

/**
 * What the proxy beside a workload does with a connection of its application that is turned round into it: it goes by the address where that is a
 * service's own, else by what comes on it, else out of the mesh as the outbound policy has it.
 */
export function fromWorkload(world: World, node: ProxyNode, call: Call): Outcome {
  return withDestinationTls(world, node, captured(world, node, call));
}

function captured(world: World, node: ProxyNode, call: Call): Outcome {
  if (OWN_PORTS.has(call.port)) return closed(`port ${call.port} is the proxy's own`);
  const seen = servicesAt(world.mesh, node, call.port).map((service): ServiceAt => ({ service, port: service.ports.find(({ port }) => port === call.port)! }));
  const names = call.host === undefined ? [] : meantHosts(call.host, node.namespace, world.mesh.settings.domainSuffix);
  const meant = seen.find(({ service }) => names.includes(service.hostname));
  const addressed = meant !== undefined ? [meant] : call.address === '' ? [] : seen.filter(({ service }) => isAddressOf(world, service, call.address));
  const { request, tls } = call;
  const plain = request !== undefined && tls === undefined;
  const takesHttp = ({ port }: ServiceAt): boolean => isHttp(port.protocol);
  const takesBytes = (one: ServiceAt): boolean => !takesHttp(one);
  if (plain && addressed.some(({ port }) => port.protocol === 'UNSUPPORTED')) return requestFrom(world, node, call);
  const own = bySni(addressed.filter(takesBytes), call);
  if (own !== undefined) return carried(world, node, own);
  const everywhere = seen.filter(({ service }) => hasNoAddress(world, service));
  if (plain && (seen.some(takesHttp) || everywhere.some(({ port }) => port.protocol === 'UNSUPPORTED'))) return requestFrom(world, node, call);
  const wild = bySni(everywhere.filter(takesBytes), call);
  if (wild !== undefined) return carried(world, node, wild);
  if (plain && leavesMesh(world, node)) return requestFrom(world, node, call);
  return outward(world, node, `no service that ${node.namespace}/${node.workload} sees has ${call.address || 'that address'} and port ${call.port}`);
}

export function isHttp(protocol: Protocol): boolean {
  return protocol === 'HTTP' || protocol === 'HTTP2' || protocol === 'GRPC' || protocol === 'GRPC-WEB';
}

/** Its virtual address, or, where it has none (headless), that of an endpoint. */
function isAddressOf(world: World, service: Service, address: string): boolean {
  if (service.addresses.length > 0) return service.addresses.some((one) => holds(one, address));
  return service.resolution === 'STATIC' && world.instances.some((instance) => instance.services.includes(service.hostname) && instance.address === address);
}

/** Whether an address is the one written, or in the range that is written ("10.0.0.0/8"). */
function holds(written: string, address: string): boolean {
  const [base = '', length] = written.split('/');
  const from = parseIp(base);
  return new CidrRange(from, length === undefined ? (from.family === 4 ? 32 : 128) : Number(length)).contains(parseIp(address));
}

/** Then its port is taken at every address. */
function hasNoAddress(world: World, service: Service): boolean {
  return service.addresses.length === 0 && !(service.resolution === 'STATIC' && world.instances.some(({ services }) => services.includes(service.hostname)));
}

/** Of several at one address those for TLS are told apart by the name that is asked for. */
function bySni(candidates: readonly ServiceAt[], { tls }: Call): ServiceAt | undefined {
  const named = candidates.filter(({ port }) => port.protocol === 'TLS' || port.protocol === 'HTTPS');
  const sni = tls?.sni.toLowerCase() ?? '';
  if (tls !== undefined) {
    const exact = named.find(({ service }) => service.hostname === sni) ?? named.find(({ service }) => covers(service.hostname, sni));
    if (exact !== undefined) return exact;
  }
  // At an address of its own a service has every connection; several at one address have those with their names alone.
  const open = candidates.filter((one) => !named.includes(one) || one.service.addresses.length > 0 || one.service.location === 'MESH_INTERNAL');
  return open.length === 1 || !open.every((one) => named.includes(one)) ? (open.find((one) => !named.includes(one)) ?? open[0]) : undefined;
}

function carried(world: World, node: ProxyNode, { service, port }: ServiceAt): Outcome {
  const { message, sources } = virtualHost(world.mesh, node, `http_proxy/${service.hostname}:${port.port}`);
  const connect = message?.routes.find(({ match }) => match?.pathSpecifier.case === 'connectMatcher');
  const specifier = connect?.action.case === 'route' ? connect.action.value.clusterSpecifier : undefined;
  const clusters =
    specifier?.case === 'cluster'
      ? [{ name: specifier.value, weight: 1 }]
      : specifier?.case === 'weightedClusters'
        ? specifier.value.clusters.map(({ name, weight }) => ({ name, weight: weight ?? 0 }))
        : [];
  const real = clusters.filter(({ name }) => parseOutboundCluster(name) !== undefined);
  const targets = real.length > 0 ? real : [{ name: `outbound|${port.port}||${service.hostname}`, weight: 1 }];
  const virtualServices = real.length === 0 ? [] : sources.filter(({ kind }) => kind === 'VirtualService');
  return { ...connected(targets, ownerOf(world, virtualServices)), assumed: world.assumed };
}

/** By the Host header: the virtual host that the proxy has for it, through the filters of the proxy's own listener. */
function requestFrom(world: World, node: ProxyNode, call: Call): Outcome {
  const request = call.request!;
  const asked = parseAuthority(request.authority);
  if (asked === undefined) return outward(world, node, `nobody is ${request.authority}`);
  const { host, port = call.port } = asked;
  const known = virtualHost(world.mesh, node, `http_proxy/${host}:${port}`);
  const onlyByName = known.message !== undefined && !world.services.some(({ hostname }) => known.message!.name === `${hostname}:${port}`);
  // Of a host that is no service, on a port that no rule names, nothing is known.
  const found = onlyByName && port !== HTTP_PORT && !isUnknown(known.message!) ? virtualHost(world.mesh, node, `http_proxy/unknown.invalid:${port}`) : known;
  if (found.message === undefined) return outward(world, node, `nobody is ${request.authority}`);
  const configuration = create(RouteConfigurationSchema, { name: 'http_proxy', virtualHosts: [{ ...found.message, domains: ['*'] }] });
  const result = routeRequest({
    manager: managerOf(world, node),
    routes: { configuration, places: found.places },
    facts: factsOf(call, false),
    request,
    matched: (place, route) => matchedOf(world.resources, place, route),
  });
  return { ...result, assumed: world.assumed, xds: { ...result.xds, listener: 'http_proxy' } };
}

function isUnknown({ name }: VirtualHost): boolean {
  return name === 'allow_any' || name === 'block_all';
}

function managerOf(world: World, node: ProxyNode): HttpManagerConfig {
  const compiled = compileListener(listener(world.mesh, node, 'http_proxy').message!, node.id);
  if (!compiled.ok) throw new Error(describeErrors(compiled.errors));
  const { filter } = compiled.value.filterChains[0]!;
  if (filter.kind !== 'http') throw new Error('the forward proxy takes no requests');
  return filter.http;
}

/** Whether names outside the mesh may be called. */
function leavesMesh(world: World, node: ProxyNode): boolean {
  return clusterNames(world.mesh, node).names.includes(PASSTHROUGH_CLUSTER);
}

function outward(world: World, node: ProxyNode, why: string): Outcome {
  if (!leavesMesh(world, node)) return closed(`${why}, and names outside the mesh are not allowed (REGISTRY_ONLY)`);
  return outcome({
    decision: 'passthrough',
    explanation: [`${why}: it goes on to where it was sent`],
    assumed: world.assumed,
    xds: { listener: '', filterChain: '', virtualHost: '', route: '', clusters: [PASSTHROUGH_CLUSTER] },
  });
}

function closed(why: string): Outcome {
  return outcome({
    decision: 'no-filter-chain',
    explanation: [`${why}: the connection is closed`],
    xds: { listener: '', filterChain: '', virtualHost: '', route: '', clusters: [BLACK_HOLE] },
  });
}
