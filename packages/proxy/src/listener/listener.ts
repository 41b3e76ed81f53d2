import type net from 'node:net';
import type { TLSSocket } from 'node:tls';
import { ResponseFlag } from '@outrigger/telemetry';
import { GuardedSink } from '../engine/faults.ts';
import type { HttpManager } from '../engine/http-manager.ts';
import type { Runtime } from '../engine/runtime.ts';
import type { Transport } from '../http/transport.ts';
import type { ByteSink } from '../net/byte-sink.ts';
import type { Lane } from '../net/lane.ts';
import type { MemoryTransport } from '../net/memory-transport.ts';
import type { SocketCalls } from '../net/socket-calls.ts';
import { adoptAccepted, SocketReader } from '../net/socket-reader.ts';
import type { TimerScale } from '../overload/overload-config.ts';
import { scaledTimeoutMs } from '../overload/overload-monitor.ts';
import { TcpProxy, type TcpRecorder } from '../tcp/tcp-proxy.ts';
import type { TlsPeer } from '../tls/peer.ts';
import { TlsServer } from '../tls/server.ts';
import type { ClusterSet } from '../upstream/cluster-set.ts';
import type { FilterChainConfig, HttpManagerConfig, ListenerConfig, SocketAddress } from '../xds/listener-config.ts';
import { ConnectionGates } from './connection-gate.ts';
import { ConnectionInfo, NOT_SECURE, type Security } from './connection-info.ts';
import { ConnectionOrigin } from './connection-origin.ts';
import { FilterChainMatcher } from './filter-chain-match.ts';
import { FirstWord, LateHelloGuard } from './first-word.ts';
import { HttpConnection } from './http-connection.ts';
import { Inspection } from './inspection.ts';
import type { InternalAcceptor } from './internal-listeners.ts';
import { type ListenerFilter, makeFilter } from './listener-filter.ts';
import { ListeningSockets, type SocketHolder } from './listening-sockets.ts';
import { restoreOriginalDestination } from './original-destination.ts';

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

/** Told of each connection of a listener once it is over, also of those that it did not serve. */
export type ConnectionLogger = (connection: EndedConnection) => void;

export interface EndedConnection {
  readonly info: ConnectionInfo;
  readonly startUnixMs: number;
  readonly endUnixMs: number;
  readonly responseFlags: number;
  readonly details: string;
  readonly bytesReceived: number;
  readonly bytesSent: number;
}

export class ListenerStats {
  accepted = 0;
  active = 0;
  noFilterChain = 0;
  tlsRefused = 0;
  /** Beyond the listener's connection limit. */
  overflow = 0;
  /** Beyond that of the whole proxy. */
  globalOverflow = 0;
  /** By the overload manager. */
  shed = 0;
  /** By a network filter: connection limit, rate limit, RBAC. */
  refused = 0;
  /** ClientHellos that came after the upstream's greeting had been passed in plain text. */
  lateHello = 0;
}

const SILENT: ByteSink = { receive: () => {}, receiveEnd: () => {}, transportClosed: () => {}, transportDrained: () => {} };

/** A connection whose TLS is not there yet: what is known of it, and what was connected ahead for it. */
interface Arrival {
  readonly origin: ConnectionOrigin;
  readonly word: FirstWord | null;
  readonly startUnixMs: number;
}

const NONE: ReadonlySet<string> = new Set();

/** A listener at work: its socket (or its name inside the process), filter chains, and the connections it has. */
export class Listener {
  readonly config: ListenerConfig;
  readonly sockets: ListeningSockets;
  readonly stats = new ListenerStats();
  readonly addedAtUnixMs: number;
  readonly #parts: ListenerParts;
  readonly #matcher: FilterChainMatcher;
  readonly #managers = new Map<FilterChainConfig, HttpManager>();
  readonly #tls = new Map<FilterChainConfig, TlsServer>();
  readonly #connections = new Map<HttpConnection | TcpProxy, FilterChainConfig>();
  /** Once it is replaced: filter chains that its successor has as they are. Their connections stay. */
  #kept: ReadonlySet<string> = NONE;
  readonly #handshaking = new Map<net.Socket, Arrival>();
  /** Refused, and kept for the delay of the filter that did. */
  readonly #refused = new Set<net.Socket>();
  readonly #filters: readonly ListenerFilter[];
  readonly #gates = new Map<FilterChainConfig, ConnectionGates>();
  /** What is to be undone, or told, when a connection is gone; only where there is something. */
  readonly #onGone = new Map<
    HttpConnection | TcpProxy,
    { readonly gates: ConnectionGates | undefined; readonly info: ConnectionInfo; readonly startUnixMs: number }
  >();
  readonly #logger: ConnectionLogger | null;
  readonly #connectionLimit: number;
  /** Sockets that were accepted and are open still, by those before it too. */
  readonly #open: { count: number };
  #internal: InternalAcceptor | undefined;
  /** The last connection of a listener that drains has gone. */
  onEmpty: () => void = () => {};
  /** Why the last TLS client was refused, for the admin interface. */
  lastRefusal = '';
  #draining = false;

