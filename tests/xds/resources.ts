import { fromJson, type JsonValue } from '@bufbuild/protobuf';
import { loadTypeRegistry, packResource, type VersionedResource } from '@outrigger/xds';
import { ClusterSchema } from '@outrigger/xds/protos/envoy/config/cluster/v3/cluster';
import { ClusterLoadAssignmentSchema } from '@outrigger/xds/protos/envoy/config/endpoint/v3/endpoint';
import { ListenerSchema } from '@outrigger/xds/protos/envoy/config/listener/v3/listener';
import { RouteConfigurationSchema } from '@outrigger/xds/protos/envoy/config/route/v3/route';

const registry = await loadTypeRegistry();
const overAds = { ads: {}, resource_api_version: 'V3' };

export function socketAddress(port: number): JsonValue {
  return { socket_address: { address: '127.0.0.1', port_value: port } };
}

export function cluster(name: string, more: Record<string, JsonValue> = {}): VersionedResource {
  return packResource(
    ClusterSchema,
    name,
    fromJson(
      ClusterSchema,
      { name, type: 'EDS', connect_timeout: '1s', eds_cluster_config: { eds_config: overAds, service_name: name }, ...more },
      { registry },
    ),
  );
}

export function endpoints(name: string, ...ports: number[]): VersionedResource {
  const lb_endpoints = ports.map((port) => ({ endpoint: { address: socketAddress(port) } }));
  const locality = { region: 'here', zone: 'a' };
  const json = { cluster_name: name, endpoints: [{ locality, load_balancing_weight: 1, lb_endpoints }] };
  return packResource(ClusterLoadAssignmentSchema, name, fromJson(ClusterLoadAssignmentSchema, json));
}

export function routeConfiguration(name: string, toCluster: string, domains: string[] = ['*']): VersionedResource {
  const json = { name, virtual_hosts: [{ name: 'all', domains, routes: [{ match: { prefix: '' }, route: { cluster: toCluster } }] }] };
  return packResource(RouteConfigurationSchema, name, fromJson(RouteConfigurationSchema, json));
}

function connectionManager(routeName: string, more: Record<string, JsonValue>): JsonValue {
  return {
    '@type': 'type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager',
    stat_prefix: 'in',
    rds: { route_config_name: routeName, config_source: overAds },
    http_filters: [{ name: 'envoy.filters.http.router', typed_config: { '@type': 'type.googleapis.com/envoy.extensions.filters.http.router.v3.Router' } }],
    ...more,
  };
}

/** A listener of HTTP by RDS; `transportSocket` for TLS. */
export function listener(
  name: string,
  port: number,
  routeName: string,
  options: { transportSocket?: JsonValue; accessLog?: JsonValue } = {},
): VersionedResource {
  const manager = connectionManager(routeName, options.accessLog === undefined ? {} : { access_log: [options.accessLog] });
  const chain = {
    filters: [{ name: 'http', typed_config: manager }],
    ...(options.transportSocket === undefined ? {} : { transport_socket: options.transportSocket }),
  };
  return packResource(ListenerSchema, name, fromJson(ListenerSchema, { name, address: socketAddress(port), filter_chains: [chain] }, { registry }));
}

/** The listener that a gRPC client asks for by name. */
export function apiListener(name: string, routeName: string): VersionedResource {
  return packResource(
    ListenerSchema,
    name,
    fromJson(ListenerSchema, { name, api_listener: { api_listener: connectionManager(routeName, {}) as JsonValue } }, { registry }),
  );
}
