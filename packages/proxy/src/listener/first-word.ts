import type { Runtime } from '../engine/runtime.ts';
import type { Transport } from '../http/transport.ts';
import type { ByteSink } from '../net/byte-sink.ts';
import type { TimerTarget, WheelTimer } from '../net/timer-wheel.ts';
import type { TcpProxy } from '../tcp/tcp-proxy.ts';
import type { TcpProxyConfig } from '../xds/listener-config.ts';

/**
 * How long after accepting the upstream's first word is kept back, ms. A caller that speaks TLS sends its ClientHello right behind the
 * ACK that ends the TCP handshake, so that this is what its event loop takes on a busy machine, however far away it is.
 */
export const HELLO_GRACE_MS = 250;
/** What the upstream may say meanwhile, bytes; then it is not read. */
const MAX_HELD_BYTES = 128 * 1024;

/** First two bytes of a TLS record that holds a handshake. */
const TLS_HANDSHAKE = Buffer.from([22, 3]);

export interface FirstWordEvents {
  /** The upstream has spoken, ended, or is not there, and the client has had its time: it is a client that waits. */
  onUpstreamFirst(): void;
}

/**
 * The client's side of a TCP proxy that was connected ahead, before it is known whether the client speaks TLS: a server that speaks
 * first (MySQL, SMTP) is waiting for nobody then. What it says is kept until either side has decided.
 */
export class FirstWord implements Transport, TimerTarget {
  readonly #runtime: Runtime;
  /** The upstream's word decided. */
  upstreamFirst = false;
  readonly #events: FirstWordEvents;
  readonly held: Buffer[] = [];
  #proxy: TcpProxy | undefined;
  #heldBytes = 0;
  #timer: WheelTimer | undefined;
  #spoken = false;
  #over = false;
  ended = false;
  /** The upstream could not be reached, or went away. */
  failed = false;
  readonly #lookOnceMore = () => this.#speak();

  constructor(runtime: Runtime, events: FirstWordEvents) {
    this.#runtime = runtime;
    this.#events = events;
    this.#timer = runtime.wheel.arm(HELLO_GRACE_MS, this);
  }

  /** Whose client's side it is. */
  connect(proxy: TcpProxy): void {
    this.#proxy = proxy;
    proxy.connectAhead();
  }

  /** The connection that was made ahead, if it is there and is the one that such a filter would make. */
  proxyFor(config: TcpProxyConfig): TcpProxy | undefined {
    const proxy = this.#proxy;
    if (proxy === undefined || this.failed) return undefined;
    return config === proxy.config || sameUpstream(config, proxy.config) ? proxy : undefined;
  }

  /** It is another's, or nobody's: the upstream connection ends. */
  discard(): void {
    this.close();
    this.#proxy?.abandon();
  }

  get writableLength(): number {
    return this.#heldBytes;
  }

  write(chunk: Uint8Array): boolean {
    this.held.push(chunk as Buffer);
    this.#heldBytes += chunk.length;
    this.#say();
    return this.#heldBytes < MAX_HELD_BYTES;
  }

  end(): void {
    this.ended = true;
    this.#say();
  }

  destroy(): void {
    this.failed = true;
    this.#say();
  }

  pause(): void {}

  resume(): void {}

  onTimer(): void {
    this.#timer = undefined;
    // Timers come before what has arrived meanwhile: a ClientHello may wait in the kernel, for as long as this loop was busy.
    setImmediate(this.#lookOnceMore);
  }

  /** It has been decided. */
  close(): void {
    this.#over = true;
    if (this.#timer !== undefined) this.#runtime.wheel.cancel(this.#timer);
    this.#timer = undefined;
  }

  #say(): void {
    if (this.#spoken) return;
    this.#spoken = true;
    if (this.#timer === undefined) setImmediate(this.#lookOnceMore);
  }

  #speak(): void {
    if (!this.#over && this.#spoken && this.#timer === undefined) {
      this.upstreamFirst = true;
      this.#runtime.faults.guard('the first word of an upstream', () => this.#events.onUpstreamFirst());
    }
  }
}

function sameUpstream(one: TcpProxyConfig, other: TcpProxyConfig): boolean {
  const [first, ...rest] = one.clusters;
  const [otherFirst, ...otherRest] = other.clusters;
  if (rest.length > 0 || otherRest.length > 0 || one.clusterFromSni || other.clusterFromSni) return false;
  return first!.name === otherFirst!.name && first!.subset?.id === otherFirst!.subset?.id;
}

/**
 * Behind a greeting that was passed in plain text: a client whose first bytes are a ClientHello was only late. It is told at once, so
 * that it can try again, and the upstream is not given what it would count as a broken client.
 */
export class LateHelloGuard implements ByteSink {
  readonly #sink: ByteSink;
  readonly #onLate: () => void;
  #looked = false;

  constructor(sink: ByteSink, onLate: () => void) {
    this.#sink = sink;
    this.#onLate = onLate;
  }

  receive(buffer: Buffer, start: number, end: number): void {
    if (!this.#looked) {
      this.#looked = true;
      if (end - start >= TLS_HANDSHAKE.length && buffer.compare(TLS_HANDSHAKE, 0, TLS_HANDSHAKE.length, start, start + TLS_HANDSHAKE.length) === 0) {
        this.#onLate();
        return;
      }
    }
    this.#sink.receive(buffer, start, end);
  }

  receiveEnd(): void {
    this.#sink.receiveEnd();
  }

  transportClosed(detail: string): void {
    this.#sink.transportClosed(detail);
  }

  transportDrained(): void {
    this.#sink.transportDrained();
  }
}
