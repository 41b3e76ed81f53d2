import type { Runtime } from '../engine/runtime.ts';
import { type ClientStream, type ResetReason, type ResponseEvents, ResponseHead } from '../http/message.ts';
import type { ByteSink } from '../net/byte-sink.ts';
import { TurnWriter } from '../net/turn-writer.ts';
import type { ResourceLimits } from '../resilience/limits.ts';
import type { Cluster } from './cluster.ts';
import type { UpstreamHost } from './upstream-host.ts';
import { UpstreamTransport, type UpstreamTransportEvents } from './upstream-transport.ts';

const NOTHING = Buffer.alloc(0);

export interface RawTunnelEvents extends UpstreamTransportEvents {
  /** The cluster may have no more connections. */
  onOverflow(detail: string): void;
}

/** A connection whose bytes are the payload of a CONNECT: seen from the engine a response of 200 with a tunnel behind it. */
export class RawTunnel implements ClientStream, ByteSink, UpstreamTransportEvents {
  readonly #runtime: Runtime;
  readonly #cluster: Cluster;
  readonly #limits: ResourceLimits;
  readonly #host: UpstreamHost;
  readonly #open: RawTunnelEvents;
  readonly #transport: UpstreamTransport;
  #writer: TurnWriter | null = null;
  #readEnded = false;
  #sendEnded = false;
  #closed = false;
  events: ResponseEvents;

  constructor(runtime: Runtime, cluster: Cluster, limits: ResourceLimits, host: UpstreamHost, open: RawTunnelEvents, events: ResponseEvents) {
    this.#runtime = runtime;
    this.#cluster = cluster;
    this.#limits = limits;
    this.#host = host;
    this.#open = open;
    this.events = events;
    this.#transport = new UpstreamTransport(runtime, this);
  }

  get peerUri(): string {
    return this.#transport.peerUri;
  }

  get localAddress(): string {
    return this.#transport.localAddress;
  }

  get secure(): boolean {
    return this.#transport.secure;
  }

  connect(): void {
    if (!this.#limits.tryConnection()) {
      queueMicrotask(() => this.#open.onOverflow('max_connections of the cluster is reached'));
      this.#closed = true;
      return;
    }
    this.#host.connections++;
    this.#host.stats.connectTotal++;
    this.#transport.connect(this.#host.endpoint.address, this.#host.socket, '', this.#cluster.config.connectTimeoutMs, this.#cluster.how(this.#host, null));
  }

  onOpen(): void {
    this.#writer = new TurnWriter(this.#runtime.turn, this.#transport.transport, this.#cluster.config.bufferLimitBytes);
    this.#transport.sink = this;
    this.#open.onOpen();
  }

  onOpenFailed(timeout: boolean, detail: string): void {
    this.#host.stats.connectFail++;
    this.#forget();
    this.#open.onOpenFailed(timeout, detail);
  }

  /** The 200 to the CONNECT. */
  answer(): void {
    const head = new ResponseHead();
    head.status = 200;
    head.tunnel = true;
    this.events.onResponse(head, false);
  }

  sendBody(buffer: Buffer, start: number, end: number, fin: boolean): boolean {
    if (this.#closed || this.#sendEnded) return true;
    const writer = this.#writer!;
    if (end > start) writer.bytes(buffer, start, end);
    if (fin) {
      this.#sendEnded = true;
      writer.end();
    }
    return !writer.blocked;
  }

  sendTrailers(): void {
    this.sendBody(NOTHING, 0, 0, true);
  }

  /** Also while it is not open yet: then nobody hears of it again. */
  reset(_reason: ResetReason): void {
    if (this.#closed) return;
    this.#forget();
    if (this.#writer === null) this.#transport.abort();
    else this.#writer.destroy();
  }

  pause(): void {
    this.#transport.transport.pause();
  }

  resume(): void {
    this.#transport.transport.resume();
  }

  get bufferedBytes(): number {
    return this.#writer === null ? 0 : this.#transport.transport.writableLength;
  }

  receive(buffer: Buffer, start: number, end: number): void {
    this.events.onBody(buffer, start, end, false);
  }

  receiveEnd(): void {
    if (this.#readEnded || this.#closed) return;
    this.#readEnded = true;
    this.events.onBody(NOTHING, 0, 0, true);
  }

  transportClosed(detail: string): void {
    if (this.#closed) return;
    this.#forget();
    // Its last word may have been said: what is still to be sent has nowhere to go.
    if (!this.#readEnded || !this.#sendEnded) this.events.onReset('ConnectionTermination', detail);
  }

  transportDrained(): void {
    this.#writer!.drained();
    this.events.onDrain();
  }

  #forget(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#limits.releaseConnection();
    this.#host.connections--;
  }
}
