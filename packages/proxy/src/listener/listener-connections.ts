import type { TimerScale } from '../overload/overload-config.ts';
import { scaledTimeoutMs } from '../overload/overload-monitor.ts';
import { TcpProxy } from '../tcp/tcp-proxy.ts';
import type { FilterChainConfig } from '../xds/listener-config.ts';
import type { Admission } from './admission.ts';
import type { ConnectionGates } from './connection-gate.ts';
import type { ConnectionInfo } from './connection-info.ts';
import type { ConnectionLog } from './connection-log.ts';
import { HttpConnection } from './http-connection.ts';

export type ServedConnection = HttpConnection | TcpProxy;

const NONE: ReadonlySet<string> = new Set();

export interface UnderWay {
  readonly tcpConnections: number;
  readonly requests: number;
}

/** What is to be undone, or told, when a connection is gone. */
interface Served {
  readonly gates: ConnectionGates | undefined;
  readonly info: ConnectionInfo;
  readonly startUnixMs: number;
}

/** The connections that a listener serves, and how they come to their end. */
export class ListenerConnections {
  readonly #admission: Admission;
  readonly #log: ConnectionLog;
  readonly #unixMs: () => number;
  readonly #all = new Map<ServedConnection, FilterChainConfig>();
  /** Only of those where there is something. */
  readonly #onGone = new Map<ServedConnection, Served>();
  #draining = false;
  /** Once the listener is replaced: filter chains that its successor has as they are. Their connections stay. */
  #kept: ReadonlySet<string> = NONE;
  /** The last connection of a listener that drains has gone. */
  onEmpty: () => void = () => {};

  constructor(admission: Admission, log: ConnectionLog, unixMs: () => number) {
    this.#admission = admission;
    this.#log = log;
    this.#unixMs = unixMs;
  }

  get count(): number {
    return this.#all.size;
  }

  *tcp(): Iterable<TcpProxy> {
    for (const connection of this.#all.keys()) if (connection instanceof TcpProxy) yield connection;
  }

  /** Connections of TCP, which are never idle to us; else requests that are under way. */
  get underWay(): UnderWay {
    let tcpConnections = 0;
    let requests = 0;
    for (const connection of this.#all.keys()) {
      if (connection instanceof HttpConnection) requests += connection.activeStreams;
      else tcpConnections += 1;
    }
    return { tcpConnections, requests };
  }

  /** `gates`: those that have let it in. */
  add(connection: ServedConnection, chain: FilterChainConfig, info: ConnectionInfo, gates: ConnectionGates | undefined): void {
    this.#all.set(connection, chain);
    if (gates !== undefined || this.#log.written) this.#onGone.set(connection, { gates, info, startUnixMs: this.#unixMs() });
    // It was on its way when its listener was replaced.
    if (this.#draining && connection instanceof HttpConnection && !this.#kept.has(chain.fingerprint)) connection.drain(true);
  }

  readonly gone = (connection: ServedConnection): void => {
    if (!this.#all.delete(connection)) return;
    this.#admission.left();
    const served = this.#onGone.get(connection);
    if (served !== undefined) {
      this.#onGone.delete(connection);
      served.gates?.release();
      if (connection instanceof TcpProxy)
        this.#log.tell(served.info, served.startUnixMs, connection.responseFlags, connection.details, connection.bytesReceived, connection.bytesSent);
      else this.#log.tell(served.info, served.startUnixMs, 0, '');
    }
    if (this.#draining && this.#all.size === 0) this.onEmpty();
  };

  /** `patient`: idle ones go on until `endIdle`. `kept`: fingerprints of filter chains whose connections are not concerned. */
  drain(patient: boolean, kept: ReadonlySet<string> = NONE): void {
    this.#draining = true;
    this.#kept = kept;
    for (const connection of this.#concerned()) if (connection instanceof HttpConnection && !connection.draining) connection.drain(patient);
  }

  /** Ends what has no request under way, TCP connections among them, of those that drain. */
  endIdle(): void {
    this.endIdleHttp();
    for (const connection of this.#concerned()) if (!(connection instanceof HttpConnection)) connection.close();
  }

  endIdleHttp(): void {
    for (const connection of this.#concerned()) if (connection instanceof HttpConnection && connection.activeStreams === 0) connection.drain();
  }

  /** Ends those that drain still. */
  endDraining(): void {
    for (const connection of this.#concerned()) end(connection);
  }

  /** Overload at `state`: HTTP connections may be idle for less. */
  endLongIdle(scale: TimerScale, state: number): void {
    for (const connection of this.#all.keys())
      if (connection instanceof HttpConnection) connection.endIfIdle(scaledTimeoutMs(connection.manager.config.idleTimeoutMs, scale, state));
  }

  close(): void {
    this.#draining = true;
    for (const connection of [...this.#all.keys()]) end(connection);
  }

  #concerned(): ServedConnection[] {
    return Array.from(this.#all).flatMap(([connection, chain]) => (this.#kept.has(chain.fingerprint) ? [] : [connection]));
  }
}

function end(connection: ServedConnection): void {
  if (connection instanceof HttpConnection) connection.destroy();
  else connection.close();
}
