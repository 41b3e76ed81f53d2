import { ActiveStream } from '../engine/active-stream.ts';
import type { HttpManager } from '../engine/http-manager.ts';
import type { RequestHead, ServerConnection, ServerConnectionEvents, ServerStream } from '../http/message.ts';
import type { Transport } from '../http/transport.ts';
import { Http1ServerConnection } from '../http1/server-connection.ts';
import { KeepAlive } from '../http2/keep-alive.ts';
import { Http2ServerConnection } from '../http2/server-connection.ts';
import type { ByteSink } from '../net/byte-sink.ts';
import type { TimerTarget, WheelTimer } from '../net/timer-wheel.ts';
import { TurnWriter } from '../net/turn-writer.ts';
import type { ConnectionInfo } from './connection-info.ts';

/** RFC 9113 section 3.4. */
const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'latin1');
/** Where delayed_close_timeout is 0: the last answer leaves with the end of the turn, ms. */
const SHORTEST_CLOSE_MS = 10;
/** A peer that takes nothing of its last answer for so long does not want it, ms. */
const STALLED_CLOSE_MS = 60_000;

const Timer = { IDLE: 1, CLOSE: 2, MAX_AGE: 3, DRAIN: 4, HEAD: 5, FLUSH: 6 } as const;

/** A downstream connection with an HTTP connection manager: picks the codec, makes streams, closes when idle. */
export class HttpConnection implements ServerConnectionEvents, ByteSink, TimerTarget {
  readonly manager: HttpManager;
  readonly info: ConnectionInfo;
  readonly #transport: Transport;
  readonly #onGone: (connection: HttpConnection) => void;
  #codec: ServerConnection | undefined;
  /** First bytes that do not tell the codec yet. */
  #first: Buffer | undefined;
  #idle: WheelTimer | undefined;
  #maxAge: WheelTimer | undefined;
  #closing: WheelTimer | undefined;
  /** Of a drain that this connection began itself. */
  #drained: WheelTimer | undefined;
  /** Of a head that has begun. */
  #head: WheelTimer | undefined;
  /** Of answers that wait for the peer's window, which nobody else has a clock for. */
  #flush: WheelTimer | undefined;
  #keepAlive: KeepAlive | undefined;
  #requests = 0;
  #idleSinceMs: number;
  #closed = false;
  /** After our FIN: what the peer has not taken yet, and when it last took something. */
  #unsentBytes = 0;
  #takenAtMs = 0;
  #gone = false;
  draining = false;

  constructor(manager: HttpManager, info: ConnectionInfo, transport: Transport, onGone: (connection: HttpConnection) => void) {
    this.manager = manager;
    this.info = info;
    this.#transport = transport;
    this.#onGone = onGone;
    const { runtime, config } = manager;
    this.#idleSinceMs = runtime.nowMs();
    manager.stats.connections++;
    manager.activeConnections++;
    if (config.idleTimeoutMs > 0) this.#idle = runtime.wheel.arm(config.idleTimeoutMs, this, Timer.IDLE);
    if (config.maxConnectionDurationMs > 0) this.#maxAge = runtime.wheel.arm(config.maxConnectionDurationMs, this, Timer.MAX_AGE);
    if (config.codec === 'http2' || (config.codec === 'auto' && (info.alpn === 'h2' || info.alpn === 'istio-h2'))) this.#begin(true);
    else if (config.codec === 'http1') this.#begin(false);
  }

  get activeStreams(): number {
    return this.#codec === undefined ? 0 : this.#codec.activeStreams;
  }

