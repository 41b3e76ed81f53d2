import { continueTrace, ResponseFlag, type StreamInfo, TRACE_HEADERS, type TraceContext, traceHeaders } from '@outrigger/telemetry';
import { PEER_HEADER } from '../filters/peer.ts';
import { denialDetails } from '../filters/rbac/rbac.ts';
import { type HeaderList, type RequestHead, type ResetReason, ResponseHead, type ServerStream, type StreamEvents } from '../http/message.ts';
import { LbContext } from '../lb/context.ts';
import type { HttpConnection } from '../listener/http-connection.ts';
import type { TimerTarget, WheelTimer } from '../net/timer-wheel.ts';
import { GAVE_UP, GAVE_UP_HEADER } from '../resilience/given-up.ts';
import { grpcToHttpStatus } from '../resilience/outlier-detection.ts';
import { type AttemptFailure, isIdempotent, RetryState } from '../resilience/retry-policy.ts';
import type { ClusterChoice } from '../routing/cluster-choice.ts';
import { headerIndex, headerValue, removeHeader, setHeader } from '../routing/headers.ts';
import type { RouteEntry } from '../routing/route-entry.ts';
import type { Cluster } from '../upstream/cluster.ts';
import type { UpstreamHost } from '../upstream/upstream-host.ts';
import { BodyBuffer } from './body-buffer.ts';
import type { HttpManager } from './http-manager.ts';
import { localReplyHead } from './local-reply.ts';
import { proxyStatus } from './proxy-status.ts';
import { enterRequest, requestIdOf } from './request-entry.ts';
import type { RouteWaiter } from './route-slot.ts';
import { UpstreamAttempt } from './upstream-attempt.ts';

/** How long a request waits for routes or a cluster that were asked for, ms. */
export const ON_DEMAND_TIMEOUT_MS = 5_000;
const NOTHING = Buffer.alloc(0);
const NO_HEADERS: HeaderList = [];
/** An upstream's answer is signed too where this proxy would have tried again and could not. */
const SIGNED_FLAGS = ResponseFlag.upstreamRetryLimitExceeded | ResponseFlag.upstreamOverflow;

const Timer = { ROUTE: 1, RETRY: 2, WAIT: 3, DURATION: 4, DELAY: 5 } as const;

/** What Envoy says of a failed attempt: flag, words of the body, and of the details. */
const FAILURES: Readonly<Record<AttemptFailure, readonly [flag: number, words: string, detail: string]>> = {
  'connect-failure': [ResponseFlag.upstreamConnectionFailure, 'remote connection failure', 'remote_connection_failure'],
  'connect-timeout': [ResponseFlag.upstreamConnectionFailure, 'connection timeout', 'connection_timeout'],
  'refused-stream': [ResponseFlag.upstreamRemoteReset, 'remote refused stream reset', 'remote_refused_stream_reset'],
  'reset-before-request': [ResponseFlag.upstreamConnectionTermination, 'connection termination', 'connection_termination'],
  reset: [ResponseFlag.upstreamConnectionTermination, 'connection termination', 'connection_termination'],
  'per-try-timeout': [ResponseFlag.upstreamRequestTimeout, 'per try timeout', 'per_try_timeout'],
  'protocol-error': [ResponseFlag.upstreamProtocolError, 'protocol error', 'protocol_error'],
  overflow: [ResponseFlag.upstreamOverflow, 'overflow', 'overflow'],
};

/**
 * One request from its head to the last byte of its answer. All fields are made in the constructor so that every stream
 * has one shape; nothing of it is a closure or a promise (bench: npm run bench, pair-mtls-1k).
 */
export class ActiveStream implements StreamEvents, StreamInfo, TimerTarget, RouteWaiter {
  readonly manager: HttpManager;
  readonly connection: HttpConnection;
  readonly head: RequestHead;
  readonly #stream: ServerStream;
  readonly #startMs: number;
  readonly startTimeMs: number;
  readonly #random: number;
  /** Kept by the manager. */
  previous: ActiveStream | null = null;
  next: ActiveStream | null = null;
  moved = true;
  idleSteps = 0;

  readonly originalPath: string;
  requestId = '';
  trace: TraceContext | null = null;
  /** x-outrigger-peer as it came, only over mTLS. */
  sourcePeer = '';
  #requestEnded: boolean;
  #requestTrailers: HeaderList | null = null;
  #buffer: BodyBuffer | null = null;
  /** Content is kept for another attempt. */
  #retain = false;
  #replayable = true;
  /** The route's, where it has one. */
  #bufferLimitBytes: number;
  #replayed = false;
  #downstreamPaused = false;

  route: RouteEntry | null = null;
  #choice: ClusterChoice | null = null;
  cluster: Cluster | null = null;
  #host: UpstreamHost | null = null;
  #retry: RetryState | null = null;
  #tried: UpstreamHost[] | null = null;
  #lb: LbContext | null = null;
  #attempt: UpstreamAttempt | null = null;
  #raw = false;
  upstreamRequestAttemptCount = 0;
  #retryHeld = false;
  #connectTimedOut = false;
  #gaveUp = false;
  #failureReason = '';

