import { ResponseFlag } from '@outrigger/telemetry';
import type { Answer, Refusal } from '../filters/http-filter.ts';
import { PEER_HEADER } from '../filters/peer.ts';
import type { HeaderList, RequestHead, ResetReason, ResponseHead, ServerStream } from '../http/message.ts';
import type { HttpConnection } from '../listener/http-connection.ts';
import type { WheelTimer } from '../net/timer-wheel.ts';
import { drawn } from '../overload/overload-state.ts';
import type { ClusterChoice } from '../routing/cluster-choice.ts';
import { headerValue, setHeader } from '../routing/headers.ts';
import type { RouteEntry } from '../routing/route-entry.ts';
import type { Cluster } from '../upstream/cluster.ts';
import { AttemptedStream, NEXT_ATTEMPT } from './attempted-stream.ts';
import { detectClient, markInternal } from './client-address.ts';
import { FILTER_DELAY, NO_ROUTE } from './filtered-stream.ts';
import type { MappedReply } from './local-replies.ts';
import { addReplyHeaders, directReplyHead, isGrpc, localReplyHead, routeAnswer, withoutContentType } from './local-reply.ts';
import { mirrorRequest } from './mirror.ts';
import { proxyStatus } from './proxy-status.ts';
import { enterRequest, enterTrace, rejected, requestIdOf } from './request-entry.ts';
import { finalizeResponse, leaveResponse, markGivenUp } from './response-entry.ts';
import { callTimeoutMs, routeTimeoutMs } from './route-timeout.ts';
import { CONFIG_WAIT } from './routed-stream.ts';
import { allowsUpgrade } from './upgrades.ts';

/**
 * A websocket whose one side has ended is over (RFC 6455 closes by frames, not by halves of a connection), and the other side may
 * never hear of it: an Envoy in between passes no half-closed upgrade on.
 */
const WEBSOCKET_CLOSE_TIMEOUT_MS = 2_000;
const NOTHING = Buffer.alloc(0);
const NO_HEADERS: HeaderList = [];
const DEADLINE_EXCEEDED: HeaderList = ['grpc-status', '4'];
/** An upstream's answer is signed too where this proxy would have tried again and could not. */
const SIGNED_FLAGS = ResponseFlag.upstreamRetryLimitExceeded | ResponseFlag.upstreamOverflow;

/** Of an answer that takes the place of a request's way upstream. */
const SHED_FLAGS = ResponseFlag.upstreamOverflow;

const Timer = { ROUTE: 1, DURATION: 4, REQUEST: 6, HALF_CLOSED: 7 } as const;
/** Who holds the answer's source back: the downstream that takes no more, a transform that has enough. */
const Held = { DOWNSTREAM: 1, TRANSFORM: 2 } as const;

/**
 * One request from its head to the last byte of its answer. One shape for all; no closure, no promise (bench: npm run bench, pair-mtls-1k).
 */
export class ActiveStream extends AttemptedStream {
  readonly #stream: ServerStream;
  /** Kept by the manager. */
  previous: ActiveStream | null = null;
  next: ActiveStream | null = null;
  moved = true;
  idleSteps = 0;

  /** Of the route; until the request is whole, of the whole request. */
  #routeTimer: WheelTimer | undefined = undefined;
  #durationTimer: WheelTimer | undefined = undefined;
  /** Of a tunnel's other half. */
  #halfTimer: WheelTimer | undefined = undefined;

  #tunnel = false;
  #responseEnded = false;
  #held = 0;
  #done = false;

  constructor(connection: HttpConnection, stream: ServerStream, head: RequestHead, fin: boolean) {
    super(connection, stream, head, fin);
    this.#stream = stream;
    if (fin) this.requestEndMs = this.startMs;
  }

