import { ResponseFlag } from '@outrigger/telemetry';
import type { Answer, Refusal } from '../filters/http-filter.ts';
import { PEER_HEADER } from '../filters/peer.ts';
import type { HeaderList, RequestHead, ResetReason, ResponseHead, ServerStream } from '../http/message.ts';
import type { LbContext } from '../lb/context.ts';
import type { HttpConnection } from '../listener/http-connection.ts';
import type { WheelTimer } from '../net/timer-wheel.ts';
import { type AttemptFailure, isIdempotent, RetryState } from '../resilience/retry-policy.ts';
import { headerValue, setHeader } from '../routing/headers.ts';
import type { RouteEntry } from '../routing/route-entry.ts';
import type { Cluster } from '../upstream/cluster.ts';
import type { UpstreamHost } from '../upstream/upstream-host.ts';
import { failureAnswer, failureOf, flagOfFailure, flagOfLateReset } from './attempt-failures.ts';
import { hashContext, pickEndpoint } from './endpoint-choice.ts';
import { FILTER_DELAY, NO_ROUTE } from './filtered-stream.ts';
import { addReplyHeaders, directReplyHead, localReplyHead, routeAnswer } from './local-reply.ts';
import { mirrorRequest } from './mirror.ts';
import { proxyStatus } from './proxy-status.ts';
import { RequestContent } from './request-content.ts';
import { enterRequest, enterTrace, requestIdOf } from './request-entry.ts';
import { finalizeResponse, leaveResponse, markGivenUp } from './response-entry.ts';
import { routeTimeoutMs } from './route-timeout.ts';
import { CONFIG_WAIT, RoutedStream } from './routed-stream.ts';
import { allowsUpgrade } from './upgrades.ts';
import { UpstreamAttempt } from './upstream-attempt.ts';

/**
 * A websocket whose one side has ended is over (RFC 6455 closes by frames, not by halves of a connection), and the other side may
 * never hear of it: an Envoy in between passes no half-closed upgrade on.
 */
const WEBSOCKET_CLOSE_TIMEOUT_MS = 2_000;
const NOTHING = Buffer.alloc(0);
/** An upstream's answer is signed too where this proxy would have tried again and could not. */
const SIGNED_FLAGS = ResponseFlag.upstreamRetryLimitExceeded | ResponseFlag.upstreamOverflow;

const Timer = { ROUTE: 1, RETRY: 2, DURATION: 4, REQUEST: 6, HALF_CLOSED: 7 } as const;
/** Who holds the answer's source back: the downstream that takes no more, a transform that has enough. */
const Held = { DOWNSTREAM: 1, TRANSFORM: 2 } as const;

/**
 * One request from its head to the last byte of its answer. One shape for all; no closure, no promise (bench: npm run bench, pair-mtls-1k).
 */
export class ActiveStream extends RoutedStream {
  readonly #stream: ServerStream;
  readonly #content: RequestContent;
  /** Kept by the manager. */
  previous: ActiveStream | null = null;
  next: ActiveStream | null = null;
  moved = true;
  idleSteps = 0;

  #replayed = false;
  #retry: RetryState | null = null;
  #tried: UpstreamHost[] | null = null;
  #lb: LbContext | null = null;
  #attempt: UpstreamAttempt | null = null;
  #raw = false;
  #connectTimedOut = false;
  #gaveUp = false;

  /** Of the route; until the request is whole, of the whole request. */
  #routeTimer: WheelTimer | undefined = undefined;
  #durationTimer: WheelTimer | undefined = undefined;
  /** Of the next attempt, or of a tunnel's other half. */
  #waitTimer: WheelTimer | undefined = undefined;

  #tunnel = false;
  #responseEnded = false;
  #held = 0;
  #done = false;

  constructor(connection: HttpConnection, stream: ServerStream, head: RequestHead, fin: boolean) {
    super(connection, head);
    this.#stream = stream;
    this.#content = new RequestContent(stream, fin, connection.manager.bufferLimitBytes);
    if (fin) this.requestEndMs = this.startMs;
  }

