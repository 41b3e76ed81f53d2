import type { ClientConnection, ClientConnectionEvents, ClientStream, RequestHead, ResponseEvents } from '../http/message.ts';
import { Http1ClientConnection } from '../http1/client-connection.ts';
import { Http2ClientConnection } from '../http2/client-connection.ts';
import { KeepAlive } from '../http2/keep-alive.ts';
import type { ByteSink } from '../net/byte-sink.ts';
import { TurnWriter } from '../net/turn-writer.ts';
import type { HttpPool } from './http-pool.ts';
import { UpstreamTransport, type UpstreamTransportEvents } from './upstream-transport.ts';

/** An HTTP connection of a pool, from its making to its end. */
export class PooledConnection implements ClientConnectionEvents, UpstreamTransportEvents, ByteSink {
  readonly pool: HttpPool;
  readonly #transport: UpstreamTransport;
  #codec: ClientConnection | undefined = undefined;
  #keepAlive: KeepAlive | null = null;
  #closed = false;
  #retired = false;
  /** Kept by the pool. */
  inReady = false;
  /** Requests that were put on it. */
  requests = 0;
  idleSinceMs = 0;
  openedAtMs = 0;

  constructor(pool: HttpPool) {
    this.pool = pool;
    this.#transport = new UpstreamTransport(pool.runtime, this);
  }

  connect(): void {
    const { endpoint, socket } = this.pool.host;
    this.#transport.connect(endpoint.address, socket, '', this.pool.cluster.config.connectTimeoutMs, this.pool.how);
  }

  get opened(): boolean {
    return this.#codec !== undefined;
  }

  /** By the peer's word, and by max_concurrent_streams of the cluster. */
  get capacity(): number {
    if (this.#retired || this.#codec === undefined) return 0;
    return Math.min(this.#codec.capacity, Math.max(0, this.pool.cluster.config.http.http2.maxConcurrentStreams - this.#codec.activeStreams));
  }

  get activeStreams(): number {
    return this.#codec === undefined ? 0 : this.#codec.activeStreams;
  }

  get peerUri(): string {
    return this.#transport.peerUri;
  }

  get localAddress(): string {
    return this.#transport.localAddress;
  }

  /** TLS with a verified peer. */
  get secure(): boolean {
    return this.#transport.secure;
  }

  /** Only where `capacity` says so. */
  request(head: RequestHead, fin: boolean, events: ResponseEvents): ClientStream {
    if (this.#keepAlive !== null && this.activeStreams === 0) this.#keepAlive.beforeRequest(this.pool.runtime.nowMs() - this.idleSinceMs);
    this.requests++;
    const { maxRequestsPerConnection } = this.pool.cluster.config.http;
    const stream = this.#codec!.request(head, fin, events);
    if (maxRequestsPerConnection > 0 && this.requests >= maxRequestsPerConnection) {
      this.#retired = true;
      this.#codec!.drain();
    }
    this.pool.onUsed(this);
    return stream;
  }

  /** Takes no more requests and closes when the last has ended. */
  retire(): void {
    this.#retired = true;
    this.#codec?.drain();
  }

  destroy(): void {
    if (this.#codec === undefined) {
      this.#transport.abort();
      this.pool.onOpenFailed(this, false, 'the cluster was removed');
      return;
    }
    this.#transport.transport.destroy();
    this.transportClosed('closed by this proxy');
  }

  onOpen(): void {
    const { runtime, cluster } = this.pool;
    if (cluster.config.http.protocol === 'auto') this.pool.http2 = this.#transport.alpn === 'h2';
    const { http2 } = this.pool;
    const transport = this.#transport.transport;
    const writer = new TurnWriter(runtime.turn, transport, cluster.config.bufferLimitBytes);
    this.openedAtMs = this.idleSinceMs = runtime.nowMs();
    // TLS and ALPN notwithstanding where explicit_http_config fixes the codec.
    if (http2) {
      const codec = new Http2ClientConnection(transport, writer, this, cluster.http2Options);
      const settings = cluster.config.http.http2.keepAlive;
      if (settings !== null) {
        this.#keepAlive = new KeepAlive(
          settings,
          codec,
          runtime.wheel,
          () => runtime.random.uint32() / 2 ** 32,
          () => this.#dead(),
        );
        codec.keepAlive = this.#keepAlive;
      }
      this.#codec = codec;
    } else this.#codec = new Http1ClientConnection(transport, writer, this, cluster.http1Options);
    this.#transport.sink = this;
    this.pool.onOpen(this);
  }

  onOpenFailed(timeout: boolean, detail: string): void {
    this.pool.onOpenFailed(this, timeout, detail);
  }

  onCapacity(): void {
    if (this.activeStreams === 0) this.idleSinceMs = this.pool.runtime.nowMs();
    if (!this.#closed) this.pool.onCapacity(this);
  }

  onDraining(): void {
    this.#retired = true;
    this.pool.onDraining(this);
  }

  onClose(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#keepAlive?.close();
    const idleMs = this.#retired || this.requests === 0 ? -1 : this.pool.runtime.nowMs() - this.idleSinceMs;
    this.pool.onClosed(this, this.#wasIdle ? idleMs : -1);
    // The codec has ended its half; whatever the upstream still sends has no reader.
    this.#transport.transport.destroy();
  }

  #dead(): void {
    this.#transport.transport.destroy();
    this.transportClosed('the upstream has not answered a PING in time');
  }

  receive(buffer: Buffer, start: number, end: number): void {
    this.#codec!.receive(buffer, start, end);
  }

  #wasIdle = true;

  receiveEnd(): void {
    this.#wasIdle = this.activeStreams === 0;
    this.#codec!.receiveEnd();
  }

  transportClosed(detail: string): void {
    if (this.#closed) return;
    this.#wasIdle = this.activeStreams === 0;
    this.#codec!.transportClosed(detail);
  }

  transportDrained(): void {
    this.#codec!.transportDrained();
  }
}