  /** From the head to the route. */
  protected begin(): void {
    const { manager, head } = this;
    if (manager.overload.shedsRequests && this.#isShed()) return;
    if (manager.config.earlyMutations !== null) manager.config.earlyMutations.apply(head.headers, this);
    const { client, internal, rejectStatus } = detectClient(manager.config.clientAddress, this.connection.info, head);
    this.client = client;
    this.internal = internal;
    markInternal(manager.config.clientAddress, head.headers, internal, client?.host ?? this.connection.info.remoteHost);
    const entry = rejectStatus > 0 ? rejected(rejectStatus) : enterRequest(manager, this.connection.info, head);
    this.requestId = requestIdOf(manager, this.connection.info, head);
    if (manager.config.tracing !== undefined) this.trace = enterTrace(manager, head);
    if (manager.direction === 'inbound' && this.connection.info.mutual) this.sourcePeer = headerValue(head.headers, PEER_HEADER) ?? '';
    if (manager.config.requestTimeoutMs > 0 && !this.content.ended)
      this.#routeTimer = manager.runtime.wheel.arm(manager.config.requestTimeoutMs, this, Timer.REQUEST);
    if (manager.config.maxStreamDurationMs > 0) this.#durationTimer = manager.runtime.wheel.arm(manager.config.maxStreamDurationMs, this, Timer.DURATION);
    if (entry.kind === 'refuse') this.reply(entry.status, '', entry.details, 0);
    else if (entry.kind === 'redirect') this.#direct(307, ['location', entry.path], NOTHING, 'direct_response');
    else {
      manager.recorder.begin(this);
      this.matchRoute();
    }
  }

  /** Before anything is spent on it. */
  #isShed(): boolean {
    const { manager } = this;
    const { overload, runtime } = manager;
    if (!this.connection.draining && drawn(runtime.random, overload.keepAlive)) {
      manager.stats.keepAliveDisabled++;
      // Its answer says that it is the last.
      this.connection.draining = true;
    }
    if (!drawn(runtime.random, overload.requests)) return false;
    manager.stats.overloadClosed++;
    runtime.overload.requestsShed++;
    this.requestId = requestIdOf(manager, this.connection.info, this.head);
    this.reply(503, 'overloaded', 'overload', SHED_FLAGS);
    return true;
  }

  get bufferedBytes(): number {
    return this.content.bufferedBytes + this.#stream.bufferedBytes + (this.attempt?.client?.bufferedBytes ?? 0);
  }

  /** It holds more than the proxy can spare. */
  shed(): void {
    if (this.#done) return;
    this.responseFlags |= ResponseFlag.overloadManager;
    this.responseCodeDetails = 'overload_reset_high_memory_stream';
    this.cut('LocalReset');
  }

  protected filtered(): void {
    if (this.route === null) this.refused(NO_ROUTE);
    else this.#act(this.route);
  }

  protected refused({ status, body, details, flag, headers }: Refusal): void {
    this.reply(status, body, details, flag, headers);
  }

  protected answered({ status, headers, body, details, asItIs }: Answer): void {
    this.#direct(status, headers, body ?? NOTHING, details, asItIs !== true);
  }

  protected get over(): boolean {
    return this.#done;
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
    this.choice = route.pickCluster(head, this.dice);
    this.toCluster(this.choice.clusterName(head));
  }

  /** As in Envoy a route's cluster is chosen with it, whoever answers in its place. */
  #chosen(): ClusterChoice | null {
    const { route } = this;
    return route !== null && route.kind === 'forward' ? route.pickCluster(this.head, this.dice) : null;
  }

  protected clusterMissing(): void {
    this.reply(this.route!.fields.clusterNotFoundStatus, '', 'cluster_not_found', ResponseFlag.noClusterFound);
  }

  protected forward(cluster: Cluster): void {
    const route = this.route!;
    const { head } = this;
    const tunnel = head.method === 'CONNECT' || head.protocol !== '';
    const { bufferLimitBytes } = route.fields;
    this.content.prepare(head.bodyLength, bufferLimitBytes >= 0 ? bufferLimitBytes : this.manager.bufferLimitBytes, tunnel);
    this.beginAttempts(route, tunnel);
    this.#boundDuration(route);
    route.finalizeRequest(head, this.choice!, this);
    if (this.content.ended) {
      this.#armRouteTimeout();
      this.#mirror();
    }
    this.firstAttempt(cluster);
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
    if (this.attempt !== null) this.attempt.moved = true;
    this.content.receive(buffer, start, end, fin, this.attempt?.client ?? null);
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
    this.content.receiveTrailers(trailers, this.attempt?.client ?? null);
    this.#mirror();
  }

