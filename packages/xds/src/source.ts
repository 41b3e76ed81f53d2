import type { Any } from '@bufbuild/protobuf/wkt';
import type { Node } from '@outrigger/xds/protos/envoy/config/core/v3/base';

/** The resource types, in the order in which additions are pushed (make before break); removals go the other way. */
export const TypeUrl = {
  cluster: 'type.googleapis.com/envoy.config.cluster.v3.Cluster',
  endpoint: 'type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment',
  listener: 'type.googleapis.com/envoy.config.listener.v3.Listener',
  route: 'type.googleapis.com/envoy.config.route.v3.RouteConfiguration',
  virtualHost: 'type.googleapis.com/envoy.config.route.v3.VirtualHost',
  secret: 'type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret',
} as const;
export type TypeUrl = (typeof TypeUrl)[keyof typeof TypeUrl];

/** One encoded resource. Two with the same version are the same bytes. */
export interface VersionedResource {
  readonly name: string;
  /** Changes exactly when the content does (a hash of it will do). */
  readonly version: string;
  readonly body: Any;
  /** VHDS: the other names under which it answers a subscription ("http_proxy/order-service:8080"). */
  readonly aliases?: readonly string[];
}

/** Which names of a type have changed for a client; 'all': look at everything it has. */
export type Change = ReadonlySet<string> | 'all';

/** What one connected client may see. Made by the control plane (from translation) or by an agent (SDS). */
export interface ResourceView {
  /** The resource as of now; undefined: there is none of that name for this client. */
  get(typeUrl: TypeUrl, name: string): VersionedResource | undefined;
  /** Names of a wildcard subscription. */
  wildcard(typeUrl: TypeUrl): Iterable<string>;
  acked?(typeUrl: TypeUrl, versions: ReadonlyMap<string, string>): void;
  /** `message` is the client's own words. */
  nacked?(typeUrl: TypeUrl, versions: ReadonlyMap<string, string>, message: string): void;
  /** The client's set of subscribed names, whenever it changes ('*' is the wildcard). */
  subscribed?(typeUrl: TypeUrl, names: ReadonlySet<string>): void;
  close(): void;
}

/** Who is on the other side of a stream, proven by its certificate or by the socket; undefined: by nothing. */
export interface Caller {
  readonly spiffeId: string | undefined;
  readonly remote: string;
}

export interface ResourceSource {
  /** Called once a stream. Throwing a ConnectError refuses it with that status. */
  open(node: Node, caller: Caller, changed: (typeUrl: TypeUrl, change: Change) => void): ResourceView;
}
