import type net from 'node:net';
import type { TLSSocket } from 'node:tls';
import { GuardedSink } from '../engine/faults.ts';
import type { HttpManager } from '../engine/http-manager.ts';
import type { Runtime } from '../engine/runtime.ts';
import type { Transport } from '../http/transport.ts';
import type { ByteSink } from '../net/byte-sink.ts';
import type { MemoryTransport } from '../net/memory-transport.ts';
import { adoptAccepted, SocketReader } from '../net/socket-reader.ts';
import { TcpProxy, type TcpRecorder } from '../tcp/tcp-proxy.ts';
import type { TlsPeer } from '../tls/peer.ts';
import { TlsServer } from '../tls/server.ts';
import type { ClusterSet } from '../upstream/cluster-set.ts';
import type { FilterChainConfig, HttpManagerConfig, ListenerConfig } from '../xds/listener-config.ts';
import { ConnectionInfo, NOT_SECURE, type Security } from './connection-info.ts';
import { ConnectionOrigin } from './connection-origin.ts';
import { FilterChainMatcher } from './filter-chain-match.ts';
import { FirstWord, LateHelloGuard } from './first-word.ts';
import { HttpConnection } from './http-connection.ts';
import { Inspection } from './inspection.ts';
import type { InternalAcceptor } from './internal-listeners.ts';
import { type ListenOptions, ListenSocket, type SocketAddress } from './listen-socket.ts';
import { type ListenerFilter, makeFilter } from './listener-filter.ts';

export interface ListenerParts {
  readonly runtime: Runtime;
  readonly clusters: ClusterSet;
  readonly tcpRecorder: TcpRecorder;
  makeManager(http: HttpManagerConfig, listener: ListenerConfig): HttpManager;
  nextConnectionId(): number;
  /** False: the process has as many connections as it may have. */
  admit(): boolean;
  onConnectionGone(): void;
  /** The socket of that address which the process before this one gave; undefined: there is none. */
  inherited(address: SocketAddress): object | undefined;
  /** The sockets are another process's by now, too. */
  handedOver(): boolean;
}

export class ListenerStats {
  accepted = 0;
  active = 0;
  noFilterChain = 0;
  tlsRefused = 0;
  overload = 0;
  /** ClientHellos that came after the upstream's greeting had been passed in plain text. */
  lateHello = 0;
}

const SILENT: ByteSink = { receive: () => {}, receiveEnd: () => {}, transportClosed: () => {}, transportDrained: () => {} };

const BACKLOG = 4096;

/** A connection whose TLS is not there yet: what is known of it, and what was connected ahead for it. */
interface Arrival {
  readonly origin: ConnectionOrigin;
  readonly word: FirstWord | null;
}

/** A listener at work: its socket (or its name inside the process), filter chains, and the connections it has. */
export class Listener {
  readonly config: ListenerConfig;
  readonly stats = new ListenerStats();
  readonly addedAtUnixMs: number;
  readonly #parts: ListenerParts;
  readonly #matcher: FilterChainMatcher;
  readonly #managers = new Map<FilterChainConfig, HttpManager>();
  readonly #tls = new Map<FilterChainConfig, TlsServer>();
  readonly #connections = new Set<HttpConnection | TcpProxy>();
  readonly #handshaking = new Map<net.Socket, Arrival>();
  readonly #filters: readonly ListenerFilter[];
  #socket: ListenSocket | undefined;
  #internal: InternalAcceptor | undefined;
  /** The last connection of a listener that drains has gone. */
  onEmpty: () => void = () => {};
  /** Why the last TLS client was refused, for the admin interface. */
  lastRefusal = '';
  #draining = false;

  constructor(parts: ListenerParts, config: ListenerConfig) {
    this.#parts = parts;
    this.config = config;
    this.addedAtUnixMs = parts.runtime.unixMs();
    this.#matcher = new FilterChainMatcher(config.filterChains, config.defaultFilterChain);
    this.#filters = config.listenerFilters.map(makeFilter);
    for (const chain of config.defaultFilterChain === null ? config.filterChains : [...config.filterChains, config.defaultFilterChain]) {
      if (chain.filter.kind === 'http') this.#managers.set(chain, parts.makeManager(chain.filter.http, config));
      if (chain.tls === null) continue;
      const server = new TlsServer(chain.tls, chain.handshakeTimeoutMs, parts.runtime.tls, parts.runtime.secrets, {
        onSecure: (socket, raw, peer, localUri) => this.#guarded(socket, () => this.#onSecure(chain, socket, raw, peer, localUri)),
        onRefused: (reason) => this.#onRefused(reason),
      });
      this.#tls.set(chain, server);
    }
  }