  #routeTimer: WheelTimer | undefined = undefined;
  #durationTimer: WheelTimer | undefined = undefined;
  /** Of whatever it waits for: routes, a delay, the next attempt. */
  #waitTimer: WheelTimer | undefined = undefined;
  #waiting = false;

  #response: ResponseHead | null = null;
  #tunnel = false;
  #responseEnded = false;
  #done = false;
  responseCode = 0;
  responseCodeDetails = '';
  responseFlags = 0;
  responseTrailers: HeaderList = NO_HEADERS;
  bytesReceived = 0;
  bytesSent = 0;
  #requestEndMs = -1;
  #responseStartMs = -1;
  #endMs = -1;
  upstreamPeerUri = '';
  upstreamSecure = false;
  #upstreamLocal = '';

  constructor(connection: HttpConnection, stream: ServerStream, head: RequestHead, fin: boolean) {
    this.manager = connection.manager;
    this.connection = connection;
    this.head = head;
    this.#stream = stream;
    const { runtime } = connection.manager;
    this.#startMs = runtime.nowMs();
    this.startTimeMs = runtime.unixMs();
    this.#random = runtime.random.uint32();
    this.originalPath = head.path;
    this.#requestEnded = fin;
    this.#bufferLimitBytes = connection.manager.bufferLimitBytes;
    if (fin) this.#requestEndMs = this.#startMs;
  }

  /** From the head to the route. */
  start(): void {
    const { manager, head } = this;
    manager.link(this);
    const entry = enterRequest(manager, this.connection.info, head);
    this.requestId = requestIdOf(manager, this.connection.info, head);
    if (manager.config.tracing !== undefined) {
      const trace = continueTrace(head.headers, manager.runtime.random, manager.samplingRatio);
      for (let i = 0; i < TRACE_HEADERS.length; i++) removeHeader(head.headers, TRACE_HEADERS[i]!);
      const headers = traceHeaders(trace);
      for (let i = 0; i < headers.length; i++) head.headers.push(headers[i]!);
      this.trace = trace;
    }
    if (manager.direction === 'inbound' && this.connection.info.mutual) this.sourcePeer = headerValue(head.headers, PEER_HEADER) ?? '';
    if (manager.config.maxStreamDurationMs > 0) this.#durationTimer = manager.runtime.wheel.arm(manager.config.maxStreamDurationMs, this, Timer.DURATION);
    if (entry.kind === 'refuse') this.reply(entry.status, '', entry.details, 0);
    else if (entry.kind === 'redirect') this.#redirect(307, entry.path);
    else this.#matchRoute();
  }

  #matchRoute(): void {
    const slot = this.manager.routes;
    const table = slot.table;
    if (table === null) {
      if (this.#wait()) slot.wait(this);
      return;
    }
    const { head } = this;
    const virtualHost = table.findVirtualHost(head.authority);
    if (virtualHost === null && slot.demand !== null && slot.demand.request(head.authority, this)) {
      this.#wait();
      return;
    }
    if (virtualHost !== null) slot.demand?.touch(virtualHost);
    this.route = virtualHost === null ? null : virtualHost.match(head, this.#random);
    this.#filter();
  }

  /** Bounds the time that a request waits for configuration. */
  #wait(): boolean {
    this.#waiting = true;
    this.#waitTimer ??= this.manager.runtime.wheel.arm(ON_DEMAND_TIMEOUT_MS, this, Timer.WAIT);
    return true;
  }

  onRoutes(given: boolean): void {
    if (this.#done || !this.#waiting) return;
    this.#endWait();
    if (given) this.#matchRoute();
    else this.#noRoute();
  }

  #endWait(): void {
    this.#waiting = false;
    if (this.#waitTimer !== undefined) this.manager.runtime.wheel.cancel(this.#waitTimer);
    this.#waitTimer = undefined;
  }

  #noRoute(): void {
    this.reply(404, '', 'route_not_found', ResponseFlag.noRouteFound);
  }

