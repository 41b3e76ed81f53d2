import { statSync, unlinkSync } from 'node:fs';
import net from 'node:net';
import type { TLSSocket } from 'node:tls';
import { GuardedSink } from '../engine/faults.ts';
import type { HttpManager } from '../engine/http-manager.ts';
import type { Runtime } from '../engine/runtime.ts';
import { parseIp } from '../filters/rbac/ip-address.ts';
import type { Transport } from '../http/transport.ts';
import type { ByteSink } from '../net/byte-sink.ts';
import type { MemoryTransport } from '../net/memory-transport.ts';
import { adoptAccepted, SocketReader } from '../net/socket-reader.ts';
import type { TimerTarget, WheelTimer } from '../net/timer-wheel.ts';
import { TcpProxy, type TcpRecorder } from '../tcp/tcp-proxy.ts';
import { MAX_CLIENT_HELLO_BYTES, sniffClientHello } from '../tls/client-hello.ts';
import { NO_PEER, type TlsPeer } from '../tls/peer.ts';
import { TlsServer } from '../tls/server.ts';
import type { ClusterSet } from '../upstream/cluster-set.ts';
import { hostPort } from '../xds/compile-endpoints.ts';
import type { EndpointAddress } from '../xds/endpoint-config.ts';
import type { FilterChainConfig, HttpManagerConfig, ListenerConfig } from '../xds/listener-config.ts';
import { ConnectionInfo } from './connection-info.ts';
import { FilterChainMatcher } from './filter-chain-match.ts';
import { HttpConnection } from './http-connection.ts';
import type { InternalAcceptor } from './internal-listeners.ts';

export interface ListenerParts {
  readonly runtime: Runtime;
  readonly clusters: ClusterSet;
  readonly tcpRecorder: TcpRecorder;
  makeManager(http: HttpManagerConfig, listener: ListenerConfig): HttpManager;
  nextConnectionId(): number;
  /** False: the process has as many connections as it may have. */
  admit(): boolean;
  onConnectionGone(): void;
}

export class ListenerError extends Error {
  readonly code: 'bind';
  constructor(code: 'bind', message: string, cause: unknown) {
    super(message, { cause });
    this.code = code;
  }
}

export class ListenerStats {
  accepted = 0;
  active = 0;
  noFilterChain = 0;
  tlsRefused = 0;
  overload = 0;
}

const SILENT: ByteSink = { receive: () => {}, receiveEnd: () => {}, transportClosed: () => {}, transportDrained: () => {} };

