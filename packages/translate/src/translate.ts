import type { Message } from '@bufbuild/protobuf';
import type { Cluster } from '@outrigger/xds/protos/envoy/config/cluster/v3/cluster';
import type { ClusterLoadAssignment } from '@outrigger/xds/protos/envoy/config/endpoint/v3/endpoint';
import type { Listener } from '@outrigger/xds/protos/envoy/config/listener/v3/listener';
import type { RouteConfiguration } from '@outrigger/xds/protos/envoy/config/route/v3/route';
import type { VirtualHost } from '@outrigger/xds/protos/envoy/config/route/v3/route_components';
import type { Mesh } from './mesh.ts';
import type { ProxyNode } from './node.ts';
import type { Translated, TranslatedNames } from './translated.ts';

export type TranslatedMessage = Translated<Message>;

/** Names of the listeners that a wildcard subscription gets. */
export function listenerNames(_mesh: Mesh, _node: ProxyNode): TranslatedNames {
  throw new Error('being written');
}

/** Names of the clusters that a wildcard subscription gets: all that the node may use. */
export function clusterNames(_mesh: Mesh, _node: ProxyNode): TranslatedNames {
  throw new Error('being written');
}

export function listener(_mesh: Mesh, _node: ProxyNode, _name: string): Translated<Listener> {
  throw new Error('being written');
}

export function routeConfiguration(_mesh: Mesh, _node: ProxyNode, _name: string): Translated<RouteConfiguration> {
  throw new Error('being written');
}

/** `name` as a VHDS subscription has it: "http_proxy/order-service:8080". */
export function virtualHost(_mesh: Mesh, _node: ProxyNode, _name: string): Translated<VirtualHost> {
  throw new Error('being written');
}

export function cluster(_mesh: Mesh, _node: ProxyNode, _name: string): Translated<Cluster> {
  throw new Error('being written');
}

export function endpoints(_mesh: Mesh, _node: ProxyNode, _name: string): Translated<ClusterLoadAssignment> {
  throw new Error('being written');
}

/** The same for any of those types by its type URL; undefined for a type that translation does not make. */
export function translate(_mesh: Mesh, _node: ProxyNode, _typeUrl: string, _name: string): TranslatedMessage | undefined {
  throw new Error('being written');
}

/** Two nodes with the same share key get the same resource for the same name of that type: translate and encode once. */
export function shareKey(_node: ProxyNode, _typeUrl: string): string {
  throw new Error('being written');
}
