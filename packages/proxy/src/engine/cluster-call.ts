import type { Cancellable, ClusterAnswer, ClusterRequest } from '../filters/http-filter.ts';
import type { ClientStream, HeaderList, ResetReason, ResponseEvents, ResponseHead } from '../http/message.ts';
import { LbContext } from '../lb/context.ts';
import type { TimerTarget, WheelTimer } from '../net/timer-wheel.ts';
import type { AttemptFailure } from '../resilience/retry-policy.ts';
import type { Cluster } from '../upstream/cluster.ts';
import type { ClusterSet } from '../upstream/cluster-set.ts';
import type { HttpPool, PoolClient } from '../upstream/http-pool.ts';
import type { PooledConnection } from '../upstream/pooled-connection.ts';
import type { UpstreamHost } from '../upstream/upstream-host.ts';
import type { Runtime } from './runtime.ts';

/** A request that the proxy makes for itself: to an authorization service, a key server, a rate limiter. One try. */
export class ClusterCall implements PoolClient, ResponseEvents, TimerTarget, Cancellable {
  readonly #runtime: Runtime;
  readonly #request: ClusterRequest;
  readonly #answer: ClusterAnswer;
  readonly #timer: WheelTimer;
  #host: UpstreamHost | null = null;
  #pool: HttpPool | null = null;
  #waiting = false;
  #client: ClientStream | null = null;
  #head: ResponseHead | null = null;
  readonly #chunks: Buffer[] = [];
  #bytes = 0;
  #over = false;

  constructor(runtime: Runtime, clusters: ClusterSet, request: ClusterRequest, answer: ClusterAnswer) {
    this.#runtime = runtime;
    this.#request = request;
    this.#answer = answer;
    this.#timer = runtime.wheel.arm(request.timeoutMs, this);
    const cluster = clusters.get(request.cluster);
    if (cluster?.warm) this.#start(cluster);
    else
      clusters.ready([request.cluster], request.timeoutMs).then((there) => {
        if (this.#over) return;
        const found = there ? clusters.get(request.cluster) : undefined;
        if (found === undefined) this.#fail(`there is no cluster ${request.cluster}`);
        else this.#start(found);
      });
  }

  #start(cluster: Cluster): void {
    const context = new LbContext();
    context.nowMs = this.#runtime.nowMs();
    const host = cluster.forwardProxy === null ? cluster.pick(context) : null;
    if (host === null) {
      // Not within the caller's own turn: it has not taken hold of what it may cancel.
      queueMicrotask(() => this.#fail(`no healthy endpoint in ${cluster.name}`));
      return;
    }
    this.#host = host;
    host.activeRequests++;
    host.stats.requestTotal++;
    this.#pool = cluster.pool(host, this.#request.http2);
    this.#waiting = true;
    this.#pool.acquire(this);
  }

  onPoolReady(connection: PooledConnection): void {
    if (this.#over) return;
    this.#waiting = false;
    const { head, body } = this.#request;
    this.#client = connection.request(head, body === null, this);
    if (body !== null) this.#client.sendBody(body, 0, body.length, true);
  }

  onPoolFailure(_failure: AttemptFailure, detail: string): void {
    this.#waiting = false;
    this.#pool = null;
    // A pool may say so within `acquire`.
    queueMicrotask(() => this.#fail(detail === '' ? `no connection to ${this.#request.cluster}` : detail));
  }

  onInformational(): void {}
  onDrain(): void {}

  onResponse(head: ResponseHead, fin: boolean): void {
    this.#head = head;
    if (fin) this.#finish([]);
  }

  onBody(buffer: Buffer, start: number, end: number, fin: boolean): void {
    if (this.#over) return;
    this.#bytes += end - start;
    if (this.#bytes > this.#request.maxAnswerBytes) {
      this.#fail(`${this.#request.cluster} answered with more than ${this.#request.maxAnswerBytes} bytes`);
      return;
    }
    if (end > start) this.#chunks.push(Buffer.from(buffer.subarray(start, end)));
    if (fin) this.#finish([]);
  }

  onTrailers(trailers: HeaderList): void {
    this.#finish(trailers);
  }

  onReset(_reason: ResetReason, detail: string): void {
    this.#client = null;
    this.#fail(detail === '' ? `${this.#request.cluster} ended the request` : detail);
  }

  onTimer(): void {
    this.#fail(`${this.#request.cluster} did not answer within ${this.#request.timeoutMs} ms`);
  }

  cancel(): void {
    this.#end();
  }

  #finish(trailers: HeaderList): void {
    if (this.#over) return;
    this.#client = null;
    const body = this.#chunks.length === 1 ? this.#chunks[0]! : Buffer.concat(this.#chunks);
    if (this.#head!.status < 500) this.#host!.stats.requestSuccess++;
    else this.#host!.stats.requestError++;
    this.#end();
    this.#tell(() => this.#answer.onAnswer(this.#head!, body, trailers));
  }

  #fail(detail: string): void {
    if (this.#over) return;
    if (this.#host !== null) this.#host.stats.requestError++;
    this.#end();
    this.#tell(() => this.#answer.onNoAnswer(detail));
  }

  #tell(tell: () => void): void {
    this.#runtime.faults.guard('an answer for a filter was not taken', tell);
  }

  #end(): void {
    if (this.#over) return;
    this.#over = true;
    this.#runtime.wheel.cancel(this.#timer);
    if (this.#host !== null) this.#host.activeRequests--;
    if (this.#waiting) this.#pool!.cancel(this);
    else this.#pool?.release();
    this.#client?.reset('LocalReset');
    this.#client = null;
  }
}