  /** From the head to the route. */
  protected begin(): void {
    const { manager, head } = this;
    const entry = enterRequest(manager, this.connection.info, head);
    this.requestId = requestIdOf(manager, this.connection.info, head);
    if (manager.config.tracing !== undefined) this.trace = enterTrace(manager, head);
    if (manager.direction === 'inbound' && this.connection.info.mutual) this.sourcePeer = headerValue(head.headers, PEER_HEADER) ?? '';
    if (manager.config.requestTimeoutMs > 0 && !this.#content.ended)
      this.#routeTimer = manager.runtime.wheel.arm(manager.config.requestTimeoutMs, this, Timer.REQUEST);
    if (manager.config.maxStreamDurationMs > 0) this.#durationTimer = manager.runtime.wheel.arm(manager.config.maxStreamDurationMs, this, Timer.DURATION);
    if (entry.kind === 'refuse') this.reply(entry.status, '', entry.details, 0);
    else if (entry.kind === 'redirect') this.#direct(307, ['location', entry.path], NOTHING, 'direct_response');
    else this.matchRoute();
  }

  protected filtered(): void {
    if (this.route === null) this.refused(NO_ROUTE);
    else this.#act(this.route);
  }

  protected refused({ status, body, details, flag, headers }: Refusal): void {
    this.reply(status, body, details, flag, headers);
  }

  protected answered({ status, headers, body, details }: Answer): void {
    this.#direct(status, headers, body ?? NOTHING, details);
  }

  protected get over(): boolean {
    return this.#done;
  }

  get headIsAll(): boolean {
    return this.#content.headIsAll;
  }

  #act(route: RouteEntry): void {
    const { head } = this;
    if (route.kind !== 'forward') {
      const answer = routeAnswer(route, head);
      if (answer === null) this.refused(NO_ROUTE);
      else this.#direct(answer.status, answer.headers, answer.body, 'direct_response');
      return;
    }
    if ((head.protocol !== '' || head.method === 'CONNECT') && !allowsUpgrade(this, route)) {
      this.reply(403, '', 'upgrade_failed', 0);
      return;
    }
    this.#raw = head.method === 'CONNECT' && route.fields.connectTerminates;
    this.choice = route.pickCluster(head, this.dice);
    this.toCluster(this.choice.clusterName(head));
  }

  protected clusterMissing(): void {
    this.reply(this.route!.fields.clusterNotFoundStatus, '', 'cluster_not_found', ResponseFlag.noClusterFound);
  }

