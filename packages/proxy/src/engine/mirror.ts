import { type ClientStream, type HeaderList, RequestHead, type ResponseEvents, type ResponseHead } from '../http/message.ts';
import { LbContext } from '../lb/context.ts';
import type { TimerTarget, TimerWheel, WheelTimer } from '../net/timer-wheel.ts';
import { headerValue } from '../routing/headers.ts';
import type { MirrorPolicy } from '../routing/mirror.ts';
import type { Cluster } from '../upstream/cluster.ts';
import type { HttpPool, PoolClient } from '../upstream/http-pool.ts';
import type { PooledConnection } from '../upstream/pooled-connection.ts';
import type { UpstreamHost } from '../upstream/upstream-host.ts';
import type { HttpManager } from './http-manager.ts';
import type { RequestContent } from './request-content.ts';
import type { StreamRecord } from './stream-record.ts';

/** A copy of a request on a route without a timeout is given up after it, ms (Envoy's default of a route's timeout). */
const MIRROR_TIMEOUT_MS = 15_000;

/** Copies under way may keep so much content; a request beyond it is not mirrored. */
const MAX_MIRRORED_BYTES = 16 * 1024 * 1024;

/**
 * Sends copies of a request that is whole where request_mirror_policies say. What is too long to be kept is not mirrored, and
 * where a copy goes nothing is waited for: the request itself never notices.
 */
export function mirrorRequest(stream: StreamRecord, content: RequestContent): void {
  const chunks = content.whole;
  if (chunks === null) return;
  const { runtime, clusters } = stream.manager;
  const { bufferedBytes } = content;
  for (const policy of stream.route!.fields.mirrors) {
    if (!policy.fraction.holds(runtime.random.uint32())) continue;
    const cluster = clusters.get(policy.clusterHeader === '' ? policy.cluster : (headerValue(stream.head.headers, policy.clusterHeader) ?? ''));
    if (stream.manager.mirroredBytes + bufferedBytes > MAX_MIRRORED_BYTES) continue;
    if (cluster === undefined || !cluster.warm || cluster.forwardProxy !== null) continue;
    const context = new LbContext();
    context.nowMs = runtime.nowMs();
    const host = cluster.pick(context);
    if (host !== null) new MirroredRequest(stream, cluster, host, copyOf(stream.head, policy), chunks, bufferedBytes, content.trailers).start();
  }
}

function copyOf(head: RequestHead, policy: MirrorPolicy): RequestHead {
  const copy = Object.assign(new RequestHead(), head);
  copy.headers = [...head.headers];
  // "shop:8080" becomes "shop-shadow:8080".
  if (policy.appendShadowSuffix) copy.authority = head.authority.replace(/(:\d+)?$/, '-shadow$1');
  return copy;
}

/** One copy. It counts for its cluster as any request does; of its answer nothing is kept and nothing concluded. */
class MirroredRequest implements PoolClient, ResponseEvents, TimerTarget {
  readonly #wheel: TimerWheel;
  readonly #manager: HttpManager;
  readonly #bytes: number;
  readonly #host: UpstreamHost;
  readonly #head: RequestHead;
  readonly #chunks: readonly Buffer[];
  readonly #trailers: HeaderList | null;
  readonly #pool: HttpPool;
  readonly #timer: WheelTimer;
  #client: ClientStream | null = null;
  #waiting = true;
  #over = false;

  constructor(
    stream: StreamRecord,
    cluster: Cluster,
    host: UpstreamHost,
    head: RequestHead,
    chunks: readonly Buffer[],
    bytes: number,
    trailers: HeaderList | null,
  ) {
    this.#manager = stream.manager;
    this.#bytes = bytes;
    const { wheel } = stream.manager.runtime;
    const { protocol } = cluster.config.http;
    this.#wheel = wheel;
    this.#host = host;
    this.#head = head;
    this.#chunks = chunks;
    this.#trailers = trailers;
    this.#pool = cluster.pool(host, protocol === 'http2' || (protocol === 'downstream' && head.version === 20));
    this.#timer = wheel.arm(stream.route!.timeoutMs > 0 ? stream.route!.timeoutMs : MIRROR_TIMEOUT_MS, this);
  }

  start(): void {
    this.#manager.mirroredBytes += this.#bytes;
    this.#host.activeRequests++;
    this.#host.stats.requestTotal++;
    this.#pool.acquire(this);
  }

  onPoolReady(connection: PooledConnection): void {
    this.#waiting = false;
    const last = this.#chunks.length - 1;
    const client = connection.request(this.#head, last < 0 && this.#trailers === null, this);
    this.#client = client;
    for (let i = 0; i <= last; i++) client.sendBody(this.#chunks[i]!, 0, this.#chunks[i]!.length, i === last && this.#trailers === null);
    if (this.#trailers !== null) client.sendTrailers(this.#trailers);
  }

  onPoolFailure(): void {
    this.#waiting = false;
    this.#finish(false);
  }

  onInformational(): void {}

  onResponse(_head: ResponseHead, fin: boolean): void {
    if (fin) this.#finish(true);
  }

  onBody(_buffer: Buffer, _start: number, _end: number, fin: boolean): void {
    if (fin) this.#finish(true);
  }

  onTrailers(): void {
    this.#finish(true);
  }

  onReset(): void {
    this.#finish(true);
  }

  onDrain(): void {}

  onTimer(): void {
    if (this.#waiting) this.#pool.cancel(this);
    this.#finish(true);
    this.#client?.reset('LocalReset');
  }

  /** `taken`: the pool has given it a request. */
  #finish(taken: boolean): void {
    if (this.#over) return;
    this.#over = true;
    this.#wheel.cancel(this.#timer);
    this.#manager.mirroredBytes -= this.#bytes;
    this.#host.activeRequests--;
    if (taken && !this.#waiting) this.#pool.release();
  }
}
