import type { ClientStream, HeaderList, ResetReason, ResponseEvents, ResponseHead } from '../http/message.ts';
import type { TimerTarget, WheelTimer } from '../net/timer-wheel.ts';
import { GAVE_UP, GAVE_UP_HEADER } from '../resilience/given-up.ts';
import { grpcToHttpStatus } from '../resilience/outlier-detection.ts';
import type { AttemptFailure } from '../resilience/retry-policy.ts';
import { headerValue } from '../routing/headers.ts';
import type { Cluster } from '../upstream/cluster.ts';
import type { HttpPool, PoolClient } from '../upstream/http-pool.ts';
import type { PooledConnection } from '../upstream/pooled-connection.ts';
import { RawTunnel } from '../upstream/raw-tunnel.ts';
import type { UpstreamHost } from '../upstream/upstream-host.ts';
import type { AttemptedStream } from './attempted-stream.ts';
import { IdleClock, type IdleTarget } from './idle-clock.ts';
import { isGrpc } from './local-reply.ts';

/** One try of a request at one endpoint. What comes after it is over is not heard. */
export class UpstreamAttempt implements PoolClient, ResponseEvents, TimerTarget, IdleTarget {
  readonly #stream: AttemptedStream;
  readonly cluster: Cluster;
  readonly host: UpstreamHost;
  #pool: HttpPool | null = null;
  /** Until it is open. */
  #tunnel: RawTunnel | null = null;
  #over = false;
  #perTry: WheelTimer | undefined = undefined;
  #idle: IdleClock | null = null;
  moved = true;
  /** null while it waits for a connection. */
  client: ClientStream | null = null;
  /** Where it was written. */
  localAddress = '';
  peerUri = '';
  secure = false;
  /** The connection had carried a request before: an upstream may have closed it just then. */
  reused = false;
  responseStarted = false;
  /** On it depends whether its endpoint's circuit closes; until it has said something of it. */
  #trial = false;
  /** The answer is gRPC and its status is still to come. */
  #statusAtEnd = false;

  constructor(stream: AttemptedStream, cluster: Cluster, host: UpstreamHost) {
    this.#stream = stream;
    this.cluster = cluster;
    this.host = host;
  }

  start(http2: boolean): void {
    this.#begin();
    this.#pool = this.cluster.pool(this.host, http2, this.#stream.connection.info, this.#stream.highPriority);
    this.#pool.acquire(this);
  }

