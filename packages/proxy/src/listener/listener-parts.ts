import type { HttpManager } from '../engine/http-manager.ts';
import type { Runtime } from '../engine/runtime.ts';
import type { TcpRecorder } from '../tcp/tcp-proxy.ts';
import type { ClusterSet } from '../upstream/cluster-set.ts';
import type { HttpManagerConfig, ListenerConfig, SocketAddress } from '../xds/listener-config.ts';
import type { ConnectionLogger } from './connection-log.ts';
import type { Listener } from './listener.ts';

/** What listeners need of the proxy that they are a part of. */
export interface ListenerParts {
  readonly runtime: Runtime;
  readonly clusters: ClusterSet;
  readonly tcpRecorder: TcpRecorder;
  makeManager(http: HttpManagerConfig, listener: ListenerConfig): HttpManager;
  nextConnectionId(): number;
  /** False: the process has as many connections as it may have. */
  admit(): boolean;
  onConnectionGone(): void;
  /** Most connections of the listener of that name at once (envoy.resource_limits.listener.NAME.connection_limit). */
  connectionLimit(listener: string): number;
  /** What writes the listener's access log; null: it has none. */
  connectionLogger(config: ListenerConfig): ConnectionLogger | null;
  /** The listener that has such an address, for connections that were redirected from there; undefined: none. */
  listenerAt(ip: string, port: number): Listener | undefined;
  /** The socket of that address which the process before this one gave; undefined: there is none. */
  inherited(address: SocketAddress): object | undefined;
  /** The sockets are another process's by now, too. */
  handedOver(): boolean;
  /** Sockets were opened, or closed. */
  onSockets(): void;
}
