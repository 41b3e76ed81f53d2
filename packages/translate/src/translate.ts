import type { Message } from '@bufbuild/protobuf';
import { type Cluster, ClusterSchema } from '@outrigger/xds/protos/envoy/config/cluster/v3/cluster';
import { type ClusterLoadAssignment, ClusterLoadAssignmentSchema } from '@outrigger/xds/protos/envoy/config/endpoint/v3/endpoint';
import { type Listener, ListenerSchema } from '@outrigger/xds/protos/envoy/config/listener/v3/listener';
import { type RouteConfiguration, RouteConfigurationSchema } from '@outrigger/xds/protos/envoy/config/route/v3/route';
import { type VirtualHost, VirtualHostSchema } from '@outrigger/xds/protos/envoy/config/route/v3/route_components';
import { VIRTUAL_INBOUND, virtualInbound } from './capture/inbound.ts';
import { captureListener, VIRTUAL_OUTBOUND, virtualOutbound } from './capture/outbound.ts';
import { captureListenerNames } from './capture/places.ts';
import {
  BLACK_HOLE_CLUSTER,
  DYNAMIC_DNS_CLUSTER,
  HTTP_TUNNEL,
  INBOUND_PASSTHROUGH_CLUSTER,
  inboundCluster,
  outboundCluster,
  PASSTHROUGH_CLUSTER,
} from './cluster-name.ts';
import { clusterNamed } from './clusters/cluster.ts';
import { endpointAssignment } from './clusters/endpoints.ts';
import { resolvesHosts } from './clusters/outward-clusters.ts';
import { mergedRules } from './clusters/traffic-policy.ts';
import { addedClusterNames, patchedCluster } from './envoy-filter/clusters.ts';
import { addedListenerNames, patchedListener } from './envoy-filter/listeners.ts';
import { withPatches } from './envoy-filter/patches.ts';
import { patchedRoutes, patchedVirtualHost } from './envoy-filter/routes.ts';
import { autoPassthroughClusters } from './gateways/auto-passthrough.ts';
import { gatewayListener, gatewayListenerNames } from './gateways/listener.ts';
import { gatewayPorts } from './gateways/ports.ts';
import { egressProxyListener, egressProxyNames, egressTunnel } from './listeners/egress-proxy.ts';
import { apiListener, GRPC_SERVER_PREFIX, serverListener } from './listeners/grpc.ts';
import { inboundListener, inboundListenerName } from './listeners/inbound.ts';
import { forwardProxy, PROXY_LISTENER, tunnel, upstream, upstreamListenerName } from './listeners/outbound.ts';
import type { Mesh, Sidecar } from './mesh.ts';
import type { ProxyNode } from './node.ts';
import { Reader } from './reader.ts';
import { routeConfigurationNamed } from './routes/route-configuration.ts';
import { PROXY_ROUTE, virtualHostFor } from './routes/virtual-host.ts';
import type { Translated, TranslatedNames } from './translated.ts';
import { Visibility } from './visibility.ts';

export type TranslatedMessage = Translated<Message>;

const typeUrl = (schema: { readonly typeName: string }): string => `type.googleapis.com/${schema.typeName}`;
const TypeUrl = {
  cluster: typeUrl(ClusterSchema),
  endpoint: typeUrl(ClusterLoadAssignmentSchema),
  listener: typeUrl(ListenerSchema),
  route: typeUrl(RouteConfigurationSchema),
  virtualHost: typeUrl(VirtualHostSchema),
} as const;

/** Names of the listeners that a wildcard subscription gets. gRPC clients have no wildcard: they ask by name. */
export function listenerNames(mesh: Mesh, node: ProxyNode): TranslatedNames {
  if (node.dataPlane === 'grpc') return { names: [], keys: new Set() };
  const reader = new Reader(mesh, node);
  return { names: [...new Set([...ownListenerNames(reader), ...addedListenerNames(reader)])], keys: reader.keys };
}

function ownListenerNames(reader: Reader): readonly string[] {
  const { node } = reader;
  if (node.gateway !== undefined) return gatewayListenerNames(reader);
  const names = node.upstreams.map(upstreamListenerName);
  if (node.httpProxy !== undefined) names.push(PROXY_LISTENER, HTTP_TUNNEL);
  const visibility = new Visibility(reader);
  names.push(...egressProxyNames(visibility));
  if (node.capture === undefined) return [...node.inbound.map(inboundListenerName), ...names];
  return [...names, VIRTUAL_OUTBOUND, VIRTUAL_INBOUND, ...captureListenerNames(reader, visibility)];
}