  /** HTTP filters in their order; policies hold also where no route does, as in Envoy. */
  #filter(): void {
    const { filters } = this.manager.config;
    const { route, head } = this;
    for (let i = 0; i < filters.rbac.length; i++) {
      const rbac = filters.rbac[i]!;
      if (route?.fields.filters.disabled.has(rbac.name)) continue;
      const verdict = (route?.fields.filters.rbac ?? rbac.filter).decide(this.connection.info, head);
      if (!verdict.allowed) {
        this.reply(403, 'RBAC: access denied', denialDetails(verdict), 0);
        return;
      }
    }
    if (route === null) {
      this.#noRoute();
      return;
    }
    if (filters.cors) {
      const verdict = route.fields.filters.cors.decide(head, this.#random);
      if (verdict === 'preflight' || verdict === 'preflight-refused') {
        this.#direct(200, verdict === 'preflight' ? route.fields.filters.cors.preflightHeaders(head) : [], NOTHING, 'cors_response');
        return;
      }
    }
    if (filters.mutations !== null) filters.mutations.request.apply(head.headers, this);
    if (!route.fields.filters.requestMutations.empty) route.fields.filters.requestMutations.apply(head.headers, this);
    if (filters.fault !== null && this.#fault(route)) return;
    this.#act(route);
  }

  /** True: the request is held back or was answered. */
  #fault(route: RouteEntry): boolean {
    const fault = route.fields.filters.fault.enabled ? route.fields.filters.fault : this.manager.config.filters.fault!;
    const cluster = route.kind === 'forward' ? route.pickCluster(this.head, this.#random).clusterName(this.head) : '';
    if (!fault.appliesTo(this.head, cluster)) return false;
    const { runtime } = this.manager;
    const delayMs = (this.responseFlags & ResponseFlag.delayInjected) !== 0 ? 0 : fault.delayMs(this.head, runtime.random.uint32());
    if (delayMs > 0) {
      this.responseFlags |= ResponseFlag.delayInjected;
      this.#waitTimer = runtime.wheel.arm(delayMs, this, Timer.DELAY);
      return true;
    }
    if (!fault.aborts(this.head, runtime.random.uint32())) return false;
    const status = fault.abortStatus(this.head);
    this.reply(
      status === 0 ? grpcToHttpStatus(fault.abortGrpcStatus(this.head)) : status,
      'fault filter abort',
      'fault_filter_abort',
      ResponseFlag.faultInjected,
    );
    return true;
  }

  #act(route: RouteEntry): void {
    const { head } = this;
    switch (route.kind) {
      case 'redirect':
        this.#redirect(route.fields.redirect!.status, route.fields.redirect!.location(head));
        return;
      case 'direct-response': {
        const direct = route.fields.direct!;
        const body = Buffer.from(direct.body.buffer, direct.body.byteOffset, direct.body.length);
        this.#direct(direct.status, body.length > 0 ? ['content-type', 'text/plain'] : [], body, 'direct_response');
        return;
      }
      case 'non-forwarding':
        this.#noRoute();
        return;
    }
    if ((head.protocol !== '' || head.method === 'CONNECT') && !this.#allowsUpgrade(route)) {
      this.reply(403, '', 'upgrade_failed', 0);
      return;
    }
    this.#raw = head.method === 'CONNECT' && route.fields.connectTerminates;
    const choice = route.pickCluster(head, this.#random);
    this.#choice = choice;
    this.#toCluster(choice.clusterName(head));
  }

  /** CONNECT only where it is said; other upgrades pass unless it is said that they do not, as if no proxy were there. */
  #allowsUpgrade(route: RouteEntry): boolean {
    const token = this.head.method === 'CONNECT' ? 'connect' : this.head.protocol;
    return route.fields.upgrades.get(token) ?? this.manager.config.upgrades.get(token) ?? token !== 'connect';
  }

  #toCluster(name: string): void {
    const cluster = this.manager.clusters.get(name);
    if (cluster === undefined || !cluster.warm) {
      if (this.#waiting) {
        this.#endWait();
        this.reply(this.route!.fields.clusterNotFoundStatus, '', 'cluster_not_found', ResponseFlag.noClusterFound);
        return;
      }
      // Rare: the table was held back until its clusters were there, or the request itself named this one.
      this.#waiting = true;
      this.manager.clusters.ready([name], ON_DEMAND_TIMEOUT_MS).then(() => {
        if (!this.#done) this.#toCluster(name);
      });
      return;
    }
    this.#endWait();
    this.cluster = cluster;
    this.#prepareForward(cluster);
  }

