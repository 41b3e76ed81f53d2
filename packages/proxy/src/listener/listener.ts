import type net from 'node:net';
import type { TLSSocket } from 'node:tls';
import { ResponseFlag } from '@outrigger/telemetry';
import type { Steps } from '@outrigger/xds/slices';
import { GuardedSink } from '../engine/faults.ts';
import type { HttpManager } from '../engine/http-manager.ts';
import type { Transport } from '../http/transport.ts';
import { type ByteSink, SILENT } from '../net/byte-sink.ts';
import type { Lane } from '../net/lane.ts';
import type { MemoryTransport } from '../net/memory-transport.ts';
import type { SocketCalls } from '../net/socket-calls.ts';
import { adoptAccepted, SocketReader } from '../net/socket-reader.ts';
import { TcpProxy } from '../tcp/tcp-proxy.ts';
import type { TlsPeer } from '../tls/peer.ts';
import { TlsServer } from '../tls/server.ts';
import { allFilterChains, type FilterChainConfig, type ListenerConfig } from '../xds/listener-config.ts';
import { Admission } from './admission.ts';
import { ConnectionGates } from './connection-gate.ts';
import { ConnectionInfo, NOT_SECURE, type Security } from './connection-info.ts';
import { ConnectionLog } from './connection-log.ts';
import { ConnectionOrigin } from './connection-origin.ts';
import { FilterChainMatcher } from './filter-chain-match.ts';
import { FirstWord, LateHelloGuard } from './first-word.ts';
import { HttpConnection } from './http-connection.ts';
import { Inspection } from './inspection.ts';
import type { InternalAcceptor } from './internal-listeners.ts';
import { ListenerConnections } from './listener-connections.ts';
import { type ListenerFilter, makeFilter } from './listener-filter.ts';
import type { ListenerParts } from './listener-parts.ts';
import { ListenerStats } from './listener-stats.ts';
import { ListeningSockets, type SocketHolder } from './listening-sockets.ts';
import { restoreOriginalDestination } from './original-destination.ts';

/** A connection whose TLS is not there yet: what is known of it, and what was connected ahead for it. */
interface Arrival {
  readonly origin: ConnectionOrigin;
  readonly word: FirstWord | null;
  readonly startUnixMs: number;
}

/** A connection manager for each chain that has one. Many take longer than a turn of the loop may. */
export function* managerSteps(parts: ListenerParts, config: ListenerConfig): Steps<ReadonlyMap<FilterChainConfig, HttpManager>> {
  const managers = new Map<FilterChainConfig, HttpManager>();
  for (const chain of allFilterChains(config)) {
    if (chain.filter.kind !== 'http') continue;
    managers.set(chain, parts.makeManager(chain.filter.http, config));
    yield;
  }
  return managers;
}

/** A listener at work: its socket (or its name inside the process), filter chains, and the connections it has. */
export class Listener {
  readonly config: ListenerConfig;
  readonly sockets: ListeningSockets;
  readonly stats = new ListenerStats();
  readonly connections: ListenerConnections;
  readonly addedAtUnixMs: number;
  readonly #parts: ListenerParts;
  readonly #matcher: FilterChainMatcher;
  readonly #managers: ReadonlyMap<FilterChainConfig, HttpManager>;
  readonly #tls = new Map<FilterChainConfig, TlsServer>();
  readonly #handshaking = new Map<net.Socket, Arrival>();
  /** Refused, and kept for the delay of the filter that did. */
  readonly #refused = new Set<net.Socket>();
  readonly #filters: readonly ListenerFilter[];
  readonly #gates = new Map<FilterChainConfig, ConnectionGates>();
  readonly #admission: Admission;
  readonly #log: ConnectionLog;
  #internal: InternalAcceptor | undefined;
  /** Why the last TLS client was refused, for the admin interface. */
  lastRefusal = '';