/** Names of the clusters that a wildcard subscription gets: all that the node may use. Costs what the node may see. */
export function clusterNames(mesh: Mesh, node: ProxyNode): TranslatedNames {
  const reader = new Reader(mesh, node);
  const visibility = new Visibility(reader);
  const names = node.inbound.map(({ application }) => inboundCluster(application.port));
  if (node.httpProxy !== undefined) names.push(HTTP_TUNNEL);
  if (node.capture !== undefined) names.push(INBOUND_PASSTHROUGH_CLUSTER, BLACK_HOLE_CLUSTER);
  const { egressProxies } = visibility;
  if (node.httpProxy !== undefined || node.capture !== undefined || egressProxies.length > 0) {
    if (visibility.outboundPolicy !== 'REGISTRY_ONLY') names.push(PASSTHROUGH_CLUSTER);
    if (node.capture !== undefined && resolvesHosts(visibility)) names.push(DYNAMIC_DNS_CLUSTER);
  }
  names.push(...egressProxies.map(({ port }) => egressTunnel(port)));
  for (const service of visibility.services()) {
    const proxied = visibility.isProxied(service);
    const subsets = [...mergedRules(visibility, service).subsets.keys()];
    for (const { port } of service.ports) {
      if (!proxied && !visibility.port(service, port)) continue;
      for (const subset of ['', ...subsets]) names.push(outboundCluster(port, subset, service.hostname));
    }
  }
  if (node.gateway !== undefined)
    names.push(
      ...autoPassthroughClusters(
        visibility,
        gatewayPorts(reader).flatMap(({ servers }) => servers),
      ),
    );
  return { names: [...new Set([...names, ...addedClusterNames(reader)])], keys: reader.keys };
}

/** The Sidecar that holds for a node. */
export function sidecarOf(mesh: Mesh, node: ProxyNode): Sidecar | undefined {
  return new Visibility(new Reader(mesh, node)).sidecar;
}

export function listener(mesh: Mesh, node: ProxyNode, name: string): Translated<Listener> {
  const reader = new Reader(mesh, node);
  const made = listenerNamed(reader, name);
  const patched = withPatches(reader, made, () => patchedListener(reader, name, made));
  return reader.result(name, patched);
}

function listenerNamed(reader: Reader, name: string): Listener | undefined {
  const { node } = reader;
  if (node.dataPlane === 'grpc') return name.startsWith(GRPC_SERVER_PREFIX) ? serverListener(reader, name) : apiListener(reader, name);
  if (node.gateway !== undefined) return gatewayListener(reader, name);
  if (name === PROXY_LISTENER) return forwardProxy(reader);
  if (name === HTTP_TUNNEL) return tunnel(reader);
  const declared = node.upstreams.find((candidate) => upstreamListenerName(candidate) === name);
  if (declared !== undefined) return upstream(reader, declared);
  const port = node.inbound.find((candidate) => inboundListenerName(candidate) === name);
  if (node.capture === undefined && port !== undefined) return inboundListener(reader, port);
  if (node.capture !== undefined && name === VIRTUAL_INBOUND) return virtualInbound(reader);
  const visibility = new Visibility(reader);
  const proxy = egressProxyListener(reader, visibility, name);
  if (proxy !== undefined || node.capture === undefined) return proxy;
  return name === VIRTUAL_OUTBOUND ? virtualOutbound(reader, visibility) : captureListener(reader, visibility, name);
}

export function routeConfiguration(mesh: Mesh, node: ProxyNode, name: string): Translated<RouteConfiguration> {
  const reader = new Reader(mesh, node);
  const made = routeConfigurationNamed(reader, name);
  const patched = withPatches(reader, made, () => made && patchedRoutes(reader, made));
  return reader.result(name, patched);
}

/** `name` as a VHDS subscription has it: "http_proxy/order-service:8080". The result's name is the virtual host's own. */
export function virtualHost(mesh: Mesh, node: ProxyNode, name: string): Translated<VirtualHost> {
  const reader = new Reader(mesh, node);
  const prefix = `${PROXY_ROUTE}/`;
  if (!name.startsWith(prefix)) return reader.result<VirtualHost>(name, undefined);
  const found = virtualHostFor(reader, new Visibility(reader), name.slice(prefix.length));
  if (found === undefined) return reader.result<VirtualHost>(name, undefined);
  const aliases = found.names.map((alias) => prefix + alias);
  // A host that has no virtual host of its own name keeps the name that was asked for: two unknown hosts must not be one resource.
  const own = prefix + found.virtualHost.name;
  const resourceName = aliases.includes(own) ? own : name;
  const patched = withPatches(reader, found.virtualHost, () => patchedVirtualHost(reader, found.virtualHost, PROXY_ROUTE));
  return reader.result(resourceName, patched, aliases);
}

export function cluster(mesh: Mesh, node: ProxyNode, name: string): Translated<Cluster> {
  const reader = new Reader(mesh, node);
  const made = clusterNamed(reader, name);
  const patched = withPatches(reader, made, () => patchedCluster(reader, name, made));
  return reader.result(name, patched);
}

export function endpoints(mesh: Mesh, node: ProxyNode, name: string): Translated<ClusterLoadAssignment> {
  const reader = new Reader(mesh, node);
  return reader.result(name, endpointAssignment(reader, name));
}

/** The same for any of those types by its type URL; undefined for a type that translation does not make. */
export function translate(mesh: Mesh, node: ProxyNode, typeUrl: string, name: string): TranslatedMessage | undefined {
  switch (typeUrl) {
    case TypeUrl.listener:
      return listener(mesh, node, name);
    case TypeUrl.route:
      return routeConfiguration(mesh, node, name);
    case TypeUrl.virtualHost:
      return virtualHost(mesh, node, name);
    case TypeUrl.cluster:
      return cluster(mesh, node, name);
    case TypeUrl.endpoint:
      return endpoints(mesh, node, name);
    default:
      return undefined;
  }
}