  #mirror(): void {
    if (this.cluster !== null && this.route!.fields.mirrors.length > 0) mirrorRequest(this, this.content);
  }

  #onRequestEnd(): void {
    this.content.ended = true;
    this.requestEndMs = this.manager.runtime.nowMs();
    if (this.#routeTimer !== undefined) this.manager.runtime.wheel.cancel(this.#routeTimer);
    this.#routeTimer = undefined;
    if (this.route === null || this.cluster === null) return;
    this.#armRouteTimeout();
    this.requestIsWhole();
  }

  /** By the route, or by the call itself; the connection manager's holds where they say nothing. */
  #boundDuration(route: RouteEntry): void {
    const { grpcTimeoutMaxMs, grpcTimeoutIsDuration, maxStreamDurationMs } = route.fields;
    const askedMs = grpcTimeoutMaxMs < 0 ? -1 : callTimeoutMs(route, this.head);
    if (askedMs > 0) this.deadlineMs = this.startMs + askedMs;
    const durationMs = grpcTimeoutIsDuration && askedMs >= 0 ? askedMs : maxStreamDurationMs;
    if (durationMs < 0) return;
    const { runtime } = this.manager;
    if (this.#durationTimer !== undefined) runtime.wheel.cancel(this.#durationTimer);
    this.#durationTimer = durationMs === 0 ? undefined : runtime.wheel.arm(Math.max(1, this.startMs + durationMs - runtime.nowMs()), this, Timer.DURATION);
  }

  /** As in Envoy: it runs from the end of the request. */
  #armRouteTimeout(): void {
    if (this.#routeTimer !== undefined || this.response !== null) return;
    const timeoutMs = this.askedTimeoutMs >= 0 ? this.askedTimeoutMs : routeTimeoutMs(this.route!, this.head);
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
    this.content.hold(held);
  }

  protected holdResponse(held: boolean): void {
    if (held) this.#hold(Held.TRANSFORM);
    else this.#release(Held.TRANSFORM);
  }

  #hold(who: number): void {
    if (this.#held === 0) this.attempt?.client?.pause();
    this.#held |= who;
  }

  #release(who: number): void {
    this.#held &= ~who;
    if (this.#held === 0) this.attempt?.client?.resume();
  }

  onUpstreamInformational(head: ResponseHead): void {
    // 100 is the codecs' own affair on each side, but the client waits for the upstream's word.
    this.moved = true;
    this.#stream.sendInformational(head);
  }

  protected commit(head: ResponseHead, fin: boolean, asItIs = false): void {
    this.response = head;
    this.#tunnel = head.tunnel;
    this.responseCode = head.status;
    // Nothing is sent again from here on.
    this.content.stopKeeping(this.attempt?.client !== null);
    this.cancelTimers();
    this.cancelFilterWork();
    markGivenUp(this, head, this.gaveUp);
    if (!asItIs) finalizeResponse(this, head, this.choice ?? this.#chosen());
    this.filterResponse(head, fin);
    leaveResponse(this, head, this.lb);
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
    this.attempt?.judgeTrailers(trailers, this.manager.runtime.nowMs());
    if (this.responseTransform === null) this.passResponseTrailers(trailers);
    else this.responseTransform.trailers(trailers);
  }

  protected passResponseTrailers(trailers: HeaderList): void {
    this.#responseEnded = true;
    this.#stream.sendTrailers(trailers);
    this.#afterResponse();
  }

  breakOff(status: number, body: string, details: string): void {
    if (this.#done) return;
    if (this.response === null) {
      this.reply(status, body, details, 0);
      return;
    }
    this.responseCodeDetails = details.replaceAll(' ', '_');
    this.cut('LocalReset');
  }

  /** Answers in place of the upstream, signed. */
  reply(status: number, body: string, details: string, flags: number, headers?: HeaderList): void {
    this.responseFlags |= flags;
    this.responseCodeDetails = details.replaceAll(' ', '_');
    const { localReplies } = this.manager.config;
    if (localReplies !== null) {
      this.#sendMapped(localReplies.map(this, status, body, headers ?? NO_HEADERS, this.dice));
      return;
    }
    const { head, body: bytes } = localReplyHead(this.head, status, body);
    if (headers !== undefined) addReplyHeaders(head.headers, headers);
    this.#sign(head);
    this.#send(head, bytes);
  }

  /** As local_reply_config has it. */
  #sendMapped(reply: MappedReply): void {
    const { head, body } = localReplyHead(this.head, reply.status, reply.body, reply.contentType === '' ? undefined : reply.contentType);
    addReplyHeaders(head.headers, reply.headers);
    if (reply.status >= 400) this.#sign(head);
    this.#send(head, body);
  }

  #sign(head: ResponseHead): void {
    const { proxyName } = this.manager.config;
    if (proxyName !== '') head.headers.push('proxy-status', proxyStatus(proxyName, this.responseFlags, this.responseCodeDetails, this.connectTimedOut));
    if (this.requestId !== '') setHeader(head.headers, 'x-request-id', this.requestId);
  }

  #direct(status: number, headers: HeaderList, body: Buffer, details: string, mapped = true): void {
    this.responseCodeDetails = details;
    const { localReplies } = this.manager.config;
    if (localReplies !== null && mapped) {
      const grpc = isGrpc(this.head.headers);
      this.#sendMapped(localReplies.map(this, status, body.toString(), grpc ? withoutContentType(headers) : headers, this.dice));
      return;
    }
    if (mapped && isGrpc(this.head.headers)) {
      this.#sendMapped({ status, body: body.toString(), contentType: '', headers: withoutContentType(headers) });
      return;
    }
    const head = directReplyHead(status, headers, body.length);
    if (status >= 400) this.#sign(head);
    this.#send(head, this.head.method === 'HEAD' ? NOTHING : body, !mapped);
  }

  #send(head: ResponseHead, body: Buffer, asItIs = false): void {
    this.endAttempts(false);
    if (this.#done || this.response !== null) return;
    this.commit(head, body.length === 0, asItIs);
    if (body.length > 0) this.onUpstreamBody(body, 0, body.length, true);
  }

  protected timer(kind: number): void {
    if (this.#done) return;
    switch (kind) {
      case NEXT_ATTEMPT:
        this.tryAgain();
        break;
      case FILTER_DELAY:
        this.endDelay();
        break;
      case CONFIG_WAIT:
        this.onConfigWaitOver();
        break;
      case Timer.ROUTE:
        this.#routeTimer = undefined;
        this.#onTimeout(504, 'upstream request timeout', 'response_timeout', ResponseFlag.upstreamRequestTimeout);
        break;
      case Timer.DURATION:
        this.#durationTimer = undefined;
        this.#onTimeout(this.content.ended ? 504 : 408, 'downstream duration timeout', 'max_duration_timeout', ResponseFlag.durationTimeout);
        break;
      case Timer.HALF_CLOSED:
        this.#halfTimer = undefined;
        this.cut('LocalReset');
        break;
      case Timer.REQUEST:
        this.#routeTimer = undefined;
        this.reply(408, 'request timeout', 'request_overall_timeout', 0);
    }
  }

  #onTimeout(status: number, body: string, details: string, flag: number): void {
    this.judgeTimeout();
    if (this.response === null) {
      const deadline = flag === ResponseFlag.durationTimeout && isGrpc(this.head.headers);
      this.reply(status, body, details, flag, deadline ? DEADLINE_EXCEEDED : undefined);
      return;
    }
    this.responseFlags |= flag;
    this.responseCodeDetails = details;
    this.cut('LocalReset');
  }

  protected cut(reason: ResetReason): void {
    this.#stream.reset(reason);
    this.#complete();
  }

  /** Nothing has moved for the idle timeout. */
  protected idle(): void {
    if (this.#done) return;
    if (this.response === null) {
      // Who is at fault: the client that does not finish its request, or the upstream that does not answer.
      if (this.content.ended) this.reply(504, 'stream timeout', 'stream_idle_timeout', ResponseFlag.streamIdleTimeout);
      else this.reply(408, 'stream timeout', 'stream_idle_timeout', ResponseFlag.streamIdleTimeout);
      return;
    }
    this.responseFlags |= ResponseFlag.streamIdleTimeout;
    this.cut('LocalReset');
  }

  protected cancelTimers(): void {
    const { wheel } = this.manager.runtime;
    if (this.#routeTimer !== undefined) wheel.cancel(this.#routeTimer);
    if (this.#halfTimer !== undefined) wheel.cancel(this.#halfTimer);
    this.#routeTimer = this.#halfTimer = undefined;
    this.cancelNextAttempt();
    this.cancelWait();
  }

  /** One side, or both, have said their last word. */
  #afterResponse(): void {
    if (this.#responseEnded && (!this.#tunnel || this.content.ended)) this.#complete();
    else if (this.head.protocol === 'websocket') this.#halfTimer ??= this.manager.runtime.wheel.arm(WEBSOCKET_CLOSE_TIMEOUT_MS, this, Timer.HALF_CLOSED);
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
    this.cancelTimers();
    if (this.#durationTimer !== undefined) manager.runtime.wheel.cancel(this.#durationTimer);
    this.endRouting();
    this.releaseRetry();
    this.content.stopKeeping(true);
    this.endFilters();
    manager.unlink(this);
    this.connection.onStreamEnd();
    try {
      manager.recorder.record(this);
    } catch (error) {
      manager.runtime.faults.report(error, 'a request was not recorded');
    }
    this.endAttempts(this.#responseEnded);
  }
}
