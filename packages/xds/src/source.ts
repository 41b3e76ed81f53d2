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

/**
 * What one connected client may see. Made by the control plane (from translation) or by an agent (SDS, relay).
 * 'pending' says "not known yet": the server answers nothing until `changed` names it.
 */
export interface ResourceView {
  /** The resource as of now, by name or alias; undefined: there is none of that name for this client. */
  get(typeUrl: TypeUrl, name: string): VersionedResource | 'pending' | undefined;
  /** Names of a wildcard subscription. */
  wildcard(typeUrl: TypeUrl): Iterable<string> | 'pending';
  /** Name -> version of one answered push; a name that was removed, or is not there, has the version ''. */
  acked?(typeUrl: TypeUrl, versions: ReadonlyMap<string, string>): void;
  /** `message` is the client's own words. */
  nacked?(typeUrl: TypeUrl, versions: ReadonlyMap<string, string>, message: string): void;
  /** The client's set of subscribed names, whenever it changes ('*' is the wildcard). The set is the server's own: copy what you keep. */
  subscribed?(typeUrl: TypeUrl, names: ReadonlySet<string>): void;
  /** Everything announced by `changed` so far was looked at: nothing of this type is left to send or to be answered. */
  settled?(typeUrl: TypeUrl): void;
  close(): void;
}

/** Who is on the other side of a stream, proven by its certificate or by the socket; undefined: by nothing. */
export interface Caller {
  readonly spiffeId: string | undefined;
  readonly remote: string;
  /** Unix sockets, where the server was given a reader of peer credentials: the process that connected, by the kernel's word. */
  readonly peer?: { readonly uid: number; readonly pid: number };
}

export interface ResourceSource {
  /**
   * Called once a stream. Throwing a ConnectError refuses it with that status. `changed` may be called at any time,
   * several types one after another: what was announced in one turn of the event loop is pushed in order (make before break).
   */
  open(node: Node, caller: Caller, changed: (typeUrl: TypeUrl, change: Change) => void): ResourceView;
}