  /** `before`: what it takes the place of; filter chains that stay the same go on counting their connections. */
  constructor(parts: ListenerParts, config: ListenerConfig, before: Listener | undefined) {
    this.#parts = parts;
    this.config = config;
    this.sockets = new ListeningSockets(config, parts.runtime);
    this.addedAtUnixMs = parts.runtime.unixMs();
    this.#matcher = new FilterChainMatcher(config.filterChains, config.defaultFilterChain);
    this.#filters = config.listenerFilters.map(makeFilter);
    this.#logger = parts.connectionLogger(config);
    this.#connectionLimit = parts.connectionLimit(config.name);
    this.#open = before?.config.name === config.name ? before.#open : { count: 0 };
    for (const chain of config.defaultFilterChain === null ? config.filterChains : [...config.filterChains, config.defaultFilterChain]) {
      if (chain.gates.length > 0) this.#gates.set(chain, before?.gatesOf(chain.fingerprint) ?? new ConnectionGates(chain.gates));
      if (chain.filter.kind === 'http') this.#managers.set(chain, parts.makeManager(chain.filter.http, config));
      if (chain.tls === null) continue;
      const server = new TlsServer(chain.tls, chain.handshakeTimeoutMs, parts.runtime.tls, parts.runtime.secrets, {
        onSecure: (socket, raw, peer, localUri) => this.#entered(socket, () => this.#onSecure(chain, socket, raw, peer, localUri)),
        onRefused: (reason, raw) => this.#onRefused(reason, raw),
      });
      this.#tls.set(chain, server);
    }
  }