  protected forward(cluster: Cluster): void {
    const route = this.route!;
    const { head } = this;
    const tunnel = head.method === 'CONNECT' || head.protocol !== '';
    if (route.retry.appliesTo(head) && !tunnel) this.#retry = new RetryState(route.retry);
    const { bufferLimitBytes } = route.fields;
    this.#content.prepare(head.bodyLength, bufferLimitBytes >= 0 ? bufferLimitBytes : this.manager.bufferLimitBytes, tunnel);
    this.#lb = hashContext(this, route);
    const maxDurationMs = route.fields.maxStreamDurationMs;
    if (maxDurationMs > 0 && this.#durationTimer === undefined) this.#durationTimer = this.manager.runtime.wheel.arm(maxDurationMs, this, Timer.DURATION);
    if (cluster.forwardProxy === null) route.finalizeRequest(head, this.choice!, this);
    if (this.#content.ended) {
      this.#armRouteTimeout();
      this.#mirror();
    }
    if (cluster.forwardProxy !== null) this.#resolveForward(cluster);
    else this.#tryHost(pickEndpoint(this, this.route!, cluster, this.#lb, this.#tried));
  }

  #resolveForward(cluster: Cluster): void {
    const port = this.head.scheme === 'https' ? 443 : 80;
    this.route!.finalizeRequest(this.head, this.choice!, this);
    cluster.forwardProxy!.resolve(this.head.authority, port, (host, error) => this.#resolved(host, error));
  }

  #resolved(host: UpstreamHost | null, error: string): void {
    if (this.#done) return;
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
      // With every endpoint's circuit open nobody further up need try again.
      if (cluster.outlier.ejected > 0) this.#gaveUp = true;
      this.reply(503, 'no healthy upstream', 'no_healthy_upstream', ResponseFlag.noHealthyUpstream);
      return;
    }
    this.endpoint = host;
    this.upstreamRequestAttemptCount++;
    const route = this.route!;
    if (route.fields.rewrite.autoHost && host.endpoint.hostname !== '') this.head.authority = host.endpoint.hostname;
    if (route.fields.includeRequestAttemptCount) setHeader(this.head.headers, 'x-envoy-attempt-count', String(this.upstreamRequestAttemptCount));
    const attempt = new UpstreamAttempt(this, cluster, host);
    this.#attempt = attempt;
    if (this.#content.ended && route.retry.perTryTimeoutMs > 0) attempt.armPerTry(route.retry.perTryTimeoutMs);
    if (this.#raw) attempt.startRaw();
    else attempt.start(cluster.usesHttp2(this.head.version));
  }

  /** Whether the head that goes upstream is all of the request. */
  get upstreamFin(): boolean {
    return this.#content.headIsAll;
  }

  /** A connection took the head: what is kept of the content follows. */
  onAttached(attempt: UpstreamAttempt): void {
    attempt.markAttached();
    this.upstreamLocalAddress = attempt.localAddress;
    this.upstreamPeerUri = attempt.peerUri;
    this.upstreamSecure = attempt.secure;
    if (attempt.client !== null) this.#content.sendTo(attempt.client);
  }

  protected body(buffer: Buffer, start: number, end: number, fin: boolean): void {
    if (this.#done) return;
    this.moved = true;
    this.bytesReceived += end - start;
    if (this.requestTransform === null) this.passRequest(buffer, start, end, fin);
    else this.requestTransform.body(buffer, start, end, fin);
  }

  protected passRequest(buffer: Buffer, start: number, end: number, fin: boolean): void {
    if (fin) this.#onRequestEnd();
    this.#content.receive(buffer, start, end, fin, this.#attempt?.client ?? null);
    if (fin) this.#mirror();
    if (fin && this.#tunnel) this.#afterResponse();
  }

  protected trailers(trailers: HeaderList): void {
    if (this.#done) return;
    if (this.requestTransform === null) this.passRequestTrailers(trailers);
    else this.requestTransform.trailers(trailers);
  }

  protected passRequestTrailers(trailers: HeaderList): void {
    this.#onRequestEnd();
    this.#content.receiveTrailers(trailers, this.#attempt?.client ?? null);
    this.#mirror();
  }

  #mirror(): void {
    if (this.cluster !== null && this.route!.fields.mirrors.length > 0) mirrorRequest(this, this.#content);
  }

  #onRequestEnd(): void {
    this.#content.ended = true;
    this.requestEndMs = this.manager.runtime.nowMs();
    if (this.#routeTimer !== undefined) this.manager.runtime.wheel.cancel(this.#routeTimer);
    this.#routeTimer = undefined;
    if (this.route === null || this.cluster === null) return;
    this.#armRouteTimeout();
    const { perTryTimeoutMs } = this.route.retry;
    if (perTryTimeoutMs > 0) this.#attempt?.armPerTry(perTryTimeoutMs);
  }

  /** As in Envoy: it runs from the end of the request. */
  #armRouteTimeout(): void {
    if (this.#routeTimer !== undefined || this.response !== null) return;
    const timeoutMs = routeTimeoutMs(this.route!, this.head);
    if (timeoutMs > 0) this.#routeTimer = this.manager.runtime.wheel.arm(timeoutMs, this, Timer.ROUTE);
  }

  /** The downstream went away. */
  protected downstreamReset(_reason: ResetReason, _detail: string): void {
    if (this.#done) return;
    this.responseFlags |= ResponseFlag.downstreamConnectionTermination;
    if (this.responseCodeDetails === '') this.responseCodeDetails = 'downstream_remote_disconnect';
    this.#complete();
  }

  protected downstreamDrained(): void {
    this.#release(Held.DOWNSTREAM);
  }

  protected holdRequest(held: boolean): void {
    this.#content.hold(held);
  }

  protected holdResponse(held: boolean): void {
    if (held) this.#hold(Held.TRANSFORM);
    else this.#release(Held.TRANSFORM);
  }

  #hold(who: number): void {
    if (this.#held === 0) this.#attempt?.client?.pause();
    this.#held |= who;
  }

  #release(who: number): void {
    this.#held &= ~who;
    if (this.#held === 0) this.#attempt?.client?.resume();
  }

  onUpstreamInformational(head: ResponseHead): void {
    // 100 is the codecs' own affair on each side, but the client waits for the upstream's word.
    this.moved = true;
    this.#stream.sendInformational(head);
  }

  onUpstreamHead(attempt: UpstreamAttempt, head: ResponseHead, fin: boolean): void {
    this.moved = true;
    const { runtime } = this.manager;
    const nowMs = runtime.nowMs();
    attempt.judgeHead(head, fin, nowMs);
    if (this.#retry !== null) {
      const verdict = this.#retry.onResponse(this.head, head);
      if (verdict === 'retry' && this.#mayRetry()) {
        this.#scheduleRetry(attempt, this.#retry.policy.requestedDelayMs(head, runtime.unixMs()));
        return;
      }
      if (verdict !== 'no') {
        this.responseFlags |= ResponseFlag.upstreamRetryLimitExceeded;
        this.#gaveUp = true;
      }
    }
    this.responseStartMs = nowMs;
    this.responseCodeDetails = 'via_upstream';
    this.#commit(head, fin);
  }

  /** Whether the content is still there, and the budget allows one more. */
  #mayRetry(): boolean {
    if (!this.#content.replayable) return false;
    if (this.#retry!.hold(this.cluster!.limits)) return true;
    this.responseFlags |= ResponseFlag.upstreamOverflow;
    return false;
  }

  #scheduleRetry(attempt: UpstreamAttempt, requestedMs: number): void {
    this.#tried ??= [];
    this.#tried.push(attempt.host);
    this.#attempt = null;
    attempt.finish(false);
    const { runtime } = this.manager;
    const delayMs = requestedMs >= 0 ? requestedMs : this.#retry!.policy.backoffMs(this.#retry!.retries, runtime.random);
    this.#waitTimer = runtime.wheel.arm(delayMs, this, Timer.RETRY);
  }

  #retryNow(): void {
    const cluster = this.cluster!;
    if (cluster.forwardProxy !== null) this.#tryHost(this.endpoint);
    else this.#tryHost(pickEndpoint(this, this.route!, cluster, this.#lb, this.#tried));
  }

  #commit(head: ResponseHead, fin: boolean): void {
    this.response = head;
    this.#tunnel = head.tunnel;
    this.responseCode = head.status;
    // Nothing is sent again from here on.
    this.#content.stopKeeping(this.#attempt?.client !== null);
    this.#cancelTimers();
    this.cancelFilterWork();
    markGivenUp(this, head, this.#gaveUp);
    finalizeResponse(this, head, this.choice);
    this.filterResponse(head, fin);
    leaveResponse(this, head, this.#lb);
    if ((this.responseFlags & SIGNED_FLAGS) !== 0 && this.responseCodeDetails === 'via_upstream') this.#sign(head);
    if (this.connection.draining) this.connection.drain();
    if (fin) this.#responseEnded = true;
    if (!this.#stream.sendResponse(head, fin) && !fin) this.#hold(Held.DOWNSTREAM);
    if (fin) this.#afterResponse();
  }

  onUpstreamBody(buffer: Buffer, start: number, end: number, fin: boolean): void {
    this.moved = true;
    if (this.responseTransform === null) this.passResponse(buffer, start, end, fin);
    else this.responseTransform.body(buffer, start, end, fin);
  }

  protected passResponse(buffer: Buffer, start: number, end: number, fin: boolean): void {
    this.bytesSent += end - start;
    if (fin) this.#responseEnded = true;
    const room = this.#stream.sendBody(buffer, start, end, fin);
    if (fin) this.#afterResponse();
    else if (!room) this.#hold(Held.DOWNSTREAM);
  }

  onUpstreamTrailers(trailers: HeaderList): void {
    this.responseTrailers = trailers;
    this.#attempt?.judgeTrailers(trailers, this.manager.runtime.nowMs());
    if (this.responseTransform === null) this.passResponseTrailers(trailers);
    else this.responseTransform.trailers(trailers);
  }

  protected passResponseTrailers(trailers: HeaderList): void {
    this.#responseEnded = true;
    this.#stream.sendTrailers(trailers);
    this.#afterResponse();
  }

  onUpstreamDrain(): void {
    if (!this.#done) this.#content.resume();
  }

  onUpstreamReset(attempt: UpstreamAttempt, reason: ResetReason, detail: string): void {
    if (this.response !== null) {
      this.responseFlags |= flagOfLateReset(reason);
      this.responseCodeDetails = `upstream_reset_after_response_started{${detail === '' ? reason : detail}}`;
      attempt.judgeLateReset(this.manager.runtime.nowMs());
      this.#stream.reset(reason === 'ProtocolError' ? 'ProtocolError' : 'RemoteReset');
      this.#complete();
      return;
    }
    // A keep-alive connection that its upstream closed just as the request was written: not the endpoint's fault, and not a retry.
    if (
      attempt.reused &&
      !attempt.responseStarted &&
      reason === 'ConnectionTermination' &&
      !this.#replayed &&
      this.#content.replayable &&
      isIdempotent(this.head)
    ) {
      this.#replayed = true;
      this.#attempt = null;
      attempt.finish(true);
      this.#tryHost(attempt.host);
      return;
    }
    this.onAttemptFailed(attempt, failureOf(reason), detail, reason === 'RemoteReset' ? ResponseFlag.upstreamRemoteReset : 0);
  }

  onPerTryTimeout(attempt: UpstreamAttempt): void {
    if (this.#done || this.response !== null || attempt !== this.#attempt) return;
    this.onAttemptFailed(attempt, 'per-try-timeout', '');
  }

  onAttemptFailed(attempt: UpstreamAttempt, failure: AttemptFailure, detail: string, otherFlag = 0): void {
    if (this.#done) return;
    attempt.judgeFailure(failure, this.manager.runtime.nowMs());
    this.upstreamTransportFailureReason = detail;
    this.#connectTimedOut = failure === 'connect-timeout';
    let flags = otherFlag === 0 ? flagOfFailure(failure) : otherFlag;
    if (this.#retry !== null) {
      const verdict = this.#retry.onFailure(this.head, failure);
      // A connection that was refused has cost nobody anything: the budget is for tries that may be work.
      if (verdict === 'retry' && (failure === 'connect-failure' ? this.#content.replayable : this.#mayRetry())) {
        this.#scheduleRetry(attempt, -1);
        return;
      }
      if (verdict !== 'no') {
        flags |= ResponseFlag.upstreamRetryLimitExceeded;
        this.#gaveUp = true;
      }
    }
    this.#attempt = null;
    attempt.finish(false);
    const answer = failureAnswer(failure, detail, otherFlag === ResponseFlag.upstreamRemoteReset);
    this.reply(answer.status, answer.body, answer.details, flags);
  }

  breakOff(status: number, body: string, details: string): void {
    if (this.#done) return;
    if (this.response === null) {
      this.reply(status, body, details, 0);
      return;
    }
    this.responseCodeDetails = details.replaceAll(' ', '_');
    this.#stream.reset('LocalReset');
    this.#complete();
  }

  /** Answers in place of the upstream, signed. */
  reply(status: number, body: string, details: string, flags: number, headers?: HeaderList): void {
    this.responseFlags |= flags;
    this.responseCodeDetails = details.replaceAll(' ', '_');
    const { head, body: bytes } = localReplyHead(this.head, status, body);
    if (headers !== undefined) addReplyHeaders(head.headers, headers);
    this.#sign(head);
    this.#send(head, bytes);
  }

  #sign(head: ResponseHead): void {
    const { proxyName } = this.manager.config;
    if (proxyName !== '') head.headers.push('proxy-status', proxyStatus(proxyName, this.responseFlags, this.responseCodeDetails, this.#connectTimedOut));
    if (this.requestId !== '') setHeader(head.headers, 'x-request-id', this.requestId);
  }

  #direct(status: number, headers: HeaderList, body: Buffer, details: string): void {
    const head = directReplyHead(status, headers, body.length);
    this.responseCodeDetails = details;
    if (status >= 400) this.#sign(head);
    this.#send(head, this.head.method === 'HEAD' ? NOTHING : body);
  }

  #send(head: ResponseHead, body: Buffer): void {
    const attempt = this.#attempt;
    this.#attempt = null;
    attempt?.finish(false);
    if (this.#done || this.response !== null) return;
    this.#commit(head, body.length === 0);
    if (body.length > 0) this.onUpstreamBody(body, 0, body.length, true);
  }

  protected timer(kind: number): void {
    if (this.#done) return;
    switch (kind) {
      case Timer.RETRY:
        this.#waitTimer = undefined;
        this.#retryNow();
        break;
      case FILTER_DELAY:
        this.endDelay();
        break;
      case CONFIG_WAIT:
        this.onConfigWaitOver();
        break;
      case Timer.ROUTE:
        this.#routeTimer = undefined;
        this.#onTimeout('response_timeout', ResponseFlag.upstreamRequestTimeout);
        break;
      case Timer.DURATION:
        this.#durationTimer = undefined;
        this.#onTimeout('max_duration_timeout', ResponseFlag.durationTimeout);
        break;
      case Timer.HALF_CLOSED:
        this.#waitTimer = undefined;
        this.#stream.reset('LocalReset');
        this.#complete();
        break;
      case Timer.REQUEST:
        this.#routeTimer = undefined;
        this.reply(408, 'request timeout', 'request_overall_timeout', 0);
    }
  }

  #onTimeout(details: string, flag: number): void {
    this.#attempt?.judgeTimeout(this.manager.runtime.nowMs());
    if (this.response === null) {
      this.reply(504, 'upstream request timeout', details, flag);
      return;
    }
    this.responseFlags |= flag;
    this.responseCodeDetails = details;
    this.#stream.reset('LocalReset');
    this.#complete();
  }

  /** Nothing has moved for the idle timeout. */
  protected idle(): void {
    if (this.#done) return;
    if (this.response === null) {
      // Who is at fault: the client that does not finish its request, or the upstream that does not answer.
      if (this.#content.ended) this.reply(504, 'stream timeout', 'stream_idle_timeout', ResponseFlag.streamIdleTimeout);
      else this.reply(408, 'stream timeout', 'stream_idle_timeout', ResponseFlag.streamIdleTimeout);
      return;
    }
    this.responseFlags |= ResponseFlag.streamIdleTimeout;
    this.#stream.reset('LocalReset');
    this.#complete();
  }

  #cancelTimers(): void {
    const { wheel } = this.manager.runtime;
    if (this.#routeTimer !== undefined) wheel.cancel(this.#routeTimer);
    if (this.#waitTimer !== undefined) wheel.cancel(this.#waitTimer);
    this.#routeTimer = this.#waitTimer = undefined;
    this.cancelWait();
  }

  /** One side, or both, have said their last word. */
  #afterResponse(): void {
    if (this.#responseEnded && (!this.#tunnel || this.#content.ended)) this.#complete();
    else if (this.head.protocol === 'websocket') this.#waitTimer ??= this.manager.runtime.wheel.arm(WEBSOCKET_CLOSE_TIMEOUT_MS, this, Timer.HALF_CLOSED);
  }

  fail(error: unknown): void {
    const { faults } = this.manager.runtime;
    faults.report(error, 'a request was ended');
    const where = 'a request was not ended well';
    if (!this.#done && this.response === null) faults.guard(where, () => this.reply(500, 'internal error', 'internal_error', 0));
    if (!this.#done) faults.guard(where, () => this.#stream.reset('LocalReset'));
    if (!this.#done) faults.guard(where, () => this.#complete());
  }

  #complete(): void {
    if (this.#done) return;
    this.#done = true;
    const { manager } = this;
    this.endMs = manager.runtime.nowMs();
    this.#cancelTimers();
    if (this.#durationTimer !== undefined) manager.runtime.wheel.cancel(this.#durationTimer);
    this.endRouting();
    this.#retry?.release();
    this.#content.stopKeeping(true);
    this.endFilters();
    manager.unlink(this);
    this.connection.onStreamEnd();
    try {
      manager.recorder.record(this);
    } catch (error) {
      manager.runtime.faults.report(error, 'a request was not recorded');
    }
    const attempt = this.#attempt;
    this.#attempt = null;
    attempt?.finish(this.#responseEnded);
  }
}