  /** The payload goes as raw bytes over a connection of its own (CONNECT that ends here). */
  startRaw(): void {
    this.#begin();
    const tunnel = new RawTunnel(
      this.#stream.manager.runtime,
      this.cluster,
      this.cluster.limitsOf(this.#stream.highPriority),
      this.host,
      {
        onOpen: () => {
          if (this.#over) return;
          this.localAddress = tunnel.localAddress;
          this.peerUri = tunnel.peerUri;
          this.secure = tunnel.secure;
          this.#tunnel = null;
          this.client = tunnel;
          this.#stream.onAttached(this);
          tunnel.answer();
        },
        onOpenFailed: (timeout, detail) => this.onPoolFailure(timeout ? 'connect-timeout' : 'connect-failure', detail),
        onOverflow: (detail) => this.onPoolFailure('overflow', detail),
      },
      this,
    );
    this.#tunnel = tunnel;
    tunnel.connect();
  }

  #begin(): void {
    const { host } = this;
    host.activeRequests++;
    host.stats.requestTotal++;
    this.#trial = host.outlier.admitsTrial;
    this.cluster.outlier.onAttempt(host);
  }

  armPerTry(timeoutMs: number): void {
    if (!this.#over && this.#perTry === undefined) this.#perTry = this.#stream.manager.runtime.wheel.arm(timeoutMs, this);
  }

  /** From now on something has to move. */
  armIdle(timeoutMs: number): void {
    this.#idle = new IdleClock(this, this.#stream.manager.runtime.wheel, timeoutMs);
  }

  // ---- ways in: what throws behind them ends this request alone ----

  onPoolReady(connection: PooledConnection): void {
    if (this.#over) return;
    try {
      this.#ready(connection);
    } catch (error) {
      this.#stream.fail(error);
    }
  }

  #ready(connection: PooledConnection): void {
    this.reused = connection.requests > 0;
    this.localAddress = connection.localAddress;
    this.peerUri = connection.peerUri;
    this.secure = connection.secure;
    const stream = this.#stream;
    this.client = connection.request(stream.head, stream.upstreamFin, this);
    stream.onAttached(this);
  }

  onPoolFailure(failure: AttemptFailure, detail: string): void {
    if (this.#over) return;
    // The pool holds nothing of ours any more.
    this.#pool = null;
    try {
      this.#stream.onAttemptFailed(this, failure, detail);
    } catch (error) {
      this.#stream.fail(error);
    }
  }

  onInformational(head: ResponseHead): void {
    if (this.#over) return;
    try {
      this.#stream.onUpstreamInformational(head);
    } catch (error) {
      this.#stream.fail(error);
    }
  }

  onResponse(head: ResponseHead, fin: boolean): void {
    if (this.#over) return;
    this.responseStarted = true;
    this.moved = true;
    try {
      this.#stream.onUpstreamHead(this, head, fin);
    } catch (error) {
      this.#stream.fail(error);
    }
  }

  onBody(buffer: Buffer, start: number, end: number, fin: boolean): void {
    if (this.#over) return;
    this.moved = true;
    try {
      this.#stream.onUpstreamBody(buffer, start, end, fin);
    } catch (error) {
      this.#stream.fail(error);
    }
  }

  onTrailers(trailers: HeaderList): void {
    if (this.#over) return;
    try {
      this.#stream.onUpstreamTrailers(trailers);
    } catch (error) {
      this.#stream.fail(error);
    }
  }

  onReset(reason: ResetReason, detail: string): void {
    if (this.#over) return;
    this.client = null;
    try {
      this.#stream.onUpstreamReset(this, reason, detail);
    } catch (error) {
      this.#stream.fail(error);
    }
  }

  onDrain(): void {
    if (this.#over) return;
    try {
      this.#stream.onUpstreamDrain();
    } catch (error) {
      this.#stream.fail(error);
    }
  }

  // ---- what it says of its endpoint ----

  judgeHead(head: ResponseHead, fin: boolean, nowMs: number): void {
    const { host } = this;
    const { outlier } = this.cluster;
    if (head.status < 500) host.stats.requestSuccess++;
    else host.stats.requestError++;
    if (host.active !== null && headerValue(head.headers, 'x-envoy-immediate-health-check-fail') !== undefined) this.cluster.checker!.failAtOnce(host);
    // The failure is one further down, where a circuit of its own opens: this endpoint only passes it on.
    if (head.status >= 500 && headerValue(head.headers, GAVE_UP_HEADER) === GAVE_UP) return;
    this.#trial = false;
    const grpcStatus = fin ? headerValue(head.headers, 'grpc-status') : undefined;
    this.#statusAtEnd = !fin && head.status === 200 && isGrpc(head.headers);
    if (this.#statusAtEnd) outlier.onGrpcHead(host);
    else outlier.onResponse(host, grpcStatus === undefined ? head.status : grpcToHttpStatus(Number(grpcStatus)), nowMs);
  }

  judgeTrailers(trailers: HeaderList, nowMs: number): void {
    const grpcStatus = this.#statusAtEnd ? headerValue(trailers, 'grpc-status') : undefined;
    if (grpcStatus !== undefined) this.cluster.outlier.onResponse(this.host, grpcToHttpStatus(Number(grpcStatus)), nowMs);
  }

  judgeFailure(failure: AttemptFailure, nowMs: number): void {
    const { host } = this;
    const { outlier } = this.cluster;
    host.stats.requestError++;
    const timeout = failure === 'per-try-timeout' || failure === 'per-try-idle-timeout';
    if (timeout) host.stats.requestTimeout++;
    // A limit of ours: nothing of it is the endpoint's.
    if (failure === 'overflow') return;
    this.#trial = false;
    if (failure === 'connect-failure' || failure === 'connect-timeout') outlier.onLocalOriginFailure(host, failure, nowMs);
    else outlier.onLocalOriginFailure(host, timeout ? 'timeout' : 'reset', nowMs);
  }

  /** The answer had begun. */
  judgeLateReset(nowMs: number): void {
    this.cluster.outlier.onLocalOriginFailure(this.host, 'reset', nowMs);
  }

  /** The request's time is over, whoever used it up; an endpoint that has begun to answer is not blamed. */
  judgeTimeout(nowMs: number): void {
    if (this.responseStarted) return;
    this.#trial = false;
    this.host.stats.requestTimeout++;
    this.cluster.outlier.onLocalOriginFailure(this.host, 'timeout', nowMs);
  }

  onTimer(): void {
    this.#perTry = undefined;
    try {
      this.#stream.onPerTryTimeout(this);
    } catch (error) {
      this.#stream.fail(error);
    }
  }

  onIdle(): void {
    try {
      this.#stream.onPerTryIdle(this);
    } catch (error) {
      this.#stream.fail(error);
    }
  }

  /** Ends it: the answer was whole, or is not wanted any more. `clean`: the exchange is over by itself. */
  finish(clean: boolean): void {
    if (this.#over) return;
    this.#over = true;
    this.host.activeRequests--;
    const { wheel } = this.#stream.manager.runtime;
    if (this.#perTry !== undefined) wheel.cancel(this.#perTry);
    this.#perTry = undefined;
    this.#idle?.cancel();
    const pool = this.#pool;
    const client = this.client;
    this.#pool = null;
    this.client = null;
    if (client === null && pool !== null && !this.#attached) pool.cancel(this);
    else pool?.release();
    if (!clean) client?.reset('LocalReset');
    this.#tunnel?.reset('LocalReset');
    // Without a word about its endpoint: if it was a trial, the next one is.
    if (this.#trial) this.cluster.outlier.onAttemptCancelled(this.host);
  }

  /** Whether it got a connection at all. */
  #attached = false;
  markAttached(): void {
    this.#attached = true;
  }
}
