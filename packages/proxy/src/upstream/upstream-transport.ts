import net from 'node:net';
import tls from 'node:tls';
import { GuardedSink } from '../engine/faults.ts';
import type { Runtime } from '../engine/runtime.ts';
import type { Transport } from '../http/transport.ts';
import { type ByteSink, SILENT } from '../net/byte-sink.ts';
import { memoryPair } from '../net/memory-transport.ts';
import { SocketReader } from '../net/socket-reader.ts';
import type { TimerTarget, WheelTimer } from '../net/timer-wheel.ts';
import { SessionKeeper } from '../tls/client-sessions.ts';
import { checkPeer, peerOf } from '../tls/peer.ts';
import { addressText, hostPort } from '../xds/compile-endpoints.ts';
import { type ConnectionSettings, PLAIN_SETTINGS } from '../xds/connection-settings.ts';
import type { EndpointAddress } from '../xds/endpoint-config.ts';
import type { UpstreamTlsSettings } from '../xds/tls-settings.ts';
import { AddressRace, interleaved } from './address-race.ts';

export interface UpstreamTransportEvents {
  /** The transport may be written to. Bytes go to `sink` from here on. */
  onOpen(): void;
  /** It never came to be. */
  onOpenFailed(timeout: boolean, detail: string): void;
}

/** What an endpoint and its cluster say of connections to it. */
export interface ConnectHow {
  readonly settings: ConnectionSettings;
  /** Further addresses of the same endpoint. */
  readonly others: readonly EndpointAddress[];
  /** Sent before anything else; null: nothing. */
  readonly header: Buffer | null;
  /** What TLS offers; null: as its settings say. */
  readonly alpn: readonly string[] | null;
}

export const PLAIN_HOW: ConnectHow = { settings: PLAIN_SETTINGS, others: [], header: null, alpn: null };

/** One connection to an endpoint, from the first SYN: plain, TLS, a Unix socket, or an internal listener. */
export class UpstreamTransport implements ByteSink, TimerTarget {
  readonly #runtime: Runtime;
  readonly #events: UpstreamTransportEvents;
  #timer: WheelTimer | undefined;
  #open = false;
  #over = false;
  #setSink: (sink: ByteSink) => void = () => {};
  #how = PLAIN_HOW;
  #race: AddressRace | null = null;
  transport!: Transport;
  /** SPIFFE id (or other URI) of the upstream's certificate, proven; '' without TLS. */
  peerUri = '';
  /** What the upstream chose, '' without TLS. */
  alpn = '';
  localAddress = '';
  secure = false;

  constructor(runtime: Runtime, events: UpstreamTransportEvents) {
    this.#runtime = runtime;
    this.#events = events;
  }

  /** `serverName` takes the place of the settings' SNI where it is not ''. */
  connect(address: EndpointAddress, tlsSettings: UpstreamTlsSettings | null, serverName: string, timeoutMs: number, how: ConnectHow = PLAIN_HOW): void {
    this.#timer = this.#runtime.wheel.arm(timeoutMs, this);
    this.#how = how;
    if (how.others.length > 0) this.#connectAny([address, ...how.others], tlsSettings, serverName, timeoutMs);
    else if (address.kind === 'internal') this.#connectInternal(address.listener);
    else if (tlsSettings === null) this.#connectPlain(address);
    else this.#connectTls(address, tlsSettings, serverName);
  }

  set sink(sink: ByteSink) {
    this.#setSink(new GuardedSink(sink, this.#runtime.faults, () => this.transport.destroy()));
  }

  onTimer(): void {
    this.#timer = undefined;
    this.#fail(true, 'connection timeout');
  }

  /** Gives up before it is open. */
  abort(): void {
    this.#over = true;
    this.#disarm();
    this.#race?.abort();
    this.transport?.destroy();
  }

