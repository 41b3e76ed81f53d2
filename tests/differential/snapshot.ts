import { create } from '@bufbuild/protobuf';
import { anyPack, anyUnpack } from '@bufbuild/protobuf/wkt';
import {
  BLACK_HOLE_CLUSTER,
  cluster,
  clusterNames,
  endpoints,
  listener,
  listenerNames,
  type Mesh,
  type ProxyNode,
  routeConfiguration,
  virtualHost,
} from '@outrigger/translate';
import { packResource, TypeUrl, type VersionedResource } from '@outrigger/xds';
import { type Cluster, Cluster_DiscoveryType, Cluster_LbPolicy, ClusterSchema } from '@outrigger/xds/protos/envoy/config/cluster/v3/cluster';
import { AddressSchema } from '@outrigger/xds/protos/envoy/config/core/v3/address';
import { ClusterLoadAssignmentSchema } from '@outrigger/xds/protos/envoy/config/endpoint/v3/endpoint';
import { type Listener, ListenerSchema } from '@outrigger/xds/protos/envoy/config/listener/v3/listener';
import { ListenerFilterSchema } from '@outrigger/xds/protos/envoy/config/listener/v3/listener_components';
import { RouteConfigurationSchema } from '@outrigger/xds/protos/envoy/config/route/v3/route';
import { VirtualHostSchema } from '@outrigger/xds/protos/envoy/config/route/v3/route_components';
import { ProxyProtocolSchema } from '@outrigger/xds/protos/envoy/extensions/filters/listener/proxy_protocol/v3/proxy_protocol';
import { HttpConnectionManagerSchema } from '@outrigger/xds/protos/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager';

/** Leads to another listener of the same proxy. */
const HTTP_TUNNEL = 'http_tunnel';

/** Where the endpoints of a cluster are, whatever they are in the world that was translated. */
export type EndpointOf = (cluster: string) => { readonly address: string; readonly port: number };
/** The port of this machine on which a listener is reached, by its name. */
export type PortOf = (listener: string) => number;

export interface Snapshot {
  readonly clusters: ReadonlySet<string>;
  readonly resources: ReadonlyMap<TypeUrl, ReadonlyMap<string, VersionedResource>>;
}

/**
 * All that translation says to one proxy, changed in two places alone: clusters lead to the backend that tells them apart, in plain text (with no
 * `endpointOf` they are left as they are), and listeners are where the test can reach them, and hear from it (PROXY protocol) where a connection was
 * going.
 */
export function snapshotOf(mesh: Mesh, node: ProxyNode, endpointOf: EndpointOf | undefined, portOf: PortOf, authorities: readonly string[] = []): Snapshot {
  const listeners = new Map<string, VersionedResource>();
  const routes = new Map<string, VersionedResource>();
  const clusters = new Map<string, VersionedResource>();
  for (const name of listenerNames(mesh, node).names) {
    const { message } = listener(mesh, node, name);
    if (message === undefined) continue;
    listeners.set(name, packResource(ListenerSchema, name, reachable(message, portOf)));
    for (const route of routeNames(message)) {
      const table = routeConfiguration(mesh, node, route).message;
      if (table !== undefined) routes.set(route, packResource(RouteConfigurationSchema, route, table));
    }
  }
  const hosts = new Map<string, VersionedResource>();
  for (const authority of node.onDemand ? authorities : []) {
    const { name, message, aliases } = virtualHost(mesh, node, `http_proxy/${authority}`);
    if (message !== undefined) hosts.set(name, packResource(VirtualHostSchema, name, message, aliases));
  }
  const assignments = new Map<string, VersionedResource>();
  for (const name of clusterNames(mesh, node).names) {
    const { message } = cluster(mesh, node, name);
    if (message === undefined) continue;
    clusters.set(
      name,
      packResource(ClusterSchema, name, name === BLACK_HOLE_CLUSTER || name === HTTP_TUNNEL || endpointOf === undefined ? message : led(message, endpointOf)),
    );
    const assignment = endpointOf === undefined ? endpoints(mesh, node, name).message : undefined;
    if (assignment !== undefined) assignments.set(name, packResource(ClusterLoadAssignmentSchema, name, assignment));
  }
  return {
    clusters: new Set(clusters.keys()),
    resources: new Map([
      [TypeUrl.cluster, clusters],
      [TypeUrl.endpoint, assignments],
      [TypeUrl.listener, listeners],
      [TypeUrl.route, routes],
      // They come to a forward proxy alone, and stay as they were where there is none.
      ...(authorities.length === 0 ? [] : ([[TypeUrl.virtualHost, hosts]] as const)),
    ]),
  };
}

function reachable(message: Listener, portOf: PortOf): Listener {
  if (message.bindToPort === false || message.listenerSpecifier.case === 'internalListener') return message;
  const proxyProtocol = { case: 'typedConfig' as const, value: anyPack(ProxyProtocolSchema, create(ProxyProtocolSchema, {})) };
  return create(ListenerSchema, {
    ...message,
    address: create(AddressSchema, socketAddress('127.0.0.1', portOf(message.name))),
    listenerFilters: [
      create(ListenerFilterSchema, { name: 'proxy_protocol', configType: proxyProtocol }),
      // The kernel has turned nothing round.
      ...message.listenerFilters.filter(({ name }) => !name.endsWith('original_dst')),
    ],
  });
}

function socketAddress(address: string, portValue: number) {
  return { address: { case: 'socketAddress' as const, value: { address, portSpecifier: { case: 'portValue' as const, value: portValue } } } };
}

function routeNames({ filterChains, defaultFilterChain }: Listener): readonly string[] {
  const chains = defaultFilterChain === undefined ? filterChains : [...filterChains, defaultFilterChain];
  return chains.flatMap(({ filters }) =>
    filters.flatMap(({ configType }) => {
      const manager = configType.case === 'typedConfig' ? anyUnpack(configType.value, HttpConnectionManagerSchema) : undefined;
      return manager?.routeSpecifier.case === 'rds' ? [manager.routeSpecifier.value.routeConfigName] : [];
    }),
  );
}

function led(message: Cluster, endpointOf: EndpointOf): Cluster {
  const { name } = message;
  const { address, port } = endpointOf(name);
  const { edsClusterConfig: _eds, transportSocket: _socket, ...kept } = message;
  return create(ClusterSchema, {
    ...kept,
    clusterDiscoveryType: { case: 'type', value: Cluster_DiscoveryType.STATIC },
    loadAssignment: create(ClusterLoadAssignmentSchema, {
      clusterName: name,
      endpoints: [{ loadBalancingWeight: 1, lbEndpoints: [{ hostIdentifier: { case: 'endpoint', value: { address: socketAddress(address, port) } } }] }],
    }),
    ...(message.lbPolicy === Cluster_LbPolicy.CLUSTER_PROVIDED ? { lbPolicy: Cluster_LbPolicy.ROUND_ROBIN } : {}),
    transportSocketMatches: [],
  });
}