  readonly #gone = (connection: HttpConnection | TcpProxy): void => {
    if (!this.#connections.delete(connection)) return;
    this.stats.active--;
    this.#parts.onConnectionGone();
    if (this.#draining && this.#connections.size === 0) this.onEmpty();
  };

  get managers(): Iterable<HttpManager> {
    return this.#managers.values();
  }

  get connectionCount(): number {
    return this.#connections.size;
  }

  /** "ip:port" or a path, as bound; '' while it is not. */
  get address(): string {
    if (this.#socket !== undefined) return this.#socket.bound;
    return this.#internal === undefined ? '' : `internal:${this.config.name}`;
  }

  get sockets(): readonly ListenSocket[] {
    return this.#socket === undefined ? [] : [this.#socket];
  }

  /** Starts to accept. Takes over the socket of `before`, which has the same address, so that no connection is refused in between. */
  async bind(before: Listener | undefined): Promise<void> {
    const { address, name } = this.config;
    if (address.kind === 'internal') {
      this.#internal = (transport, setSink) => this.#guarded(transport, () => this.#acceptInternal(transport, setSink));
      this.#parts.runtime.internalListeners.set(name, this.#internal);
      return;
    }
    const options: ListenOptions = { backlog: BACKLOG, reusePort: false };
    const socket = before?.release() ?? (await ListenSocket.open(address, options, `listener ${name}`, this.#parts.inherited(address)));
    socket.onConnection = (accepted) => this.#guarded(accepted, () => this.#accept(accepted));
    socket.onError = (error) => this.#parts.runtime.log('error', `listener ${name}: ${error.message}`);
    this.#socket = socket;
  }

  /** Gives its socket away; its connections stay with it. */
  release(): ListenSocket | undefined {
    const socket = this.#socket;
    this.#socket = undefined;
    return socket;
  }

  /** Accepts no more, and lets what it has come to its end. `patient`: idle connections too, until `endIdle`. */
  drain(patient = false): void {
    if (this.#draining) return;
    this.#draining = true;
    this.#stopAccepting();
    for (const connection of [...this.#connections]) if (connection instanceof HttpConnection) connection.drain(patient);
  }

  /** Ends what has no request under way, TCP connections among them. */
  endIdle(): void {
    this.endIdleHttp();
    for (const connection of [...this.#connections]) if (!(connection instanceof HttpConnection)) connection.close();
  }

  endIdleHttp(): void {
    for (const connection of [...this.#connections]) if (connection instanceof HttpConnection && connection.activeStreams === 0) connection.drain();
  }

  close(): void {
    this.#draining = true;
    this.#stopAccepting();
    for (const socket of [...this.#handshaking.keys()]) socket.destroy();
    for (const connection of [...this.#connections]) {
      if (connection instanceof HttpConnection) connection.destroy();
      else connection.close();
    }
    for (const manager of this.#managers.values()) manager.close();
    for (const server of this.#tls.values()) server.close();
  }

  #stopAccepting(): void {
    this.#socket?.close(!this.#parts.handedOver());
    this.#socket = undefined;
    if (this.#internal !== undefined) this.#parts.runtime.internalListeners.delete(this.config.name, this.#internal);
  }

  /** A mistake of this proxy on the way of a connection to its filters costs that connection alone. */
  #guarded(transport: { destroy(): void }, run: () => void): void {
    try {
      run();
    } catch (error) {
      this.#parts.runtime.faults.report(error, `a connection to listener ${this.config.name} was ended`);
      transport.destroy();
      this.#parts.onConnectionGone();
    }
  }

  #accept(socket: net.Socket): void {
    this.stats.accepted++;
    if (!this.#parts.admit()) {
      this.stats.overload++;
      socket.on('error', () => {});
      socket.destroy();
      return;
    }
    const origin = ConnectionOrigin.of(socket);
    if (this.#filters.length > 0) {
      this.#inspect(socket, origin);
      return;
    }
    const chain = this.#matcher.match(origin);
    if (chain === null) this.#noChain(socket);
    else if (chain.tls !== null) this.#handshake(chain, socket, { origin, word: null });
    else {
      const reader = new SocketReader(SILENT, this.#parts.runtime.readBuffer);
      const adopted = adoptAccepted(socket, reader);
      reader.sink = this.#connect(chain, adopted, this.#infoOf(origin, NOT_SECURE), null);
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
        onInspected: () => this.#guarded(socket, () => this.#inspected(socket, origin, word)),
        onRefused: () => {
          word?.discard();
          this.#parts.onConnectionGone();
        },
      },
    );
    inspection.start();
  }

  /** The upstream of a client that stays silent, unless a policy, or TLS, or a codec stands before it. */
  #connectAhead(origin: ConnectionOrigin, inspection: Inspection): FirstWord | null {
    if (!this.config.continueOnListenerFiltersTimeout) return null;
    const chain = this.#matcher.match(origin);
    if (chain === null || chain.tls !== null || chain.filter.kind !== 'tcp') return null;
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
      this.#noChain(socket);
    } else if (chain.tls !== null) this.#handshake(chain, socket, { origin, word });
    else {
      const reader = new SocketReader(SILENT, this.#parts.runtime.readBuffer);
      const sink = this.#connect(chain, socket, this.#infoOf(origin, NOT_SECURE), word);
      reader.sink = word?.upstreamFirst === true ? new LateHelloGuard(sink, () => this.#tooLate(socket)) : sink;
      reader.watchData(socket);
      socket.resume();
    }
  }

  #tooLate(socket: net.Socket): void {
    this.stats.lateHello++;
    this.lastRefusal = 'the ClientHello came after the greeting of the upstream had been passed in plain text';
    socket.destroy();
  }

  #handshake(chain: FilterChainConfig, socket: net.Socket, arrival: Arrival): void {
    this.#handshaking.set(socket, arrival);
    socket.on('error', () => {});
    socket.once('close', () => {
      this.#handshaking.delete(socket);
      arrival.word?.discard();
    });
    this.#tls.get(chain)!.accept(socket);
  }

  #onSecure(chain: FilterChainConfig, socket: TLSSocket, raw: net.Socket, peer: TlsPeer, localUri: string): void {
    const { origin, word } = this.#handshaking.get(raw)!;
    const alpn = socket.alpnProtocol === false ? '' : (socket.alpnProtocol ?? '');
    origin.serverName = typeof socket.servername === 'string' ? socket.servername : '';
    const info = this.#infoOf(origin, { secure: true, peer, localUri, tlsVersion: socket.getProtocol() ?? '', alpn });
    const reader = new SocketReader(SILENT, this.#parts.runtime.readBuffer);
    reader.sink = this.#connect(chain, socket, info, word);
    reader.watchData(socket);
  }

  #onRefused(reason: string): void {
    this.stats.tlsRefused++;
    this.lastRefusal = reason;
    this.#parts.runtime.log('debug', `listener ${this.config.name}: ${reason}`);
    this.#parts.onConnectionGone();
  }

  #acceptInternal(transport: MemoryTransport, setSink: (sink: ByteSink) => void): void {
    this.stats.accepted++;
    const origin = new ConnectionOrigin('', 0, '', 0);
    const chain = this.#matcher.match(origin);
    if (chain === null || chain.tls !== null || !this.#parts.admit()) {
      this.stats.noFilterChain++;
      transport.destroy();
      return;
    }
    setSink(this.#connect(chain, transport, this.#infoOf(origin, NOT_SECURE), null));
  }

  #connect(chain: FilterChainConfig, transport: Transport, info: ConnectionInfo, word: FirstWord | null): ByteSink {
    this.stats.active++;
    const { runtime, clusters, tcpRecorder } = this.#parts;
    if (chain.filter.kind === 'http') {
      word?.discard();
      const connection = new HttpConnection(this.#managers.get(chain)!, info, transport, this.#gone);
      this.#connections.add(connection);
      // It was on its way when its listener was replaced.
      if (this.#draining) connection.drain(true);
      return new GuardedSink(connection, runtime.faults, () => transport.destroy());
    }
    const { tcp } = chain.filter;
    const ahead = word?.proxyFor(tcp);
    if (ahead === undefined) word?.discard();
    const proxy = ahead ?? new TcpProxy(runtime, clusters, tcp, info, transport, tcpRecorder, this.#gone);
    this.#connections.add(proxy);
    if (ahead === undefined) proxy.start();
    else ahead.settle(tcp, info, transport, word!);
    return new GuardedSink(proxy, runtime.faults, () => transport.destroy());
  }

  #infoOf(origin: ConnectionOrigin, security: Security): ConnectionInfo {
    return new ConnectionInfo({ id: this.#parts.nextConnectionId(), origin, ...security });
  }

  #noChain(socket: net.Socket): void {
    this.stats.noFilterChain++;
    socket.on('error', () => {});
    socket.destroy();
    this.#parts.onConnectionGone();
  }
}
