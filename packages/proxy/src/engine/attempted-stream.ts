import { ResponseFlag } from '@outrigger/telemetry';
import type { HeaderList, RequestHead, ResetReason, ResponseHead, ServerStream } from '../http/message.ts';
import type { LbContext } from '../lb/context.ts';
import type { HttpConnection } from '../listener/http-connection.ts';
import type { WheelTimer } from '../net/timer-wheel.ts';
import { NO_RETRIES } from '../resilience/compile-retry.ts';
import { heedRetryHeaders } from '../resilience/retry-headers.ts';
import { type AttemptFailure, isIdempotent, type RetryPolicy, RetryState } from '../resilience/retry-policy.ts';
import { removeHeader, setHeader } from '../routing/headers.ts';
import type { RouteEntry } from '../routing/route-entry.ts';
import type { Cluster } from '../upstream/cluster.ts';
import type { UpstreamHost } from '../upstream/upstream-host.ts';
import { failureAnswer, failureOf, flagOfFailure, flagOfLateReset } from './attempt-failures.ts';
import { hashContext, pickEndpoint } from './endpoint-choice.ts';
import { RequestContent } from './request-content.ts';
import { passOnTimeout } from './route-timeout.ts';
import { RoutedStream } from './routed-stream.ts';
import { UpstreamAttempt } from './upstream-attempt.ts';

/** Kind of the timer that the next attempt waits for. */
export const NEXT_ATTEMPT = 2;

const NOWHERE: ReadonlySet<string> = new Set();

/** A request at its cluster: attempts at endpoints, one after another or, where the route hedges, side by side. */
export abstract class AttemptedStream extends RoutedStream {
  protected readonly content: RequestContent;
  protected lb: LbContext | null = null;
  /** The latest. */
  protected attempt: UpstreamAttempt | null = null;
  protected connectTimedOut = false;
  /** When the caller's own time is over, monotonic; 0: whenever. */
  protected deadlineMs = 0;
  protected gaveUp = false;
  /** Their time was over, and they may answer all the same (hedge_on_per_try_timeout). */
  #hedged: UpstreamAttempt[] | null = null;
  #retry: RetryState | null = null;
  #tried: UpstreamHost[] | null = null;
  #raw = false;
  #policy: RetryPolicy = NO_RETRIES;
  #hedges = false;
  /** Of the whole request, by its caller, ms; 0: none; -1: the route's. */
  protected askedTimeoutMs = -1;
  #replayed = false;
  /** Redirects that were followed here, and the names of the routes that they led to. */
  #redirects = 0;
  #redirectedTo: ReadonlySet<string> = NOWHERE;
  #nextAttempt: WheelTimer | undefined = undefined;

  constructor(connection: HttpConnection, stream: ServerStream, head: RequestHead, fin: boolean) {
    super(connection, head);
    const { bufferLimitBytes, runtime } = connection.manager;
    this.content = new RequestContent(stream, fin, bufferLimitBytes, runtime.overload, runtime.turn.slabs);
  }

  abstract reply(status: number, body: string, details: string, flags: number, headers?: HeaderList): void;
  /** This answer is the one that the downstream gets. */
  protected abstract commit(head: ResponseHead, fin: boolean): void;
  /** Ends an answer that has begun. */
  protected abstract cut(reason: ResetReason): void;
  protected abstract cancelTimers(): void;
  abstract onUpstreamBody(buffer: Buffer, start: number, end: number, fin: boolean): void;
  abstract onUpstreamTrailers(trailers: HeaderList): void;
  abstract onUpstreamInformational(head: ResponseHead): void;

  get headIsAll(): boolean {
    return this.content.headIsAll;
  }

  /** Before the first attempt. */
  protected beginAttempts(route: RouteEntry, tunnel: boolean): void {
    const { head } = this;
    this.#raw = head.method === 'CONNECT' && route.fields.connectTerminates;
    this.#policy = route.retry;
    this.#hedges = route.fields.hedgeOnPerTryTimeout;
    if (this.internal) {
      const { policy, timeoutMs, hedges } = heedRetryHeaders(head.headers, route.retry);
      this.#policy = policy;
      this.askedTimeoutMs = timeoutMs;
      if (hedges) this.#hedges = true;
    }
    this.#retry = this.#policy.appliesTo(head) && !tunnel ? new RetryState(this.#policy) : null;
    this.lb = hashContext(this, route);
  }

  protected firstAttempt(cluster: Cluster): void {
    if (cluster.forwardProxy !== null) this.#resolveForward(cluster);
    else this.#tryHost(pickEndpoint(this, this.route!, cluster, this.lb, this.#tried, this.choice?.subset ?? null));
  }