/** Longest ClientHello with its record headers. */
const MAX_SNIFFED_BYTES = MAX_CLIENT_HELLO_BYTES + 4096;

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
  readonly #handshaking = new Set<net.Socket>();
  #server: net.Server | undefined;
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
    for (const chain of config.defaultFilterChain === null ? config.filterChains : [...config.filterChains, config.defaultFilterChain]) {
      if (chain.filter.kind === 'http') this.#managers.set(chain, parts.makeManager(chain.filter.http, config));
      if (chain.tls === null) continue;
      const server = new TlsServer(chain.tls, chain.handshakeTimeoutMs, parts.runtime.tls, parts.runtime.secrets, {
        onSecure: (socket, peer, localUri) => this.#guarded(socket, () => this.#onSecure(chain, socket, peer, localUri)),
        onRefused: (reason) => this.#onRefused(reason),
      });
      this.#tls.set(chain, server);
    }
  }

  get managers(): Iterable<HttpManager> {
    return this.#managers.values();
  }

  get connectionCount(): number {
    return this.#connections.size;
  }

  /** "ip:port" or a path, as bound; '' while it is not. */
  get address(): string {
    const address = this.#server?.address();
    if (typeof address === 'string') return address;
    if (address !== null && address !== undefined) return hostPort(address.address, address.port);
    return this.#internal === undefined ? '' : `internal:${this.config.name}`;
  }

  /** Starts to accept. Takes over the socket of `before`, which has the same address, so that no connection is refused in between. */
  async bind(before: Listener | undefined): Promise<void> {
    const { address, name } = this.config;
    if (address.kind === 'internal') {
      this.#internal = (transport, setSink) => this.#guarded(transport, () => this.#acceptInternal(transport, setSink));
      this.#parts.runtime.internalListeners.set(name, this.#internal);
      return;
    }
    const taken = before?.release();
    if (taken !== undefined) {
      taken.removeAllListeners('connection');
      taken.on('connection', (socket) => this.#guarded(socket, () => this.#accept(socket)));
      this.#server = taken;
      return;
    }
    const server = net.createServer({ pauseOnConnect: true, allowHalfOpen: true, noDelay: true }, (socket) =>
      this.#guarded(socket, () => this.#accept(socket)),
    );
    if (address.kind === 'pipe') removeStaleSocket(address.path);
    await new Promise<void>((resolve, reject) => {
      server.once('error', (cause: NodeJS.ErrnoException) =>
        reject(new ListenerError('bind', bindMessage(name, address.kind === 'pipe' ? address.path : hostPort(address.host, address.port), cause), cause)),
      );
      server.listen(address.kind === 'pipe' ? { path: address.path } : { host: address.host, port: address.port, backlog: 4096 }, resolve);
    });
    server.on('error', (error) => this.#parts.runtime.log('error', `listener ${name}: ${error.message}`));
    this.#server = server;
  }

  /** Gives its socket away; its connections stay with it. */
  release(): net.Server | undefined {
    const server = this.#server;
    this.#server = undefined;
    return server;
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
    for (const connection of [...this.#connections]) {
      if (!(connection instanceof HttpConnection)) connection.close();
      else if (connection.activeStreams === 0) connection.drain();
    }
  }

  close(): void {
    this.#draining = true;
    this.#stopAccepting();
    for (const socket of this.#handshaking) socket.destroy();
    for (const connection of [...this.#connections]) {
      if (connection instanceof HttpConnection) connection.destroy();
      else connection.close();
    }
    for (const manager of this.#managers.values()) manager.close();
    for (const server of this.#tls.values()) server.close();
  }

  #stopAccepting(): void {
    this.#server?.close();
    this.#server = undefined;
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
    const { config } = this;
    if (config.inspectTls) {
      new TlsSniffer(
        this.#parts.runtime,
        config,
        socket,
        (transport, serverName, alpn) => this.#guarded(socket, () => this.#inspected(socket, transport, serverName, alpn)),
        () => this.#drop(),
      );
      return;
    }
    const chain = this.#matcher.match(criteriaOf(socket, 'raw_buffer', '', []));
    if (chain === null) this.#noChain(socket);
    else if (chain.tls !== null) this.#handshake(chain, socket);
    else {
      const reader = new SocketReader(SILENT, this.#parts.runtime.readBuffer);
      const adopted = adoptAccepted(socket, reader);
      reader.sink = this.#connect(chain, adopted, this.#infoOf(adopted, false, NO_PEER, '', '', '', ''));
      adopted.resume();
    }
  }

  #inspected(socket: net.Socket, transport: string, serverName: string, alpn: readonly string[]): void {
    const chain = this.#matcher.match(criteriaOf(socket, transport, serverName, alpn));
    if (chain === null) this.#noChain(socket);
    else if (chain.tls !== null) this.#handshake(chain, socket);
    else {
      const reader = new SocketReader(SILENT, this.#parts.runtime.readBuffer);
      reader.sink = this.#connect(chain, socket, this.#infoOf(socket, false, NO_PEER, '', serverName, '', ''));
      reader.watchData(socket);
      socket.resume();
    }
  }

  #handshake(chain: FilterChainConfig, socket: net.Socket): void {
    this.#handshaking.add(socket);
    socket.on('error', () => {});
    socket.once('close', () => this.#handshaking.delete(socket));
    this.#tls.get(chain)!.accept(socket);
  }

  #onSecure(chain: FilterChainConfig, socket: TLSSocket, peer: TlsPeer, localUri: string): void {
    const alpn = socket.alpnProtocol === false ? '' : (socket.alpnProtocol ?? '');
    const info = this.#infoOf(socket, true, peer, localUri, typeof socket.servername === 'string' ? socket.servername : '', socket.getProtocol() ?? '', alpn);
    const reader = new SocketReader(SILENT, this.#parts.runtime.readBuffer);
    reader.sink = this.#connect(chain, socket, info);
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
    const criteria = {
      destinationIp: parseIp(''),
      destinationPort: 0,
      directSourceIp: parseIp(''),
      sourceIp: parseIp(''),
      sourcePort: 0,
      serverName: '',
      transportProtocol: 'raw_buffer',
      applicationProtocols: [],
    };
    const chain = this.#matcher.match(criteria);
    if (chain === null || chain.tls !== null || !this.#parts.admit()) {
      this.stats.noFilterChain++;
      transport.destroy();
      return;
    }
    setSink(
      this.#connect(
        chain,
        transport,
        new ConnectionInfo({
          id: this.#parts.nextConnectionId(),
          localIp: '',
          localPort: 0,
          remoteIp: '',
          remotePort: 0,
          secure: false,
          peer: NO_PEER,
          localUri: '',
          serverName: '',
          tlsVersion: '',
          alpn: '',
        }),
      ),
    );
  }

  #connect(chain: FilterChainConfig, transport: Transport, info: ConnectionInfo): ByteSink {
    this.stats.active++;
    const gone = (connection: HttpConnection | TcpProxy) => {
      if (!this.#connections.delete(connection)) return;
      this.stats.active--;
      this.#parts.onConnectionGone();
      if (this.#draining && this.#connections.size === 0) this.onEmpty();
    };
    if (chain.filter.kind === 'http') {
      const connection = new HttpConnection(this.#managers.get(chain)!, info, transport, gone);
      this.#connections.add(connection);
      // It was on its way when its listener was replaced.
      if (this.#draining) connection.drain(true);
      return new GuardedSink(connection, this.#parts.runtime.faults, () => transport.destroy());
    }
    const proxy = new TcpProxy(this.#parts.runtime, this.#parts.clusters, chain.filter.tcp, info, transport, this.#parts.tcpRecorder, gone);
    this.#connections.add(proxy);
    proxy.start();
    return new GuardedSink(proxy, this.#parts.runtime.faults, () => transport.destroy());
  }

  #infoOf(socket: net.Socket, secure: boolean, peer: TlsPeer, localUri: string, serverName: string, tlsVersion: string, alpn: string): ConnectionInfo {
    return new ConnectionInfo({
      id: this.#parts.nextConnectionId(),
      localIp: socket.localAddress ?? '',
      localPort: socket.localPort ?? 0,
      remoteIp: socket.remoteAddress ?? '',
      remotePort: socket.remotePort ?? 0,
      secure,
      peer,
      localUri,
      serverName,
      tlsVersion,
      alpn,
    });
  }

  #noChain(socket: net.Socket): void {
    this.stats.noFilterChain++;
    socket.on('error', () => {});
    socket.destroy();
    this.#parts.onConnectionGone();
  }

  #drop(): void {
    this.#parts.onConnectionGone();
  }
}

/** Looks at the first bytes of an accepted socket and puts them back. */
class TlsSniffer implements TimerTarget {
  readonly #socket: net.Socket;
  readonly #runtime: Runtime;
  readonly #config: ListenerConfig;
  readonly #decided: (transport: string, serverName: string, alpn: readonly string[]) => void;
  readonly #dropped: () => void;
  readonly #timer: WheelTimer | undefined;
  #bytes: Buffer | undefined;
  #over = false;
  readonly #onData = (chunk: Buffer) => this.#look(chunk);
  readonly #onGone = () => this.#drop();

  constructor(
    runtime: Runtime,
    config: ListenerConfig,
    socket: net.Socket,
    decided: (transport: string, serverName: string, alpn: readonly string[]) => void,
    dropped: () => void,
  ) {
    this.#runtime = runtime;
    this.#config = config;
    this.#socket = socket;
    this.#decided = decided;
    this.#dropped = dropped;
    this.#timer = config.inspectTimeoutMs > 0 ? runtime.wheel.arm(config.inspectTimeoutMs, this) : undefined;
    socket.on('error', () => {});
    socket.on('data', this.#onData);
    socket.on('close', this.#onGone);
    socket.on('end', this.#onGone);
    socket.resume();
  }

  onTimer(): void {
    if (this.#config.continueOnInspectTimeout) this.#decide('raw_buffer', '', []);
    else this.#drop();
  }

  #look(chunk: Buffer): void {
    this.#bytes = this.#bytes === undefined ? chunk : Buffer.concat([this.#bytes, chunk]);
    const sniffed = sniffClientHello(this.#bytes);
    if (sniffed === 'more') {
      if (this.#bytes.length > MAX_SNIFFED_BYTES) this.#drop();
    } else if (sniffed === 'bad') this.#drop();
    else if (sniffed === 'raw') this.#decide('raw_buffer', '', []);
    else this.#decide('tls', sniffed.serverName, sniffed.applicationProtocols);
  }

  #decide(transport: string, serverName: string, alpn: readonly string[]): void {
    if (!this.#end()) return;
    this.#socket.pause();
    if (this.#bytes !== undefined) this.#socket.unshift(this.#bytes);
    this.#decided(transport, serverName, alpn);
  }

  #drop(): void {
    if (!this.#end()) return;
    this.#socket.destroy();
    this.#dropped();
  }

  #end(): boolean {
    if (this.#over) return false;
    this.#over = true;
    if (this.#timer !== undefined) this.#runtime.wheel.cancel(this.#timer);
    this.#socket.off('data', this.#onData);
    this.#socket.off('close', this.#onGone);
    this.#socket.off('end', this.#onGone);
    return true;
  }
}

function criteriaOf(socket: net.Socket, transportProtocol: string, serverName: string, applicationProtocols: readonly string[]) {
  const source = parseIp(socket.remoteAddress ?? '');
  return {
    destinationIp: parseIp(socket.localAddress ?? ''),
    destinationPort: socket.localPort ?? 0,
    directSourceIp: source,
    sourceIp: source,
    sourcePort: socket.remotePort ?? 0,
    serverName,
    transportProtocol,
    applicationProtocols,
  };
}

export function sameAddress(one: EndpointAddress, other: EndpointAddress): boolean {
  if (one.kind === 'socket' && other.kind === 'socket') return one.host === other.host && one.port === other.port;
  return one.kind === 'pipe' && other.kind === 'pipe' && one.path === other.path;
}

function bindMessage(name: string, address: string, cause: NodeJS.ErrnoException): string {
  const why = cause.code === 'EADDRINUSE' ? 'the address is in use by another process; stop that one or choose another port' : cause.message;
  return `listener ${name} cannot listen on ${address}: ${why}`;
}

/** A path that a dead process left behind. */
function removeStaleSocket(path: string): void {
  try {
    if (statSync(path).isSocket()) unlinkSync(path);
  } catch {
    // Not there.
  }
}