  #prepareForward(cluster: Cluster): void {
    const route = this.route!;
    const { head } = this;
    if (route.retry.appliesTo(head) && head.method !== 'CONNECT' && head.protocol === '') this.#retry = new RetryState(route.retry);
    if (route.fields.bufferLimitBytes >= 0) this.#bufferLimitBytes = route.fields.bufferLimitBytes;
    // A length that is known to be too long is not copied at all.
    this.#retain = !this.#requestEnded && head.bodyLength <= this.#bufferLimitBytes && head.method !== 'CONNECT' && head.protocol === '';
    this.#replayable = this.#requestEnded || this.#retain;
    if (!route.fields.hash.empty) {
      this.#lb = new LbContext();
      route.fields.hash.apply(head, this.connection.info.remoteHost, this.manager.runtime.random, this.#lb);
    }
    const maxDurationMs = route.fields.maxStreamDurationMs;
    if (maxDurationMs > 0 && this.#durationTimer === undefined) this.#durationTimer = this.manager.runtime.wheel.arm(maxDurationMs, this, Timer.DURATION);
    if (cluster.forwardProxy === null) route.finalizeRequest(head, this.#choice!, this);
    if (this.#requestEnded) this.#armRouteTimeout();
    if (cluster.forwardProxy !== null) this.#resolveForward(cluster);
    else this.#tryHost(cluster.pick(this.#pickContext()));
  }

  #resolveForward(cluster: Cluster): void {
    const port = this.head.scheme === 'https' ? 443 : 80;
    this.route!.finalizeRequest(this.head, this.#choice!, this);
    cluster.forwardProxy!.resolve(this.head.authority, port, (host, error) => {
      if (this.#done) return;
      if (host === null) {
        this.#failureReason = error;
        this.reply(503, 'DNS resolution failure', `dns_resolution_failure{${error}}`, ResponseFlag.dnsResolutionFailed);
      } else this.#tryHost(host);
    });
  }

  #pickContext(): LbContext {
    const context = this.#lb ?? this.manager.lbContext;
    if (this.#lb === null) context.reset();
    if (this.#tried !== null && this.route!.retry.fields.avoidPreviousHosts) {
      context.tried = this.#tried;
      context.maxRepicks = this.route!.retry.fields.hostSelectionMaxAttempts;
    }
    context.nowMs = this.manager.runtime.nowMs();
    return context;
  }

  #tryHost(host: UpstreamHost | null): void {
    const cluster = this.cluster!;
    if (host === null) {
      // With every endpoint's circuit open nobody further up need try again.
      if (cluster.outlier.ejected > 0) this.#gaveUp = true;
      this.reply(503, 'no healthy upstream', 'no_healthy_upstream', ResponseFlag.noHealthyUpstream);
      return;
    }
    this.#host = host;
    this.upstreamRequestAttemptCount++;
    const route = this.route!;
    if (route.fields.rewrite.autoHost && host.endpoint.hostname !== '') this.head.authority = host.endpoint.hostname;
    if (route.fields.includeRequestAttemptCount) setHeader(this.head.headers, 'x-envoy-attempt-count', String(this.upstreamRequestAttemptCount));
    const attempt = new UpstreamAttempt(this, cluster, host);
    this.#attempt = attempt;
    if (this.#requestEnded && route.retry.perTryTimeoutMs > 0) attempt.armPerTry(route.retry.perTryTimeoutMs);
    if (this.#raw) attempt.startRaw();
    else {
      const { protocol } = cluster.config.http;
      attempt.start(protocol === 'http2' || (protocol === 'downstream' && this.head.version === 20));
    }
  }

  /** Whether the head that goes upstream is all of the request. */
  get upstreamFin(): boolean {
    return this.#requestEnded && this.#buffer === null && this.#requestTrailers === null;
  }

  /** A connection took the head: what is kept of the content follows. */
  onAttached(attempt: UpstreamAttempt): void {
    attempt.markAttached();
    this.#upstreamLocal = attempt.localAddress;
    this.upstreamPeerUri = attempt.peerUri;
    this.upstreamSecure = attempt.secure;
    const client = attempt.client;
    if (client === null) return;
    const buffer = this.#buffer;
    let room = true;
    if (buffer !== null) {
      const last = buffer.chunks.length - 1;
      const ends = this.#requestEnded && this.#requestTrailers === null;
      for (let i = 0; i <= last; i++) room = client.sendBody(buffer.chunks[i]!, 0, buffer.chunks[i]!.length, ends && i === last);
      if (!this.#retain) this.#buffer = null;
    }
    if (this.#requestTrailers !== null) client.sendTrailers(this.#requestTrailers);
    if (room && this.#downstreamPaused && !this.#requestEnded) this.#resumeDownstream();
  }

  onBody(buffer: Buffer, start: number, end: number, fin: boolean): void {
    if (this.#done) return;
    this.moved = true;
    this.bytesReceived += end - start;
    if (fin) this.#onRequestEnd();
    const client = this.#attempt?.client ?? null;
    if (client === null || this.#retain) {
      this.#buffer ??= new BodyBuffer();
      this.#buffer.add(buffer, start, end);
      // An end without content is known by the flag alone.
      if (this.#buffer.chunks.length === 0) this.#buffer = null;
      if (this.#buffer !== null && this.#buffer.bytes > this.#bufferLimitBytes) {
        if (client === null) this.#pauseDownstream();
        else {
          this.#buffer = null;
          this.#retain = false;
        }
        this.#replayable = false;
      }
    }
    if (client !== null) {
      if (!client.sendBody(buffer, start, end, fin) && !fin) this.#pauseDownstream();
    }
    if (fin && this.#tunnel && this.#responseEnded) this.#complete();
  }

  onTrailers(trailers: HeaderList): void {
    if (this.#done) return;
    this.#requestTrailers = trailers;
    this.#onRequestEnd();
    this.#attempt?.client?.sendTrailers(trailers);
  }

  #onRequestEnd(): void {
    this.#requestEnded = true;
    this.#requestEndMs = this.manager.runtime.nowMs();
    if (this.route === null || this.cluster === null) return;
    this.#armRouteTimeout();
    const { perTryTimeoutMs } = this.route.retry;
    if (perTryTimeoutMs > 0) this.#attempt?.armPerTry(perTryTimeoutMs);
  }

  /** As in Envoy: it runs from the end of the request. */
  #armRouteTimeout(): void {
    if (this.#routeTimer !== undefined || this.#response !== null) return;
    const timeoutMs = this.#timeoutMs(this.route!);
    if (timeoutMs > 0) this.#routeTimer = this.manager.runtime.wheel.arm(timeoutMs, this, Timer.ROUTE);
  }

  #timeoutMs(route: RouteEntry): number {
    const { grpcTimeoutMaxMs, grpcTimeoutOffsetMs } = route.fields;
    if (grpcTimeoutMaxMs < 0) return route.timeoutMs;
    const asked = grpcTimeoutHeaderMs(this.head.headers);
    if (asked < 0) return route.timeoutMs;
    const less = grpcTimeoutOffsetMs > 0 && asked > grpcTimeoutOffsetMs ? asked - grpcTimeoutOffsetMs : asked;
    return grpcTimeoutMaxMs === 0 ? less : asked === 0 ? grpcTimeoutMaxMs : Math.min(less, grpcTimeoutMaxMs);
  }

  /** The downstream went away. */
  onReset(_reason: ResetReason, _detail: string): void {
    if (this.#done) return;
    this.responseFlags |= ResponseFlag.downstreamConnectionTermination;
    if (this.responseCodeDetails === '') this.responseCodeDetails = 'downstream_remote_disconnect';
    const attempt = this.#attempt;
    if (attempt !== null && !attempt.responseStarted) attempt.cluster.outlier.onAttemptCancelled(attempt.host);
    this.#complete();
  }

  onDrain(): void {
    this.#attempt?.client?.resume();
  }

  #pauseDownstream(): void {
    if (this.#downstreamPaused) return;
    this.#downstreamPaused = true;
    this.#stream.pause();
  }

  #resumeDownstream(): void {
    this.#downstreamPaused = false;
    this.#stream.resume();
  }

  // ---- upstream ----

  onUpstreamInformational(head: ResponseHead): void {
    // 100 is the codecs' own affair on each side, but the client waits for the upstream's word.
    this.moved = true;
    this.#stream.sendInformational(head);
  }

  onUpstreamHead(attempt: UpstreamAttempt, head: ResponseHead, fin: boolean): void {
    this.moved = true;
    const { runtime } = this.manager;
    const nowMs = runtime.nowMs();
    const grpcStatus = fin ? headerValue(head.headers, 'grpc-status') : undefined;
    attempt.cluster.outlier.onResponse(attempt.host, grpcStatus === undefined ? head.status : grpcToHttpStatus(Number(grpcStatus)), nowMs);
    if (head.status < 500) attempt.host.stats.requestSuccess++;
    else attempt.host.stats.requestError++;
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
    this.#responseStartMs = nowMs;
    this.responseCodeDetails = 'via_upstream';
    this.#commit(head, fin);
  }

  /** Whether the content is still there, and the budget allows one more. */
  #mayRetry(): boolean {
    if (!this.#replayable || (this.#buffer === null && !this.#requestEnded && this.bytesReceived > 0)) return false;
    this.#releaseRetry();
    if (!this.cluster!.limits.tryRetry()) {
      this.responseFlags |= ResponseFlag.upstreamOverflow;
      return false;
    }
    this.#retryHeld = true;
    return true;
  }

  #releaseRetry(): void {
    if (!this.#retryHeld) return;
    this.#retryHeld = false;
    this.cluster!.limits.releaseRetry();
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
    if (cluster.forwardProxy !== null) this.#tryHost(this.#host);
    else this.#tryHost(cluster.pick(this.#pickContext()));
  }

  #commit(head: ResponseHead, fin: boolean): void {
    const { manager } = this;
    const { headers } = head;
    this.#response = head;
    this.#tunnel = head.tunnel;
    this.responseCode = head.status;
    // Nothing is sent again from here on.
    this.#retain = false;
    if (this.#attempt?.client !== null) this.#buffer = null;
    this.#cancelTimers();
    this.#markGivenUp(head);
    const route = this.route;
    if (route !== null) {
      route.finalizeResponse(headers, this.#choice, this);
      const { filters } = route.fields;
      if (!filters.responseMutations.empty) filters.responseMutations.apply(headers, this);
      if (manager.config.filters.cors && filters.cors.enabled && filters.cors.decide(this.head, this.#random) === 'actual')
        filters.cors.applyToResponse(this.head, headers);
      if (route.fields.includeAttemptCountInResponse) setHeader(headers, 'x-envoy-attempt-count', String(this.upstreamRequestAttemptCount));
    }
    manager.config.filters.mutations?.response.apply(headers, this);
    if (this.#lb !== null && this.#lb.setCookie !== '') headers.push('set-cookie', this.#lb.setCookie);
    if ((this.responseFlags & SIGNED_FLAGS) !== 0 && this.responseCodeDetails === 'via_upstream') this.#sign(head);
    if (manager.config.alwaysSetRequestIdInResponse && this.requestId !== '') setHeader(headers, 'x-request-id', this.requestId);
    if (this.connection.draining) this.connection.drain();
    if (fin) this.#responseEnded = true;
    if (!this.#stream.sendResponse(head, fin) && !fin) this.#attempt?.client?.pause();
    if (fin) this.#afterResponse();
  }

  /**
   * "Do not retry this again", by what docs/xds.md says: remembered where the application's own call was given up, put on
   * what goes to another proxy, taken off what goes to an application.
   */
  #markGivenUp(head: ResponseHead): void {
    const { direction, runtime } = this.manager;
    if (head.status < 500 && !this.#gaveUp) return;
    if (direction === 'inbound') {
      if (this.#gaveUp || (head.status >= 500 && runtime.givenUp.has(this.requestId, runtime.nowMs()))) setHeader(head.headers, GAVE_UP_HEADER, GAVE_UP);
      return;
    }
    const index = headerIndex(head.headers, GAVE_UP_HEADER);
    if (index >= 0 && head.headers[index + 1] === GAVE_UP) {
      this.#gaveUp = true;
      if (direction === 'outbound') removeHeader(head.headers, GAVE_UP_HEADER);
    } else if (this.#gaveUp && direction === 'unspecified') setHeader(head.headers, GAVE_UP_HEADER, GAVE_UP);
    if (this.#gaveUp) runtime.givenUp.add(this.requestId, runtime.nowMs());
  }

  onUpstreamBody(buffer: Buffer, start: number, end: number, fin: boolean): void {
    this.moved = true;
    this.bytesSent += end - start;
    if (fin) this.#responseEnded = true;
    const room = this.#stream.sendBody(buffer, start, end, fin);
    if (fin) this.#afterResponse();
    else if (!room) this.#attempt?.client?.pause();
  }

  onUpstreamTrailers(trailers: HeaderList): void {
    this.responseTrailers = trailers;
    this.#responseEnded = true;
    const attempt = this.#attempt;
    const grpcStatus = headerValue(trailers, 'grpc-status');
    if (attempt !== null && grpcStatus !== undefined && grpcStatus !== '0')
      attempt.cluster.outlier.onResponse(attempt.host, grpcToHttpStatus(Number(grpcStatus)), this.manager.runtime.nowMs());
    this.#stream.sendTrailers(trailers);
    this.#afterResponse();
  }

  onUpstreamDrain(): void {
    if (this.#downstreamPaused && !this.#done) this.#resumeDownstream();
  }

  onUpstreamReset(attempt: UpstreamAttempt, reason: ResetReason, detail: string): void {
    if (this.#response !== null) {
      this.responseFlags |=
        reason === 'ProtocolError'
          ? ResponseFlag.upstreamProtocolError
          : reason === 'RemoteReset'
            ? ResponseFlag.upstreamRemoteReset
            : ResponseFlag.upstreamConnectionTermination;
      this.responseCodeDetails = `upstream_reset_after_response_started{${detail === '' ? reason : detail}}`;
      attempt.cluster.outlier.onLocalOriginFailure(attempt.host, 'reset', this.manager.runtime.nowMs());
      this.#stream.reset(reason === 'ProtocolError' ? 'ProtocolError' : 'RemoteReset');
      this.#complete();
      return;
    }
    // A keep-alive connection that its upstream closed just as the request was written: not the endpoint's fault, and not a retry.
    if (attempt.reused && !attempt.responseStarted && reason === 'ConnectionTermination' && !this.#replayed && this.#replayable && isIdempotent(this.head)) {
      this.#replayed = true;
      attempt.cluster.outlier.onAttemptCancelled(attempt.host);
      this.#attempt = null;
      attempt.finish(true);
      this.#tryHost(attempt.host);
      return;
    }
    this.onAttemptFailed(attempt, failureOf(reason), detail, reason === 'RemoteReset' ? ResponseFlag.upstreamRemoteReset : 0);
  }

  onPerTryTimeout(attempt: UpstreamAttempt): void {
    if (this.#done || this.#response !== null || attempt !== this.#attempt) return;
    attempt.host.stats.requestTimeout++;
    this.onAttemptFailed(attempt, 'per-try-timeout', '');
  }

  onAttemptFailed(attempt: UpstreamAttempt, failure: AttemptFailure, detail: string, otherFlag = 0): void {
    if (this.#done) return;
    const [flag, words, name] = FAILURES[failure];
    const { outlier } = attempt.cluster;
    const nowMs = this.manager.runtime.nowMs();
    attempt.host.stats.requestError++;
    if (failure === 'overflow') outlier.onAttemptCancelled(attempt.host);
    else if (failure === 'connect-failure' || failure === 'connect-timeout') outlier.onLocalOriginFailure(attempt.host, failure, nowMs);
    else outlier.onLocalOriginFailure(attempt.host, failure === 'per-try-timeout' ? 'timeout' : 'reset', nowMs);
    this.#failureReason = detail;
    this.#connectTimedOut = failure === 'connect-timeout';
    let flags = otherFlag === 0 ? flag : otherFlag;
    if (this.#retry !== null) {
      const verdict = this.#retry.onFailure(this.head, failure);
      // A connection that was refused has cost nobody anything: the budget is for tries that may be work.
      if (verdict === 'retry' && (failure === 'connect-failure' ? this.#replayable : this.#mayRetry())) {
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
    if (failure === 'per-try-timeout') {
      this.reply(504, 'upstream request timeout', 'upstream_per_try_timeout', flags);
      return;
    }
    const transport = detail === '' ? '' : `, transport failure reason: ${detail}`;
    const reason = otherFlag === ResponseFlag.upstreamRemoteReset ? 'remote reset' : words;
    const detailName = detail === '' ? name : `${name}|${detail.replaceAll(' ', '_')}`;
    this.reply(
      503,
      `upstream connect error or disconnect/reset before headers. reset reason: ${reason}${transport}`,
      `upstream_reset_before_response_started{${detailName}}`,
      flags,
    );
  }

  // ---- answers made here ----

  /** Answers in place of the upstream, signed. */
  reply(status: number, body: string, details: string, flags: number): void {
    this.responseFlags |= flags;
    this.responseCodeDetails = details.replaceAll(' ', '_');
    const { head, body: bytes } = localReplyHead(this.head, status, body);
    this.#sign(head);
    this.#send(head, bytes);
  }

  #sign(head: ResponseHead): void {
    const { proxyName } = this.manager.config;
    if (proxyName !== '') head.headers.push('proxy-status', proxyStatus(proxyName, this.responseFlags, this.responseCodeDetails, this.#connectTimedOut));
    if (this.requestId !== '') setHeader(head.headers, 'x-request-id', this.requestId);
  }

  #direct(status: number, headers: HeaderList, body: Buffer, details: string): void {
    const head = new ResponseHead();
    head.status = status;
    head.headers = ['content-length', String(body.length), ...headers];
    head.bodyLength = body.length;
    this.responseCodeDetails = details;
    if (status >= 400) this.#sign(head);
    this.#send(head, this.head.method === 'HEAD' ? NOTHING : body);
  }

  #redirect(status: number, location: string): void {
    this.#direct(status, ['location', location], NOTHING, 'direct_response');
  }

  #send(head: ResponseHead, body: Buffer): void {
    this.#abandonAttempt();
    if (this.#done || this.#response !== null) return;
    this.#commit(head, body.length === 0);
    if (body.length > 0) this.onUpstreamBody(body, 0, body.length, true);
  }

  #abandonAttempt(): void {
    const attempt = this.#attempt;
    this.#attempt = null;
    attempt?.finish(false);
  }

  // ---- time ----

  onTimer(kind: number): void {
    if (this.#done) return;
    switch (kind) {
      case Timer.RETRY:
        this.#waitTimer = undefined;
        this.#retryNow();
        break;
      case Timer.DELAY:
        this.#waitTimer = undefined;
        if (!this.#fault(this.route!)) this.#act(this.route!);
        break;
      case Timer.WAIT:
        this.#waitTimer = undefined;
        this.manager.routes.cancel(this);
        this.onRoutes(false);
        break;
      case Timer.ROUTE:
        this.#routeTimer = undefined;
        this.#onTimeout('response_timeout', ResponseFlag.upstreamRequestTimeout);
        break;
      case Timer.DURATION:
        this.#durationTimer = undefined;
        this.#onTimeout('max_duration_timeout', ResponseFlag.durationTimeout);
    }
  }

  #onTimeout(details: string, flag: number): void {
    const attempt = this.#attempt;
    if (attempt !== null && !attempt.responseStarted) {
      attempt.host.stats.requestTimeout++;
      attempt.cluster.outlier.onLocalOriginFailure(attempt.host, 'timeout', this.manager.runtime.nowMs());
    }
    if (this.#response === null) {
      this.reply(504, 'upstream request timeout', details, flag);
      return;
    }
    this.responseFlags |= flag;
    this.responseCodeDetails = details;
    this.#stream.reset('LocalReset');
    this.#complete();
  }

  /** Nothing has moved for the idle timeout. */
  onIdle(): void {
    if (this.#done) return;
    if (this.#response === null) {
      const attempt = this.#attempt;
      if (attempt !== null) attempt.cluster.outlier.onAttemptCancelled(attempt.host);
      // Who is at fault: the client that does not finish its request, or the upstream that does not answer.
      if (this.#requestEnded) this.reply(504, 'stream timeout', 'stream_idle_timeout', ResponseFlag.streamIdleTimeout);
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
  }

  // ---- end ----

  #afterResponse(): void {
    if (!this.#tunnel || this.#requestEnded) this.#complete();
  }

  #complete(): void {
    if (this.#done) return;
    this.#done = true;
    const { manager } = this;
    this.#endMs = manager.runtime.nowMs();
    this.#cancelTimers();
    if (this.#durationTimer !== undefined) manager.runtime.wheel.cancel(this.#durationTimer);
    if (this.#waiting) manager.routes.cancel(this);
    const attempt = this.#attempt;
    this.#attempt = null;
    attempt?.finish(this.#responseEnded);
    if (this.#retryHeld) this.#releaseRetry();
    this.#buffer = null;
    manager.unlink(this);
    manager.recorder.record(this);
    this.connection.onStreamEnd();
  }

  // ---- StreamInfo ----

  get durationMs(): number {
    return (this.#endMs < 0 ? this.manager.runtime.nowMs() : this.#endMs) - this.#startMs;
  }
  get requestDurationMs(): number {
    return this.#requestEndMs < 0 ? -1 : this.#requestEndMs - this.#startMs;
  }
  get responseDurationMs(): number {
    return this.#responseStartMs < 0 ? -1 : this.#responseStartMs - this.#startMs;
  }
  get responseTxDurationMs(): number {
    return this.#responseStartMs < 0 || this.#endMs < 0 ? -1 : this.#endMs - this.#responseStartMs;
  }
  get protocol(): string {
    return this.head.version === 20 ? 'HTTP/2' : this.head.version === 10 ? 'HTTP/1.0' : 'HTTP/1.1';
  }
  get method(): string {
    return this.head.method;
  }
  get path(): string {
    return this.head.path;
  }
  get scheme(): string {
    return this.head.scheme;
  }
  get authority(): string {
    return this.head.authority;
  }
  get requestHeaders(): HeaderList {
    return this.head.headers;
  }
  get responseHeaders(): HeaderList {
    return this.#response === null ? NO_HEADERS : this.#response.headers;
  }
  get connectionTerminationDetails(): string {
    return '';
  }
  get routeName(): string {
    return this.route === null ? '' : this.route.name;
  }
  get virtualClusterName(): string {
    return '';
  }
  get upstreamCluster(): string {
    return this.cluster === null ? '' : this.cluster.name;
  }
  get upstreamHost(): string {
    return this.#host === null ? '' : this.#host.address;
  }
  /** The endpoint of the last attempt. */
  get endpoint(): UpstreamHost | null {
    return this.#host;
  }
  get upstreamLocalAddress(): string {
    return this.#upstreamLocal;
  }
  get upstreamTransportFailureReason(): string {
    return this.#failureReason;
  }
  get downstreamLocalAddress(): string {
    return this.connection.info.localAddress;
  }
  get downstreamRemoteAddress(): string {
    return this.connection.info.remoteAddress;
  }
  get downstreamDirectRemoteAddress(): string {
    return this.connection.info.remoteAddress;
  }
  get requestedServerName(): string {
    return this.connection.info.requestedServerName;
  }
  get downstreamTlsVersion(): string {
    return this.connection.info.tlsVersion;
  }
  get downstreamPeerUri(): string {
    return this.connection.info.peer.uri;
  }
  get downstreamLocalUri(): string {
    return this.connection.info.localUri;
  }
  get traceId(): string {
    return this.trace === null ? '' : this.trace.traceId;
  }
  get connectionId(): number {
    return this.connection.info.id;
  }
}

function failureOf(reason: ResetReason): AttemptFailure {
  switch (reason) {
    case 'RemoteRefusedStream':
    case 'LocalRefusedStream':
      return 'refused-stream';
    case 'ConnectionFailure':
    case 'ConnectError':
      return 'connect-failure';
    case 'ProtocolError':
      return 'protocol-error';
    case 'Overflow':
      return 'overflow';
    default:
      return 'reset';
  }
}

const GRPC_UNITS: Readonly<Record<string, number>> = { H: 3_600_000, M: 60_000, S: 1000, m: 1, u: 1e-3, n: 1e-6 };

/** gRPC over HTTP/2: at most eight digits and a unit. -1: absent or not readable. */
function grpcTimeoutHeaderMs(headers: readonly string[]): number {
  const match = /^(\d{1,8})([HMSmun])$/.exec(headerValue(headers, 'grpc-timeout') ?? '');
  return match === null ? -1 : Number(match[1]) * GRPC_UNITS[match[2]!]!;
}
