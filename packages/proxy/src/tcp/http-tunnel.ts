import { type Faults, GuardedSink } from '../engine/faults.ts';
import type { ClientStream, RequestHead, ResponseEvents, ResponseHead } from '../http/message.ts';
import type { Transport } from '../http/transport.ts';
import { type ByteSink, SILENT } from '../net/byte-sink.ts';
import { HIGH_WATER_BYTES } from '../net/turn-writer.ts';
import type { AttemptFailure } from '../resilience/retry-policy.ts';
import type { HttpPool, PoolClient } from '../upstream/http-pool.ts';
import type { PooledConnection } from '../upstream/pooled-connection.ts';
import type { UpstreamTransportEvents } from '../upstream/upstream-transport.ts';

const NOTHING = Buffer.alloc(0);

/** A TCP connection's bytes as the content of a CONNECT, or a POST, and its answer (TcpProxy.tunneling_config). */
export class HttpTunnel implements PoolClient, ResponseEvents, Transport {
  readonly #pool: HttpPool;
  readonly #head: RequestHead;
  readonly #events: UpstreamTransportEvents;
  readonly #faults: Faults;
  #client: ClientStream | null = null;
  #sink: ByteSink = SILENT;
  /** The pool has given it a request. */
  #taken = false;
  #open = false;
  #readEnded = false;
  #sendEnded = false;
  #over = false;
  /** Takes no more until `onDrain`. */
  #full = false;
  peerUri = '';
  secure = false;
  localAddress = '';

  constructor(pool: HttpPool, head: RequestHead, faults: Faults, events: UpstreamTransportEvents) {
    this.#pool = pool;
    this.#head = head;
    this.#faults = faults;
    this.#events = events;
  }

  start(): void {
    this.#pool.acquire(this);
  }

  get transport(): Transport {
    return this;
  }

  set sink(sink: ByteSink) {
    this.#sink = new GuardedSink(sink, this.#faults, () => this.destroy());
  }

  onPoolReady(connection: PooledConnection): void {
    this.#taken = true;
    this.peerUri = connection.peerUri;
    this.secure = connection.secure;
    this.localAddress = connection.localAddress;
    this.#client = connection.request(this.#head, false, this);
  }

  onPoolFailure(failure: AttemptFailure, detail: string): void {
    this.#fail(failure === 'connect-timeout', detail);
  }

  onInformational(): void {}

  onResponse(head: ResponseHead, fin: boolean): void {
    if (this.#over) return;
    if (head.status < 200 || head.status > 299) {
      this.#client!.reset('LocalReset');
      this.#fail(false, `the tunnel was answered with ${head.status}`);
      return;
    }
    this.#open = true;
    this.#faults.guard('a tunnel was not opened well', () => this.#events.onOpen());
    if (fin) this.#receivedAll();
  }

  onBody(buffer: Buffer, start: number, end: number, fin: boolean): void {
    if (this.#over) return;
    if (end > start) this.#sink.receive(buffer, start, end);
    if (fin) this.#receivedAll();
  }

  onTrailers(): void {
    this.#receivedAll();
  }

  onReset(_reason: unknown, detail: string): void {
    if (!this.#open) {
      this.#fail(false, detail);
      return;
    }
    this.#end();
    this.#sink.transportClosed(detail);
  }

  onDrain(): void {
    this.#full = false;
    if (!this.#over) this.#sink.transportDrained();
  }

  write(chunk: Buffer): boolean {
    if (this.#over) return true;
    this.#full = !this.#client!.sendBody(chunk, 0, chunk.length, false);
    return !this.#full;
  }

  /** What the stream keeps; what waits in a connection that is full belongs to all its streams, and is enough for each to stop. */
  get writableLength(): number {
    if (this.#over) return 0;
    return this.#client!.bufferedBytes + (this.#full ? HIGH_WATER_BYTES : 0);
  }

  end(): void {
    if (this.#over || this.#sendEnded) return;
    this.#sendEnded = true;
    this.#client!.sendBody(NOTHING, 0, 0, true);
    this.#checkEnd();
  }

  destroy(): void {
    if (this.#over) return;
    this.#client?.reset('LocalReset');
    this.#end();
  }

  /** Gives up before it is open. */
  abort(): void {
    if (this.#over) return;
    if (!this.#taken) this.#pool.cancel(this);
    this.destroy();
  }

  pause(): void {
    if (!this.#over) this.#client!.pause();
  }

  resume(): void {
    if (!this.#over) this.#client!.resume();
  }

  #receivedAll(): void {
    if (this.#over || this.#readEnded) return;
    this.#readEnded = true;
    this.#sink.receiveEnd();
    this.#checkEnd();
  }

  /** Both halves are through. */
  #checkEnd(): void {
    if (this.#over || !this.#readEnded || !this.#sendEnded) return;
    this.#end();
    // Not from within what has ended the second one.
    queueMicrotask(() => this.#sink.transportClosed(''));
  }

  #fail(timeout: boolean, detail: string): void {
    if (this.#over) return;
    this.#end();
    this.#faults.guard('a tunnel that failed', () => this.#events.onOpenFailed(timeout, detail));
  }

  #end(): void {
    this.#over = true;
    if (this.#taken) this.#pool.release();
  }
}