  receive(): void {
    // Nothing is read before somebody asked for something: the sink is set in onOpen.
  }
  receiveEnd(): void {
    this.transportClosed('the upstream closed the connection at once');
  }
  transportClosed(detail: string): void {
    if (!this.#open) this.#fail(false, detail === '' ? 'the connection was closed' : detail);
  }
  transportDrained(): void {}

  #use(socket: net.Socket, reader: SocketReader): void {
    const lane = this.#runtime.gate?.lane(socket);
    this.transport = lane?.transport ?? socket;
    this.#setSink = (sink) => {
      reader.sink = lane?.into(sink) ?? sink;
    };
    this.#setSink(this);
  }

  /** The first of several addresses that answers. */
  #connectAny(addresses: readonly EndpointAddress[], tlsSettings: UpstreamTlsSettings | null, serverName: string, timeoutMs: number): void {
    const how = { ...this.#how, others: [] };
    const { firstFamily, firstFamilyCount } = how.settings;
    this.#race = new AddressRace(
      this.#runtime,
      interleaved(addresses, firstFamily, firstFamilyCount),
      (address, runner) => {
        const transport = new UpstreamTransport(this.#runtime, runner);
        transport.connect(address, tlsSettings, serverName, timeoutMs, how);
        return transport;
      },
      { onWon: (winner) => this.#adopt(winner), onLost: (timeout, detail) => this.#fail(timeout, detail) },
    );
    this.#race.start();
  }

  #adopt(winner: UpstreamTransport): void {
    this.#race = null;
    this.transport = winner.transport;
    this.#setSink = winner.#setSink;
    this.#setSink(this);
    this.peerUri = winner.peerUri;
    this.alpn = winner.alpn;
    this.localAddress = winner.localAddress;
    this.secure = winner.secure;
    this.#opened();
  }

  /** Options of the socket's own address, and what is set on it once it is there. */
  #prepare(address: EndpointAddress): { readonly localAddress?: string; readonly localPort?: number } {
    if (address.kind !== 'socket') return {};
    const source = this.#how.settings.sources.find(({ host }) => net.isIP(host) === net.isIP(address.host));
    if (source === undefined) return {};
    return source.port === 0 ? { localAddress: source.host } : { localAddress: source.host, localPort: source.port };
  }

  #keepAlive(socket: net.Socket): void {
    const { keepAlive } = this.#how.settings;
    if (keepAlive === null) return;
    // Interval and count are newer than the types: an older Node takes its own.
    (socket.setKeepAlive as (enable: boolean, idleMs?: number, intervalMs?: number, count?: number) => void).call(
      socket,
      true,
      keepAlive.idleMs,
      keepAlive.intervalMs,
      keepAlive.probes,
    );
  }

  #connectPlain(address: Exclude<EndpointAddress, { kind: 'internal' }>): void {
    const reader = new SocketReader(this, this.#runtime.intake);
    const base = { onread: reader.onread, allowHalfOpen: true };
    const socket = net.connect(
      (address.kind === 'pipe'
        ? { ...base, path: address.path }
        : { ...base, host: address.host, port: address.port, noDelay: true, ...this.#prepare(address) }) as net.NetConnectOpts,
    );
    this.#use(socket, reader);
    reader.watch(socket);
    this.#keepAlive(socket);
    socket.once('connect', () => {
      if (this.#how.header !== null) socket.write(this.#how.header);
      this.localAddress = socket.localAddress === undefined ? '' : hostPort(socket.localAddress, socket.localPort ?? 0);
      this.#opened();
    });
  }

  #connectTls(address: Exclude<EndpointAddress, { kind: 'internal' }>, settings: UpstreamTlsSettings, serverName: string): void {
    const built = this.#runtime.tls.client(settings);
    if (typeof built === 'string') {
      queueMicrotask(() => this.#fail(false, `TLS: ${built}`));
      return;
    }
    const reader = new SocketReader(this, this.#runtime.intake);
    const sni = serverName === '' ? settings.sni : serverName;
    const { rules, verify } = built.material;
    const { sessions } = built;
    const server = `${addressText(address)} ${sni}`;
    // A resumed session shows no certificate: what its own handshake has proved of the server goes with it.
    const session = sessions.enabled ? sessions.get(server, this.#runtime.unixMs()) : undefined;
    const { header, alpn } = this.#how;
    const options: object = {
      ...(header !== null
        ? { socket: this.#headed(address, header) }
        : address.kind === 'pipe'
          ? { path: address.path }
          : { host: address.host, port: address.port, ...this.#prepare(address) }),
      secureContext: built.context,
      rejectUnauthorized: verify,
      checkServerIdentity: () => {
        const mismatch = checkPeer(socket.getPeerX509Certificate()!, rules);
        return mismatch === '' ? undefined : new Error(mismatch);
      },
      ALPNProtocols: [...(alpn ?? settings.alpn)],
      ...(header === null ? { onread: reader.onread } : {}),
      allowHalfOpen: true,
      ...(session === undefined ? {} : { session: session.ticket }),
      ...(sni === '' || net.isIP(sni) !== 0 ? {} : { servername: sni }),
    };
    const socket = tls.connect(options as tls.ConnectionOptions);
    this.#use(socket, reader);
    this.secure = verify;
    if (header === null) reader.watch(socket);
    else reader.watchData(socket);
    socket.setNoDelay(true);
    this.#keepAlive(socket);
    const keeper = sessions.enabled ? new SessionKeeper(socket, sessions, server) : null;
    socket.once('secureConnect', () => {
      if (this.#over) return;
      const resumed = socket.isSessionReused() ? session : undefined;
      if (resumed !== undefined) this.peerUri = resumed.peerUri;
      else if (verify) this.peerUri = peerOf(socket).uri;
      else {
        // Without an authority Node asks nobody about the peer: pins must hold all the same.
        const certificate = socket.getPeerX509Certificate();
        const mismatch = rules.length === 0 ? '' : certificate === undefined ? 'it showed no certificate' : checkPeer(certificate, rules);
        if (mismatch !== '') {
          this.#fail(false, mismatch);
          return;
        }
      }
      keeper?.accepted(socket, this.peerUri, resumed);
      this.alpn = socket.alpnProtocol === false ? '' : (socket.alpnProtocol ?? '');
      this.localAddress = socket.localAddress === undefined ? '' : hostPort(socket.localAddress, socket.localPort ?? 0);
      this.#opened();
    });
  }

  /** A connection under TLS whose first bytes are the header's. */
  #headed(address: Exclude<EndpointAddress, { kind: 'internal' }>, header: Buffer): net.Socket {
    const to = address.kind === 'pipe' ? { path: address.path } : { host: address.host, port: address.port, noDelay: true, ...this.#prepare(address) };
    const under = net.connect(to as net.NetConnectOpts);
    under.once('error', (error: NodeJS.ErrnoException) => this.#fail(false, `${error.code ?? ''}: ${error.message}`));
    under.write(header);
    return under;
  }

  #connectInternal(name: string): void {
    const acceptor = this.#runtime.internalListeners.get(name);
    if (acceptor === undefined) {
      queueMicrotask(() => this.#fail(false, `there is no internal listener ${name}`));
      return;
    }
    const [ours, theirs] = memoryPair();
    ours.sink = this;
    this.transport = ours;
    this.#setSink = (sink) => {
      ours.sink = sink;
    };
    queueMicrotask(() => {
      if (this.#over) return;
      acceptor(theirs, (sink) => {
        theirs.sink = sink;
      });
      if (this.#how.header !== null) ours.write(this.#how.header);
      this.#opened();
    });
  }

  #opened(): void {
    if (this.#over) return;
    this.#open = true;
    this.#disarm();
    try {
      this.#events.onOpen();
    } catch (error) {
      this.#runtime.faults.report(error, 'an upstream connection was ended');
      this.transport.destroy();
    }
  }

  #fail(timeout: boolean, detail: string): void {
    if (this.#over || this.#open) return;
    this.#over = true;
    this.#disarm();
    this.#race?.abort();
    this.#setSink(SILENT);
    this.transport?.destroy();
    this.#runtime.faults.guard('an upstream connection that failed', () => this.#events.onOpenFailed(timeout, detail));
  }

  #disarm(): void {
    if (this.#timer !== undefined) this.#runtime.wheel.cancel(this.#timer);
    this.#timer = undefined;
  }
}