  readonly #gone = (connection: HttpConnection | TcpProxy): void => {
    if (!this.#connections.delete(connection)) return;
    this.stats.active--;
    this.#left();
    const ended = this.#onGone.get(connection);
    if (ended !== undefined) {
      this.#onGone.delete(connection);
      ended.gates?.release();
      if (connection instanceof TcpProxy)
        this.#tell(ended.info, ended.startUnixMs, connection.responseFlags, connection.details, connection.bytesReceived, connection.bytesSent);
      else this.#tell(ended.info, ended.startUnixMs, 0, '');
    }
    if (this.#draining && this.#connections.size === 0) this.onEmpty();
  };

  gatesOf(fingerprint: string): ConnectionGates | undefined {
    for (const [chain, gates] of this.#gates) if (chain.fingerprint === fingerprint) return gates;
    return undefined;
  }

  get managers(): Iterable<HttpManager> {
    return this.#managers.values();
  }

  get connectionCount(): number {
    return this.#connections.size;
  }

  /** Sockets that were accepted and are open still: connections, and those that have to say first what they are. */
  get openCount(): number {
    return this.#open.count;
  }

  /** "ip:port" or a path, as bound; '' while it is not. */
  get address(): string {
    const [first] = this.sockets.all;
    if (first !== undefined) return first.bound;
    return this.#internal === undefined ? '' : `internal:${this.config.name}`;
  }

  /** Starts to accept. Takes over sockets of `before` that have the same address, so that no connection is refused in between. */
  async bind(before: SocketHolder): Promise<void> {
    const { address, name, bindToPort } = this.config;
    if (address.kind === 'internal') {
      this.#internal = (transport, setSink) => this.#guarded(transport, () => this.#acceptInternal(transport, setSink));
      this.#parts.runtime.internalListeners.set(name, this.#internal);
      return;
    }
    if (!bindToPort) return;
    const accept = (socket: net.Socket): void => this.#guarded(socket, () => this.#accept(socket));
    await this.sockets.open(address, before, (at) => this.#parts.inherited(at), this.#parts.runtime.gate?.accept(accept) ?? accept);
  }

  /**
   * Accepts no more, and lets what it has come to its end. `patient`: idle connections too, until `endIdle`. `kept`: fingerprints of filter
   * chains whose connections are not concerned.
   */
  drain(patient = false, kept: ReadonlySet<string> = NONE): void {
    this.#draining = true;
    this.#kept = kept;
    this.stopAccepting();
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
    for (const connection of this.#connections.keys())
      if (connection instanceof HttpConnection) connection.endIfIdle(scaledTimeoutMs(connection.manager.config.idleTimeoutMs, scale, state));
  }

  #concerned(): (HttpConnection | TcpProxy)[] {
    return Array.from(this.#connections).flatMap(([connection, chain]) => (this.#kept.has(chain.fingerprint) ? [] : [connection]));
  }

  close(): void {
    this.#draining = true;
    this.stopAccepting();
    for (const socket of [...this.#handshaking.keys(), ...this.#refused]) socket.destroy();
    for (const connection of [...this.#connections.keys()]) end(connection);
    for (const manager of this.#managers.values()) manager.close();
    for (const server of this.#tls.values()) server.close();
  }

  /** Overload: what comes waits in the kernel's queue. */
  pauseAccepting(calls: SocketCalls): void {
    for (const socket of this.sockets.all) socket.pause(calls);
  }

  resumeAccepting(): void {
    for (const socket of this.sockets.all) socket.resume();
  }

  stopAccepting(): void {
    this.sockets.close(!this.#parts.handedOver());
    if (this.#internal !== undefined) this.#parts.runtime.internalListeners.delete(this.config.name, this.#internal);
  }

  /** Where other workloads have the same event loop; undefined: this one has it alone. */
  #laneOf(socket: net.Socket): Lane | undefined {
    return this.#parts.runtime.gate?.lane(socket);
  }

  #entered(transport: { destroy(): void }, run: () => void): void {
    const { gate } = this.#parts.runtime;
    if (gate === null) this.#guarded(transport, run);
    else gate.run(() => this.#guarded(transport, run));
  }

  /** A mistake of this proxy on the way of a connection to its filters costs that connection alone. */
  #guarded(transport: { destroy(): void }, run: () => void): void {
    try {
      run();
    } catch (error) {
      this.#parts.runtime.faults.report(error, `a connection to listener ${this.config.name} was ended`);
      transport.destroy();
      this.#left();
    }
  }

  /** False: there are as many as there may be. */
  #enter(): boolean {
    const { overload } = this.#parts.runtime;
    if (overload.shedsConnections && !this.config.bypassOverload && this.#parts.runtime.random.uint32() < overload.connections * 2 ** 32) {
      this.stats.shed++;
      overload.connectionsShed++;
      return false;
    }
    if (this.#open.count >= this.#connectionLimit) {
      this.stats.overflow++;
      return false;
    }
    if (!this.config.ignoreGlobalConnLimit && !this.#parts.admit()) {
      this.stats.globalOverflow++;
      return false;
    }
    this.#open.count++;
    return true;
  }

  #left(): void {
    this.#open.count--;
    if (!this.config.ignoreGlobalConnLimit) this.#parts.onConnectionGone();
  }

  #tell(info: ConnectionInfo, startUnixMs: number, responseFlags: number, details: string, bytesReceived = 0, bytesSent = 0): void {
    if (this.#logger === null) return;
    this.#logger({ info, startUnixMs, endUnixMs: this.#parts.runtime.unixMs(), responseFlags, details, bytesReceived, bytesSent });
  }

  #accept(socket: net.Socket): void {
    this.stats.accepted++;
    if (!this.#enter()) {
      socket.on('error', () => {});
      socket.destroy();
      return;
    }
    const origin = ConnectionOrigin.of(socket);
    if (this.config.originalDst) {
      restoreOriginalDestination(this.sockets.calls!, socket, origin, this.config.transparent);
      if (this.config.useOriginalDst && origin.restored) {
        const other = this.#parts.listenerAt(origin.localIp, origin.localPort);
        if (other !== undefined && other !== this) {
          this.#left();
          other.#acceptRedirected(socket, origin);
          return;
        }
      }
    }
    this.#begin(socket, origin);
  }

  #acceptRedirected(socket: net.Socket, origin: ConnectionOrigin): void {
    this.stats.accepted++;
    if (this.#enter()) this.#guarded(socket, () => this.#begin(socket, origin));
    else {
      socket.on('error', () => {});
      socket.destroy();
    }
  }

  #begin(socket: net.Socket, origin: ConnectionOrigin): void {
    if (this.#filters.length > 0) {
      this.#inspect(socket, origin);
      return;
    }
    const chain = this.#matcher.match(origin);
    if (chain === null) this.#noChain(socket, origin);
    else if (chain.tls !== null) this.#handshake(chain, socket, origin, null);
    else if (this.#gates.size > 0) this.#connectPlain(chain, socket, origin, null);
    else {
      const reader = new SocketReader(SILENT, this.#parts.runtime.readBuffer);
      const adopted = adoptAccepted(socket, reader);
      const lane = this.#laneOf(adopted);
      const sink = this.#connect(chain, lane?.transport ?? adopted, this.#infoOf(origin, NOT_SECURE), null);
      reader.sink = lane?.into(sink) ?? sink;
      adopted.resume();
    }
  }

  #inspect(socket: net.Socket, origin: ConnectionOrigin): void {
    const { config } = this;
    let word: FirstWord | null = null;
    const inspection = new Inspection(
      this.#parts.runtime,
      this.#filters,
      config.listenerFiltersTimeoutMs,
      config.continueOnListenerFiltersTimeout,
      socket,
      origin,
      {
        onPeeking: () => {
          word = this.#connectAhead(origin, inspection);
        },
        onInspected: () => this.#entered(socket, () => this.#inspected(socket, origin, word)),
        onRefused: () => {
          word?.discard();
          this.#left();
        },
      },
    );
    inspection.start();
  }

  /** The upstream of a client that stays silent, unless a policy, or TLS, or a codec stands before it. */
  #connectAhead(origin: ConnectionOrigin, inspection: Inspection): FirstWord | null {
    if (!this.config.continueOnListenerFiltersTimeout) return null;
    const chain = this.#matcher.match(origin);
    if (chain === null || chain.tls !== null || chain.filter.kind !== 'tcp' || chain.gates.length > 0) return null;
    const info = this.#infoOf(origin, NOT_SECURE);
    if (!TcpProxy.allows(chain.filter.tcp, info)) return null;
    const { runtime, clusters, tcpRecorder } = this.#parts;
    const word = new FirstWord(runtime, {
      onUpstreamFirst: () => {
        // A client that has begun to speak was first.
        if (inspection.undecided === 0) inspection.conclude();
      },
    });
    word.connect(new TcpProxy(runtime, clusters, chain.filter.tcp, info, word, tcpRecorder, this.#gone));
    return word;
  }

  #inspected(socket: net.Socket, origin: ConnectionOrigin, word: FirstWord | null): void {
    word?.close();
    const chain = this.#matcher.match(origin);
    if (chain === null) {
      word?.discard();
      this.#noChain(socket, origin);
    } else if (chain.tls !== null) this.#handshake(chain, socket, origin, word);
    else this.#connectPlain(chain, socket, origin, word);
  }

  /** Of a socket that gives its bytes as events. */
  #connectPlain(chain: FilterChainConfig, socket: net.Socket, origin: ConnectionOrigin, word: FirstWord | null): void {
    const info = this.#infoOf(origin, NOT_SECURE);
    if (this.#gates.size > 0 && this.#isRefused(chain, socket, info)) {
      word?.discard();
      return;
    }
    const reader = new SocketReader(SILENT, this.#parts.runtime.readBuffer);
    const lane = this.#laneOf(socket);
    const served = this.#connect(chain, lane?.transport ?? socket, info, word);
    const sink = word?.upstreamFirst === true ? new LateHelloGuard(served, () => this.#tooLate(socket)) : served;
    reader.sink = lane?.into(sink) ?? sink;
    reader.watchData(socket);
    socket.resume();
  }

  /** A filter before the last one has something against it: it is closed, at once or after the filter's delay. */
  #isRefused(chain: FilterChainConfig, socket: net.Socket, info: ConnectionInfo): boolean {
    const { runtime } = this.#parts;
    const delayMs = this.#gates.get(chain)?.refuse(info, runtime.nowMs());
    if (delayMs === undefined) return false;
    this.stats.refused++;
    const startUnixMs = runtime.unixMs();
    socket.on('error', () => {});
    socket.once('close', () => {
      this.#refused.delete(socket);
      this.#left();
      this.#tell(info, startUnixMs, 0, 'refused_by_filter');
    });
    this.#refused.add(socket);
    if (delayMs === 0) socket.destroy();
    else runtime.wheel.arm(delayMs, { onTimer: () => socket.destroy() });
    return true;
  }

  #tooLate(socket: net.Socket): void {
    this.stats.lateHello++;
    this.lastRefusal = 'the ClientHello came after the greeting of the upstream had been passed in plain text';
    socket.destroy();
  }

  #handshake(chain: FilterChainConfig, socket: net.Socket, origin: ConnectionOrigin, word: FirstWord | null): void {
    this.#handshaking.set(socket, { origin, word, startUnixMs: this.#parts.runtime.unixMs() });
    socket.on('error', () => {});
    socket.once('close', () => {
      this.#handshaking.delete(socket);
      word?.discard();
    });
    const server = this.#tls.get(chain)!;
    const { gate } = this.#parts.runtime;
    if (gate === null) server.accept(socket);
    else
      gate.handshake(socket, () => {
        if (socket.destroyed) this.#onRefused('the client went away before its handshake', socket);
        else server.accept(socket);
      });
  }

  #onSecure(chain: FilterChainConfig, socket: TLSSocket, raw: net.Socket, peer: TlsPeer, localUri: string): void {
    const { origin, word } = this.#handshaking.get(raw)!;
    const alpn = socket.alpnProtocol === false ? '' : (socket.alpnProtocol ?? '');
    origin.serverName = typeof socket.servername === 'string' ? socket.servername : '';
    const info = this.#infoOf(origin, { secure: true, peer, localUri, tlsVersion: socket.getProtocol() ?? '', alpn });
    if (this.#gates.size > 0 && this.#isRefused(chain, socket, info)) return;
    const reader = new SocketReader(SILENT, this.#parts.runtime.readBuffer);
    const lane = this.#laneOf(socket);
    const sink = this.#connect(chain, lane?.transport ?? socket, info, word);
    reader.sink = lane?.into(sink) ?? sink;
    reader.watchSecured(socket);
  }

  #onRefused(reason: string, raw: net.Socket): void {
    this.stats.tlsRefused++;
    this.lastRefusal = reason;
    this.#parts.runtime.log('debug', `listener ${this.config.name}: ${reason}`);
    const arrival = this.#handshaking.get(raw);
    if (arrival !== undefined && this.#logger !== null) this.#tell(this.#infoOf(arrival.origin, NOT_SECURE), arrival.startUnixMs, 0, reason);
    this.#left();
  }

  #acceptInternal(transport: MemoryTransport, setSink: (sink: ByteSink) => void): void {
    this.stats.accepted++;
    const origin = new ConnectionOrigin('', 0, '', 0);
    const chain = this.#matcher.match(origin);
    if (chain === null || chain.tls !== null || !this.#enter()) {
      this.stats.noFilterChain++;
      transport.destroy();
      return;
    }
    const info = this.#infoOf(origin, NOT_SECURE);
    if (this.#gates.get(chain)?.refuse(info, this.#parts.runtime.nowMs()) !== undefined) {
      this.stats.refused++;
      transport.destroy();
      this.#left();
      return;
    }
    setSink(this.#connect(chain, transport, info, null));
  }

  #connect(chain: FilterChainConfig, transport: Transport, info: ConnectionInfo, word: FirstWord | null): ByteSink {
    this.stats.active++;
    const { runtime, clusters, tcpRecorder } = this.#parts;
    if (chain.filter.kind === 'http') {
      word?.discard();
      const connection = new HttpConnection(this.#managers.get(chain)!, info, transport, this.#gone);
      this.#connections.set(connection, chain);
      this.#remember(connection, chain, info);
      // It was on its way when its listener was replaced.
      if (this.#draining && !this.#kept.has(chain.fingerprint)) connection.drain(true);
      return new GuardedSink(connection, runtime.faults, () => transport.destroy());
    }
    const { tcp } = chain.filter;
    const ahead = word?.proxyFor(tcp);
    if (ahead === undefined) word?.discard();
    const proxy = ahead ?? new TcpProxy(runtime, clusters, tcp, info, transport, tcpRecorder, this.#gone);
    this.#connections.set(proxy, chain);
    this.#remember(proxy, chain, info);
    if (ahead === undefined) proxy.start();
    else ahead.settle(tcp, info, transport, word!);
    return new GuardedSink(proxy, runtime.faults, () => transport.destroy());
  }

  #remember(connection: HttpConnection | TcpProxy, chain: FilterChainConfig, info: ConnectionInfo): void {
    const gates = this.#gates.get(chain);
    if (gates !== undefined || this.#logger !== null) this.#onGone.set(connection, { gates, info, startUnixMs: this.#parts.runtime.unixMs() });
  }

  #infoOf(origin: ConnectionOrigin, security: Security): ConnectionInfo {
    return new ConnectionInfo({ id: this.#parts.nextConnectionId(), origin, ...security });
  }

  #noChain(socket: net.Socket, origin: ConnectionOrigin): void {
    this.stats.noFilterChain++;
    socket.on('error', () => {});
    socket.destroy();
    this.#left();
    if (this.#logger !== null) this.#tell(this.#infoOf(origin, NOT_SECURE), this.#parts.runtime.unixMs(), ResponseFlag.noRouteFound, 'filter_chain_not_found');
  }
}

function end(connection: HttpConnection | TcpProxy): void {
  if (connection instanceof HttpConnection) connection.destroy();
  else connection.close();
}
