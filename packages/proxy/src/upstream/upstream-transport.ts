import net from 'node:net';
import tls from 'node:tls';
import { GuardedSink } from '../engine/faults.ts';
import type { Runtime } from '../engine/runtime.ts';
import type { Transport } from '../http/transport.ts';
import type { ByteSink } from '../net/byte-sink.ts';
import { memoryPair } from '../net/memory-transport.ts';
import { SocketReader } from '../net/socket-reader.ts';
import type { TimerTarget, WheelTimer } from '../net/timer-wheel.ts';
import { checkPeer, peerOf } from '../tls/peer.ts';
import { hostPort } from '../xds/compile-endpoints.ts';
import type { EndpointAddress } from '../xds/endpoint-config.ts';
import type { UpstreamTlsSettings } from '../xds/tls-settings.ts';

export interface UpstreamTransportEvents {
  /** The transport may be written to. Bytes go to `sink` from here on. */
  onOpen(): void;
  /** It never came to be. */
  onOpenFailed(timeout: boolean, detail: string): void;
}

const SILENT: ByteSink = { receive: () => {}, receiveEnd: () => {}, transportClosed: () => {}, transportDrained: () => {} };

/** One connection to an endpoint, from the first SYN: plain, TLS, a Unix socket, or an internal listener. */
export class UpstreamTransport implements ByteSink, TimerTarget {
  readonly #runtime: Runtime;
  readonly #events: UpstreamTransportEvents;
  #timer: WheelTimer | undefined;
  #open = false;
  #over = false;
  #setSink: (sink: ByteSink) => void = () => {};
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
  connect(address: EndpointAddress, tlsSettings: UpstreamTlsSettings | null, serverName: string, timeoutMs: number): void {
    this.#timer = this.#runtime.wheel.arm(timeoutMs, this);
    if (address.kind === 'internal') this.#connectInternal(address.listener);
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

  #reader(): SocketReader {
    const reader = new SocketReader(this, this.#runtime.readBuffer);
    this.#setSink = (sink) => {
      reader.sink = sink;
    };
    return reader;
  }

  #connectPlain(address: Exclude<EndpointAddress, { kind: 'internal' }>): void {
    const reader = this.#reader();
    const base = { onread: reader.onread, allowHalfOpen: true };
    const socket = net.connect(
      (address.kind === 'pipe' ? { ...base, path: address.path } : { ...base, host: address.host, port: address.port, noDelay: true }) as net.NetConnectOpts,
    );
    this.transport = socket;
    reader.watch(socket);
    socket.once('connect', () => {
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
    const reader = this.#reader();
    const sni = serverName === '' ? settings.sni : serverName;
    const { rules, verify } = built.material;
    // No `session` is ever offered: a resumed one would skip the check of the peer's identity.
    const options: object = {
      ...(address.kind === 'pipe' ? { path: address.path } : { host: address.host, port: address.port }),
      secureContext: built.context,
      rejectUnauthorized: verify,
      checkServerIdentity: (_host: string, certificate: tls.PeerCertificate) => {
        const mismatch = checkPeer(certificate, rules);
        return mismatch === '' ? undefined : new Error(mismatch);
      },
      ALPNProtocols: [...settings.alpn],
      onread: reader.onread,
      allowHalfOpen: true,
      ...(sni === '' || net.isIP(sni) !== 0 ? {} : { servername: sni }),
    };
    const socket = tls.connect(options as tls.ConnectionOptions);
    this.transport = socket;
    this.secure = verify;
    reader.watch(socket);
    socket.setNoDelay(true);
    socket.once('secureConnect', () => {
      if (this.#over) return;
      if (verify) this.peerUri = peerOf(socket).uri;
      else {
        // Without an authority Node asks nobody about the peer: pins must hold all the same.
        const mismatch = checkPeer(socket.getPeerCertificate(), rules);
        if (mismatch !== '') {
          this.#fail(false, mismatch);
          return;
        }
      }
      this.alpn = socket.alpnProtocol === false ? '' : (socket.alpnProtocol ?? '');
      this.localAddress = socket.localAddress === undefined ? '' : hostPort(socket.localAddress, socket.localPort ?? 0);
      this.#opened();
    });
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
    this.#setSink(SILENT);
    this.transport?.destroy();
    this.#runtime.faults.guard('an upstream connection that failed', () => this.#events.onOpenFailed(timeout, detail));
  }

  #disarm(): void {
    if (this.#timer !== undefined) this.#runtime.wheel.cancel(this.#timer);
    this.#timer = undefined;
  }
}