  #resolveForward(cluster: Cluster): void {
    const port = this.head.scheme === 'https' ? 443 : 80;
    cluster.forwardProxy!.resolve(this.head.authority, port, (host, error) => this.#resolved(host, error));
  }

  #resolved(host: UpstreamHost | null, error: string): void {
    if (this.over) return;
    try {
      if (host === null) {
        this.upstreamTransportFailureReason = error;
        this.reply(503, 'DNS resolution failure', `dns_resolution_failure{${error}}`, ResponseFlag.dnsResolutionFailed);
      } else this.#tryHost(host);
    } catch (mistake) {
      this.fail(mistake);
    }
  }

  #tryHost(host: UpstreamHost | null): void {
    const cluster = this.cluster!;
    if (host === null) {
      if (this.#othersMayAnswer) return;
      // With every endpoint's circuit open nobody further up need try again.
      if (cluster.outlier.ejected > 0) this.gaveUp = true;
      this.reply(503, 'no healthy upstream', 'no_healthy_upstream', ResponseFlag.noHealthyUpstream);
      return;
    }
    this.endpoint = host;
    this.upstreamRequestAttemptCount++;
    const route = this.route!;
    if (route.fields.rewrite.autoHost && host.endpoint.hostname !== '') this.head.authority = host.endpoint.hostname;
    if (route.fields.includeRequestAttemptCount) setHeader(this.head.headers, 'x-envoy-attempt-count', String(this.upstreamRequestAttemptCount));
    if (this.deadlineMs > 0) passOnTimeout(this.head, this.deadlineMs - this.manager.runtime.nowMs());
    const attempt = new UpstreamAttempt(this, cluster, host);
    this.attempt = attempt;
    if (this.content.ended) this.#armTry(attempt);
    if (route.retry.perTryIdleTimeoutMs > 0) attempt.armIdle(route.retry.perTryIdleTimeoutMs);
    if (this.#raw) attempt.startRaw();
    else attempt.start(cluster.usesHttp2(this.head.version));
  }

  #armTry(attempt: UpstreamAttempt): void {
    const { perTryTimeoutMs } = this.#policy;
    if (perTryTimeoutMs > 0) attempt.armPerTry(perTryTimeoutMs);
  }

  /** On a retry: whether it is one because the time of the attempt before was over (include_is_timeout_retry_header). */
  #sayWhy(timeout: boolean): void {
    if (this.route!.fields.includeIsTimeoutRetry) setHeader(this.head.headers, 'x-envoy-is-timeout-retry', timeout ? 'true' : 'false');
  }

  /** The request is whole: the time of an attempt runs from here. */
  protected requestIsWhole(): void {
    if (this.attempt !== null) this.#armTry(this.attempt);
  }

  /** Whether the head that goes upstream is all of the request. */
  get upstreamFin(): boolean {
    return this.content.headIsAll;
  }

  /** A connection took the head: what is kept of the content follows. */
  onAttached(attempt: UpstreamAttempt): void {
    attempt.markAttached();
    this.upstreamLocalAddress = attempt.localAddress;
    this.upstreamPeerUri = attempt.peerUri;
    this.upstreamSecure = attempt.secure;
    if (attempt.client !== null) this.content.sendTo(attempt.client);
  }

  onUpstreamDrain(): void {
    if (!this.over) this.content.resume();
  }

  onUpstreamHead(attempt: UpstreamAttempt, head: ResponseHead, fin: boolean): void {
    this.moved = true;
    const { runtime } = this.manager;
    const nowMs = runtime.nowMs();
    attempt.judgeHead(head, fin, nowMs);
    if (this.#retry !== null && !this.#accepts(attempt, head)) return;
    if (this.route!.fields.internalRedirect !== null && this.#follows(head)) return;
    this.responseStartMs = nowMs;
    this.responseCodeDetails = 'via_upstream';
    this.#keepOnly(attempt);
    this.commit(head, fin);
  }

  /** The upstream sends the request elsewhere, and that is done here. */
  #follows(response: ResponseHead): boolean {
    const policy = this.route!.fields.internalRedirect!;
    const { head, content } = this;
    const target = policy.targetOf(head, response, this.#redirects);
    // What a filter has made of the content is not what the next one is to see.
    if (target === null || !content.ended || !content.replayable || this.changesRequest) return false;
    const original = `${head.scheme}://${head.authority}${head.path}`;
    const next = { ...head, ...target, headers: [...head.headers] };
    policy.copyHeaders(next.headers, response);
    const route = this.routeFor(next);
    if (route === null || !policy.acceptsRoute(route.name, this.#redirectedTo)) return false;
    if (this.#redirects === 0) this.#redirectedTo = new Set();
    (this.#redirectedTo as Set<string>).add(route.name);
    this.#redirects++;
    const { chunks, trailers } = content.rewind();
    const drop = response.status === 303 && head.method !== 'GET' && head.method !== 'HEAD';
    Object.assign(head, next);
    if (drop) {
      head.method = 'GET';
      head.bodyLength = 0;
      removeHeader(head.headers, 'content-length');
      content.ended = true;
    }
    setHeader(head.headers, 'x-envoy-original-url', original);
    this.#startAnew();
    if (!drop) this.#comeAgain(chunks, trailers);
    return true;
  }

  #startAnew(): void {
    this.endAttempts(false);
    this.releaseRetry();
    this.#tried = null;
    this.#replayed = false;
    this.upstreamRequestAttemptCount = 0;
    this.responseFlags = 0;
    this.cluster = null;
    this.choice = null;
    this.endpoint = null;
    this.cancelTimers();
    this.restartFilters();
    this.matchRoute();
  }

  #comeAgain(chunks: readonly Buffer[], trailers: HeaderList | null): void {
    const last = chunks.length - 1;
    for (let i = 0; i <= last; i++) {
      this.bytesReceived -= chunks[i]!.length;
      this.body(chunks[i]!, 0, chunks[i]!.length, i === last && trailers === null);
    }
    if (trailers !== null) this.trailers(trailers);
  }

  /** False: another attempt is to answer instead. */
  #accepts(attempt: UpstreamAttempt, head: ResponseHead): boolean {
    const retry = this.#retry!;
    const { runtime } = this.manager;
    const late = attempt !== this.attempt;
    const verdict = late ? (retry.policy.retriesResponse(this.head, head) ? 'spent' : 'no') : retry.onResponse(this.head, head);
    if (verdict === 'no') return true;
    if (verdict === 'retry' && this.#mayRetry()) {
      this.#scheduleRetry(attempt, retry.policy.requestedDelayMs(head, runtime.unixMs()));
      return false;
    }
    if (this.#leaves(attempt)) return false;
    this.responseFlags |= ResponseFlag.upstreamRetryLimitExceeded;
    this.gaveUp = true;
    return true;
  }

  /** Ends an attempt that has failed where another one is under way, or to come. */
  #leaves(attempt: UpstreamAttempt): boolean {
    const hedged = this.#hedged;
    if (hedged === null) return false;
    if (attempt === this.attempt) this.attempt = null;
    else hedged.splice(hedged.indexOf(attempt), 1);
    if (this.attempt === null && !this.#othersMayAnswer) {
      this.attempt = attempt;
      return false;
    }
    attempt.finish(false);
    return true;
  }

  /** Attempts but the latest, or one that is to come. */
  get #othersMayAnswer(): boolean {
    return this.#nextAttempt !== undefined || (this.#hedged !== null && this.#hedged.length > 0);
  }

  /** The others are not wanted any more. */
  #keepOnly(attempt: UpstreamAttempt): void {
    const hedged = this.#hedged;
    if (hedged === null) return;
    this.#hedged = null;
    if (this.attempt !== null && this.attempt !== attempt) this.attempt.finish(false);
    for (const other of hedged) if (other !== attempt) other.finish(false);
    this.attempt = attempt;
    this.endpoint = attempt.host;
  }

  get highPriority(): boolean {
    return this.route!.fields.highPriority;
  }

  /** Whether the content is still there, and the budget allows one more. */
  #mayRetry(): boolean {
    if (!this.content.replayable) return false;
    if (this.#retry!.hold(this.cluster!.limitsOf(this.highPriority))) return true;
    this.responseFlags |= ResponseFlag.upstreamOverflow;
    return false;
  }

  #scheduleRetry(attempt: UpstreamAttempt, requestedMs: number, timeout = false): void {
    this.attempt = null;
    attempt.finish(false);
    this.#sayWhy(timeout);
    this.#armRetry(attempt, requestedMs);
  }

  #armRetry(attempt: UpstreamAttempt, requestedMs: number): void {
    this.#tried ??= [];
    this.#tried.push(attempt.host);
    const { runtime } = this.manager;
    const delayMs = requestedMs >= 0 ? requestedMs : this.#retry!.policy.backoffMs(this.#retry!.retries, runtime.random);
    this.#nextAttempt = runtime.wheel.arm(delayMs, this, NEXT_ATTEMPT);
  }

  protected tryAgain(): void {
    this.#nextAttempt = undefined;
    const cluster = this.cluster!;
    if (cluster.forwardProxy !== null) this.#tryHost(this.endpoint);
    else this.#tryHost(pickEndpoint(this, this.route!, cluster, this.lb, this.#tried, this.choice?.subset ?? null));
  }

  onUpstreamReset(attempt: UpstreamAttempt, reason: ResetReason, detail: string): void {
    if (this.response !== null) {
      this.responseFlags |= flagOfLateReset(reason);
      this.responseCodeDetails = `upstream_reset_after_response_started{${detail === '' ? reason : detail}}`;
      attempt.judgeLateReset(this.manager.runtime.nowMs());
      this.cut(reason === 'ProtocolError' ? 'ProtocolError' : 'RemoteReset');
      return;
    }
    // A keep-alive connection that its upstream closed just as the request was written: not the endpoint's fault, and not a retry.
    if (
      attempt.reused &&
      attempt === this.attempt &&
      !attempt.responseStarted &&
      reason === 'ConnectionTermination' &&
      !this.#replayed &&
      this.content.replayable &&
      isIdempotent(this.head)
    ) {
      this.#replayed = true;
      this.attempt = null;
      attempt.finish(true);
      this.#tryHost(attempt.host);
      return;
    }
    this.onAttemptFailed(attempt, failureOf(reason), detail, reason === 'RemoteReset' ? ResponseFlag.upstreamRemoteReset : 0);
  }

  onPerTryTimeout(attempt: UpstreamAttempt): void {
    if (this.over || this.response !== null || attempt !== this.attempt) return;
    if (this.#hedges) this.#hedge(attempt);
    else this.onAttemptFailed(attempt, 'per-try-timeout', '');
  }

  onPerTryIdle(attempt: UpstreamAttempt): void {
    if (this.over) return;
    if (this.response === null) {
      this.onAttemptFailed(attempt, 'per-try-idle-timeout', '');
      return;
    }
    this.responseFlags |= ResponseFlag.upstreamRequestTimeout;
    this.responseCodeDetails = 'upstream_per_try_idle_timeout';
    this.cut('LocalReset');
  }

  /** Another attempt is made beside this one; without a retry that is left this one goes on alone. */
  #hedge(attempt: UpstreamAttempt): void {
    attempt.judgeTimeout(this.manager.runtime.nowMs());
    const retry = this.#retry;
    if (retry === null) return;
    if (!retry.onHedge()) {
      this.responseFlags |= ResponseFlag.upstreamRetryLimitExceeded;
      return;
    }
    if (!this.#mayRetry()) return;
    this.#hedged ??= [];
    this.#hedged.push(attempt);
    this.attempt = null;
    this.#sayWhy(true);
    this.#armRetry(attempt, -1);
  }

  onAttemptFailed(attempt: UpstreamAttempt, failure: AttemptFailure, detail: string, otherFlag = 0): void {
    if (this.over) return;
    attempt.judgeFailure(failure, this.manager.runtime.nowMs());
    this.upstreamTransportFailureReason = detail;
    this.connectTimedOut = failure === 'connect-timeout';
    let flags = otherFlag === 0 ? flagOfFailure(failure) : otherFlag;
    if (this.#retry !== null) {
      const verdict = attempt === this.attempt ? this.#retry.onFailure(this.head, failure) : 'spent';
      // A connection that was refused has cost nobody anything: the budget is for tries that may be work.
      if (verdict === 'retry' && (failure === 'connect-failure' ? this.content.replayable : this.#mayRetry())) {
        this.#scheduleRetry(attempt, -1, failure === 'per-try-timeout' || failure === 'per-try-idle-timeout');
        return;
      }
      if (this.#leaves(attempt)) return;
      if (verdict !== 'no') {
        flags |= ResponseFlag.upstreamRetryLimitExceeded;
        this.gaveUp = true;
      }
    }
    this.attempt = null;
    attempt.finish(false);
    const answer = failureAnswer(failure, detail, otherFlag === ResponseFlag.upstreamRemoteReset);
    this.reply(answer.status, answer.body, answer.details, flags);
  }

  /** The request's time is over, whoever used it up. */
  protected judgeTimeout(): void {
    const nowMs = this.manager.runtime.nowMs();
    this.attempt?.judgeTimeout(nowMs);
  }

  protected cancelNextAttempt(): void {
    if (this.#nextAttempt !== undefined) this.manager.runtime.wheel.cancel(this.#nextAttempt);
    this.#nextAttempt = undefined;
  }

  /** Nothing is asked of an upstream any more. `clean`: the exchange is over by itself. */
  protected endAttempts(clean: boolean): void {
    const { attempt } = this;
    const hedged = this.#hedged;
    this.attempt = null;
    this.#hedged = null;
    attempt?.finish(clean);
    if (hedged !== null) for (const other of hedged) other.finish(false);
  }

  protected releaseRetry(): void {
    this.#retry?.release();
  }
}
