import { type DescMessage, fromJson, type JsonObject, type JsonValue, type MessageShape } from '@bufbuild/protobuf';
import { loadTypeRegistry } from '@outrigger/xds';
import { type Cluster, ClusterSchema } from '@outrigger/xds/protos/envoy/config/cluster/v3/cluster';
import { type ClusterLoadAssignment, ClusterLoadAssignmentSchema } from '@outrigger/xds/protos/envoy/config/endpoint/v3/endpoint';
import { type Listener, ListenerSchema } from '@outrigger/xds/protos/envoy/config/listener/v3/listener';
import { type RouteConfiguration, RouteConfigurationSchema } from '@outrigger/xds/protos/envoy/config/route/v3/route';
import { type VirtualHost, VirtualHostSchema } from '@outrigger/xds/protos/envoy/config/route/v3/route_components';

const registry = await loadTypeRegistry();
const PROTOCOL_OPTIONS = 'envoy.extensions.upstreams.http.v3.HttpProtocolOptions';

/** A message from its JSON, with what is in its `Any`s. */
export function message<Desc extends DescMessage>(schema: Desc, json: JsonValue): MessageShape<Desc> {
  return fromJson(schema, json, { registry });
}

/** JSON of an `Any`. */
export function typed(type: string, fields: JsonObject = {}): JsonObject {
  return { '@type': `type.googleapis.com/${type}`, ...fields };
}

export interface Endpoint extends JsonObject {
  /** Name of a test upstream in this process, or "ip:port". */
  readonly at: string;
}

function addressOf(at: string): JsonObject {
  const [host, port] = at.split(':');
  return port === undefined ? { envoyInternalAddress: { serverListenerName: at } } : { socketAddress: { address: host!, portValue: Number(port) } };
}

export function assignment(name: string, endpoints: readonly (string | Endpoint)[]): JsonObject {
  const lbEndpoints = endpoints.map((given) => {
    const { at, ...fields } = typeof given === 'string' ? { at: given } : given;
    return { endpoint: { address: addressOf(at) }, ...fields };
  });
  return { clusterName: name, endpoints: [{ loadBalancingWeight: 1, lbEndpoints }] };
}

export function assignmentMessage(name: string, endpoints: readonly (string | Endpoint)[]): ClusterLoadAssignment {
  return message(ClusterLoadAssignmentSchema, assignment(name, endpoints));
}

export interface ClusterGiven {
  /** Absent: EDS. */
  readonly endpoints?: readonly (string | Endpoint)[];
  readonly http2?: boolean;
  /** filter_metadata["outrigger.dev"]. */
  readonly mesh?: JsonObject;
  /** Whatever else. */
  readonly fields?: JsonObject;
}

/** A cluster with the mesh's habits: connect timeout 1 s, no panic. */
export function clusterJson(name: string, { endpoints, http2 = false, mesh, fields = {} }: ClusterGiven): JsonObject {
  return {
    name,
    connectTimeout: '1s',
    commonLbConfig: { healthyPanicThreshold: {} },
    ...(endpoints === undefined
      ? { type: 'EDS', edsClusterConfig: { edsConfig: { ads: {} } } }
      : { type: 'STATIC', loadAssignment: assignment(name, endpoints) }),
    ...(http2 ? { typedExtensionProtocolOptions: { [PROTOCOL_OPTIONS]: typed(PROTOCOL_OPTIONS, { explicitHttpConfig: { http2ProtocolOptions: {} } }) } } : {}),
    ...(mesh === undefined ? {} : { metadata: { filterMetadata: { 'outrigger.dev': mesh } } }),
    ...fields,
  };
}

export function cluster(name: string, given: ClusterGiven): Cluster {
  return message(ClusterSchema, clusterJson(name, given));
}

/** A route to a cluster for everything, with whatever else its action has. Without a timeout, as the mesh's own. */
export function routeTo(cluster: string, action: JsonObject = {}, route: JsonObject = {}): JsonObject {
  return { match: { prefix: '/' }, route: { cluster, timeout: '0s', ...action }, ...route };
}

/** One virtual host for every domain. */
export function routesJson(name: string, routes: readonly JsonObject[], virtualHost: JsonObject = {}): JsonObject {
  return { name, virtualHosts: [{ name: 'all', domains: ['*'], routes: [...routes], ...virtualHost }] };
}

export function routeConfiguration(json: JsonObject): RouteConfiguration {
  return message(RouteConfigurationSchema, json);
}

export function virtualHost(json: JsonObject): VirtualHost {
  return message(VirtualHostSchema, json);
}

export interface ListenerGiven {
  /** Inline; absent: `manager` names an RDS. */
  readonly routes?: readonly JsonObject[];
  readonly virtualHost?: JsonObject;
  /** Fields of the HTTP connection manager. */
  readonly manager?: JsonObject;
  /** HTTP filters before the router. */
  readonly filters?: readonly JsonObject[];
  /** Fields of the listener. */
  readonly fields?: JsonObject;
  /** Fields of its one filter chain. */
  readonly chain?: JsonObject;
}

/** A listener with one filter chain of HTTP, named in Proxy-Status as "test". */
export function listenerJson(name: string, { routes, virtualHost = {}, manager = {}, filters = [], fields = {}, chain = {} }: ListenerGiven): JsonObject {
  const http = typed('envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager', {
    statPrefix: name,
    proxyStatusConfig: { literalProxyName: 'test' },
    streamIdleTimeout: '0s',
    ...(routes === undefined ? {} : { routeConfig: routesJson(name, routes, virtualHost) }),
    httpFilters: [...filters, { name: 'router', typedConfig: typed('envoy.extensions.filters.http.router.v3.Router') }],
    ...manager,
  });
  return {
    name,
    filterChains: [{ filters: [{ name: 'http', typedConfig: http }], ...chain }],
    ...fields,
  };
}

/** Without an address it is an internal one. */
export function listener(name: string, given: ListenerGiven): Listener {
  return message(ListenerSchema, { ...('address' in (given.fields ?? {}) ? {} : { internalListener: {} }), ...listenerJson(name, given) });
}