  onRequest(stream: ServerStream, head: RequestHead, fin: boolean): void {
    let active: ActiveStream;
    try {
      active = new ActiveStream(this, stream, head, fin);
    } catch (error) {
      // A pipelined head is read when the answer before it ends: whoever has ended that is not to blame.
      this.manager.runtime.faults.report(error, 'a request was not taken, and its connection was closed');
      this.destroy();
      return;
    }
    if (this.#head !== undefined) this.#headIsWhole();
    const { maxRequestsPerConnection } = this.manager.config;
    if (maxRequestsPerConnection > 0 && ++this.#requests === maxRequestsPerConnection) this.#drainItself();
    stream.events = active;
    this.manager.link(active);
    active.start();
  }

  onClose(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#unsentBytes = Number.POSITIVE_INFINITY;
    this.#takenAtMs = this.manager.runtime.nowMs();
    // Our FIN is out; what the peer still sends would make the kernel answer with a reset and cut the last answer off.
    this.#armClose();
  }

  onStreamEnd(): void {
    if (this.activeStreams <= 1) this.#idleSinceMs = this.manager.runtime.nowMs();
    if (this.#flush === undefined && this.#codec!.awaitsWindow) this.#armFlush();
  }

  /**
   * No new requests; closes when the last one under way has its answer. With `patient` an HTTP/1 connection that is idle may bring
   * one more, whose answer says that it is the last: closed just as a request comes, it would lose it. HTTP/2 has GOAWAY for that.
   */
  drain(patient = false): void {
    this.draining = true;
    if (patient && !(this.#codec instanceof Http2ServerConnection) && this.activeStreams === 0) return;
    if (this.#codec === undefined) this.destroy();
    else this.#codec.drain();
  }

  /** As its idle timeout does, were it this long. */
  endIfIdle(timeoutMs: number): void {
    if (this.#closed || this.draining || timeoutMs === 0 || this.activeStreams > 0) return;
    if (this.manager.runtime.nowMs() - this.#idleSinceMs >= timeoutMs) this.#drainItself();
  }

  destroy(): void {
    this.#transport.destroy();
    this.transportClosed('closed by this proxy');
  }

  receive(buffer: Buffer, start: number, end: number): void {
    if (this.#codec === undefined) this.#sniff(buffer, start, end);
    else this.#codec.receive(buffer, start, end);
    if (this.#head === undefined && !this.#closed && this.#headPending) this.#armHead();
  }

  receiveEnd(): void {
    if (this.#codec === undefined) this.destroy();
    else this.#codec.receiveEnd();
    if (this.#closed && this.#transport.writableLength === 0) this.#transport.destroy();
  }

  /** Waits on while a slow peer still takes what was written to it. */
  #closeWhenTaken(): void {
    const { runtime } = this.manager;
    const unsentBytes = this.#transport.writableLength;
    const nowMs = runtime.nowMs();
    if (unsentBytes < this.#unsentBytes) this.#takenAtMs = nowMs;
    this.#unsentBytes = unsentBytes;
    if (unsentBytes === 0 || nowMs - this.#takenAtMs >= STALLED_CLOSE_MS) this.destroy();
    else this.#armClose();
  }

  #armClose(): void {
    const { runtime, config } = this.manager;
    this.#closing = runtime.wheel.arm(Math.max(config.delayedCloseTimeoutMs, SHORTEST_CLOSE_MS), this, Timer.CLOSE);
  }

  get #headPending(): boolean {
    return this.#codec === undefined ? this.#first !== undefined : this.#codec.headPending;
  }

  #armHead(): void {
    const { runtime, config } = this.manager;
    const timeoutMs = config.requestHeadersTimeoutMs || config.streamIdleTimeoutMs;
    if (timeoutMs > 0) this.#head = runtime.wheel.arm(timeoutMs, this, Timer.HEAD);
  }

  /** As Envoy's stream_flush_timeout, which is the stream idle timeout by default. */
  #armFlush(): void {
    const { runtime, config } = this.manager;
    if (config.streamIdleTimeoutMs > 0) this.#flush = runtime.wheel.arm(config.streamIdleTimeoutMs, this, Timer.FLUSH);
  }

  #headIsWhole(): void {
    this.manager.runtime.wheel.cancel(this.#head!);
    this.#head = undefined;
  }

  /** What began and did not come to its end holds the connection no longer. */
  #timeoutHead(): void {
    if (this.#codec === undefined) this.destroy();
    else this.#codec.timeoutHead();
  }

  #drainItself(): void {
    if (this.#drained !== undefined) return;
    const { runtime, config } = this.manager;
    // First, since the codec may close at once.
    this.#drained = runtime.wheel.arm(config.drainTimeoutMs, this, Timer.DRAIN);
    this.drain();
  }

  transportClosed(detail: string): void {
    if (this.#gone) return;
    this.#gone = true;
    this.manager.activeConnections--;
    this.#codec?.transportClosed(detail);
    this.#closed = true;
    const { wheel } = this.manager.runtime;
    this.#keepAlive?.close();
    for (const timer of [this.#idle, this.#maxAge, this.#closing, this.#drained, this.#head, this.#flush]) if (timer !== undefined) wheel.cancel(timer);
    this.#onGone(this);
  }

  transportDrained(): void {
    this.#codec?.transportDrained();
  }

  onTimer(kind: number): void {
    const { runtime, config } = this.manager;
    if (kind === Timer.CLOSE) {
      this.#closing = undefined;
      this.#closeWhenTaken();
    } else if (kind === Timer.MAX_AGE) {
      this.#maxAge = undefined;
      this.#drainItself();
    } else if (kind === Timer.DRAIN) {
      if (!this.#closed) this.#codec?.endDrain();
    } else if (kind === Timer.FLUSH) {
      this.#flush = undefined;
      if (!this.#closed && this.#codec!.resetStalled()) this.#armFlush();
    } else if (kind === Timer.HEAD) {
      this.#head = undefined;
      if (!this.#closed && this.#headPending) this.#timeoutHead();
    } else {
      // Re-armed rather than moved at every request.
      const idleMs = this.activeStreams > 0 ? 0 : runtime.nowMs() - this.#idleSinceMs;
      if (idleMs >= config.idleTimeoutMs) {
        this.#idle = undefined;
        if (this.#headPending) this.#timeoutHead();
        else this.#drainItself();
      } else this.#idle = runtime.wheel.arm(config.idleTimeoutMs - idleMs, this, Timer.IDLE);
    }
  }

  /** h2 with prior knowledge begins with a preface that is no HTTP/1 request. */
  #sniff(buffer: Buffer, start: number, end: number): void {
    const bytes = this.#first === undefined ? buffer.subarray(start, end) : Buffer.concat([this.#first, buffer.subarray(start, end)]);
    const length = Math.min(bytes.length, PREFACE.length);
    const same = bytes.compare(PREFACE, 0, length, 0, length) === 0;
    if (same && length < PREFACE.length) {
      this.#first = Buffer.from(bytes);
      return;
    }
    this.#first = undefined;
    this.#begin(same);
    this.#codec!.receive(bytes, 0, bytes.length);
  }

  #begin(http2: boolean): void {
    const { manager } = this;
    const writer = new TurnWriter(manager.runtime.turn, this.#transport, manager.bufferLimitBytes);
    if (!http2) {
      this.#codec = new Http1ServerConnection(this.#transport, writer, this, manager.http1);
      return;
    }
    manager.stats.http2Connections++;
    const codec = new Http2ServerConnection(this.#transport, writer, this, manager.http2);
    this.#codec = codec;
    const settings = manager.config.http2.keepAlive;
    if (settings === null) return;
    const { wheel, random } = manager.runtime;
    this.#keepAlive = new KeepAlive(
      settings,
      codec,
      wheel,
      () => random.uint32() / 2 ** 32,
      () => this.destroy(),
    );
    codec.keepAlive = this.#keepAlive;
  }
}