  /** `managers`: of `managerSteps`. `before`: what it takes the place of; filter chains that stay the same go on counting their connections. */
  constructor(parts: ListenerParts, config: ListenerConfig, managers: ReadonlyMap<FilterChainConfig, HttpManager>, before: Listener | undefined) {
    this.#parts = parts;
    this.config = config;
    this.#managers = managers;
    this.sockets = new ListeningSockets(config, parts.runtime);
    this.addedAtUnixMs = parts.runtime.unixMs();
    this.#matcher = new FilterChainMatcher(config.filterChains, config.defaultFilterChain);
    this.#filters = config.listenerFilters.map(makeFilter);
    this.#log = new ConnectionLog(parts.connectionLogger(config), parts.runtime.unixMs);
    this.#admission = new Admission(parts, config, this.stats, before === undefined ? undefined : before.#admission);
    this.connections = new ListenerConnections(this.#admission, this.#log, parts.runtime.unixMs);
    for (const chain of allFilterChains(config)) {
      if (chain.gates.length > 0) this.#gates.set(chain, before?.gatesOf(chain.fingerprint) ?? new ConnectionGates(chain.gates));
      if (chain.tls === null) continue;
      const server = new TlsServer(chain.tls, chain.handshakeTimeoutMs, parts.runtime.tls, parts.runtime.secrets, {
        onSecure: (socket, raw, peer, localUri) => this.#entered(socket, () => this.#onSecure(chain, socket, raw, peer, localUri)),
        onRefused: (reason, raw) => this.#onRefused(reason, raw),
      });
      this.#tls.set(chain, server);
    }
  }

  gatesOf(fingerprint: string): ConnectionGates | undefined {
    for (const [chain, gates] of this.#gates) if (chain.fingerprint === fingerprint) return gates;
    return undefined;
  }

  get managers(): Iterable<HttpManager> {
    return this.#managers.values();
  }

  /** Sockets that were accepted and are open still: connections, and those that have to say first what they are. */
  get openCount(): number {
    return this.#admission.openCount;
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
   * Accepts no more, and lets what it has come to its end. `patient`: idle connections too, until `endIdle` of `connections`. `kept`: fingerprints of
   * filter chains whose connections are not concerned.
   */
  drain(patient = false, kept?: ReadonlySet<string>): void {
    this.stopAccepting();
    this.connections.drain(patient, kept);
  }

  close(): void {
    this.stopAccepting();
    for (const socket of [...this.#handshaking.keys(), ...this.#refused]) socket.destroy();
    this.connections.close();
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
      this.#admission.left();
    }
  }

  #accept(socket: net.Socket): void {
    this.stats.accepted++;
    if (!this.#admission.enter()) {
      socket.on('error', () => {});
      socket.destroy();
      return;
    }
    const origin = ConnectionOrigin.of(socket);
    if (this.config.originalDst) {
      restoreOriginalDestination(this.sockets.calls!, socket, origin, this.config.transparent);
      if (this.#handedOn(socket, origin, (other) => other.#begin(socket, origin))) return;
    }
    this.#begin(socket, origin);
  }

  /** Whether another listener has the address that the connection was going to, and takes it. */
  #handedOn(socket: net.Socket, origin: ConnectionOrigin, begin: (other: Listener) => void): boolean {
    if (!this.config.useOriginalDst || !origin.restored) return false;
    const other = this.#parts.listenerAt(origin.localIp, origin.localPort);
    if (other === undefined || other === this) return false;
    this.#admission.left();
    other.stats.accepted++;
    if (other.#admission.enter()) other.#guarded(socket, () => begin(other));
    else {
      socket.on('error', () => {});
      socket.destroy();
    }
    return true;
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
      const reader = new SocketReader(SILENT, this.#parts.runtime.intake);
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
          this.#admission.left();
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
    word.connect(new TcpProxy(runtime, clusters, chain.filter.tcp, info, word, tcpRecorder, this.connections.gone));
    return word;
  }

  #inspected(socket: net.Socket, origin: ConnectionOrigin, word: FirstWord | null): void {
    word?.close();
    // The PROXY protocol says where a connection was going, too.
    const goOn = (other: Listener) => (other.#filters.length > 0 ? other.#inspect(socket, origin) : other.#inspected(socket, origin, null));
    if (this.#handedOn(socket, origin, goOn)) {
      word?.discard();
      return;
    }
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
    const reader = new SocketReader(SILENT, this.#parts.runtime.intake);
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
      this.#admission.left();
      this.#log.tell(info, startUnixMs, 0, 'refused_by_filter');
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
    if (gate === null) server.accept(socket, origin.applicationProtocols);
    else
      gate.handshake(socket, () => {
        if (socket.destroyed) this.#onRefused('the client went away before its handshake', socket);
        else server.accept(socket, origin.applicationProtocols);
      });
  }

  #onSecure(chain: FilterChainConfig, socket: TLSSocket, raw: net.Socket, peer: TlsPeer, localUri: string): void {
    const { origin, word } = this.#handshaking.get(raw)!;
    const alpn = socket.alpnProtocol === false ? '' : (socket.alpnProtocol ?? '');
    origin.serverName = typeof socket.servername === 'string' ? socket.servername : '';
    const info = this.#infoOf(origin, { secure: true, peer, localUri, tlsVersion: socket.getProtocol() ?? '', alpn });
    if (this.#gates.size > 0 && this.#isRefused(chain, socket, info)) return;
    const reader = new SocketReader(SILENT, this.#parts.runtime.intake);
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
    if (arrival !== undefined && this.#log.written) this.#log.tell(this.#infoOf(arrival.origin, NOT_SECURE), arrival.startUnixMs, 0, reason);
    this.#admission.left();
  }

  #acceptInternal(transport: MemoryTransport, setSink: (sink: ByteSink) => void): void {
    this.stats.accepted++;
    const origin = new ConnectionOrigin('', 0, '', 0);
    const chain = this.#matcher.match(origin);
    if (chain === null || chain.tls !== null || !this.#admission.enter()) {
      this.stats.noFilterChain++;
      transport.destroy();
      return;
    }
    const info = this.#infoOf(origin, NOT_SECURE);
    if (this.#gates.get(chain)?.refuse(info, this.#parts.runtime.nowMs()) !== undefined) {
      this.stats.refused++;
      transport.destroy();
      this.#admission.left();
      return;
    }
    setSink(this.#connect(chain, transport, info, null));
  }

  #connect(chain: FilterChainConfig, transport: Transport, info: ConnectionInfo, word: FirstWord | null): ByteSink {
    const { runtime, clusters, tcpRecorder } = this.#parts;
    if (chain.filter.kind === 'http') {
      word?.discard();
      const connection = new HttpConnection(this.#managers.get(chain)!, info, transport, this.connections.gone);
      this.connections.add(connection, chain, info, this.#gates.get(chain));
      return new GuardedSink(connection, runtime.faults, () => transport.destroy());
    }
    const { tcp } = chain.filter;
    const ahead = word?.proxyFor(tcp);
    if (ahead === undefined) word?.discard();
    const proxy = ahead ?? new TcpProxy(runtime, clusters, tcp, info, transport, tcpRecorder, this.connections.gone);
    this.connections.add(proxy, chain, info, this.#gates.get(chain));
    if (ahead === undefined) proxy.start();
    else ahead.settle(tcp, info, transport, word!);
    return new GuardedSink(proxy, runtime.faults, () => transport.destroy());
  }

  #infoOf(origin: ConnectionOrigin, security: Security): ConnectionInfo {
    return new ConnectionInfo({ id: this.#parts.nextConnectionId(), origin, ...security });
  }

  #noChain(socket: net.Socket, origin: ConnectionOrigin): void {
    this.stats.noFilterChain++;
    socket.on('error', () => {});
    socket.destroy();
    this.#admission.left();
    if (this.#log.written) this.#log.tell(this.#infoOf(origin, NOT_SECURE), this.#parts.runtime.unixMs(), ResponseFlag.noRouteFound, 'filter_chain_not_found');
  }
}
