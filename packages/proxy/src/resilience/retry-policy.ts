import type { Random } from '@outrigger/telemetry';
import type { RequestHead, ResponseHead } from '../http/message.ts';
import type { HostPredicate } from '../lb/context.ts';
import type { HeaderMatcher } from '../routing/header-matcher.ts';
import { headerValue } from '../routing/headers.ts';
import type { ResourceLimits } from './limits.ts';

/** Conditions of retry_on and of x-envoy-retry-grpc-on, as bits. */
export const RetryOn = {
  serverError: 1 << 0,
  gatewayError: 1 << 1,
  reset: 1 << 2,
  resetBeforeRequest: 1 << 3,
  connectFailure: 1 << 4,
  refusedStream: 1 << 5,
  retriable4xx: 1 << 6,
  retriableStatusCodes: 1 << 7,
  retriableHeaders: 1 << 8,
  envoyRatelimited: 1 << 9,
  grpcCancelled: 1 << 10,
  grpcDeadlineExceeded: 1 << 11,
  grpcInternal: 1 << 12,
  grpcResourceExhausted: 1 << 13,
  grpcUnavailable: 1 << 14,
} as const;

const ANY_GRPC = RetryOn.grpcCancelled | RetryOn.grpcDeadlineExceeded | RetryOn.grpcInternal | RetryOn.grpcResourceExhausted | RetryOn.grpcUnavailable;

/**
 * How an attempt ended without an answer. The first three cannot have reached the application; 'reset-before-request'
 * says that the request's head had not been written when the stream was reset.
 */
export type AttemptFailure =
  | 'connect-failure'
  | 'connect-timeout'
  | 'refused-stream'
  | 'reset-before-request'
  | 'reset'
  | 'per-try-timeout'
  | 'per-try-idle-timeout'
  | 'protocol-error'
  | 'overflow';

/** 'spent': it would have been retried, but no retry is left (response flag URX). */
export type RetryVerdict = 'retry' | 'no' | 'spent';

export interface ResetHeader {
  /** Lower case. */
  readonly name: string;
  readonly format: 'seconds' | 'unix-timestamp';
}

export interface RetryPolicyFields {
  /** Bits of RetryOn; 0: never. */
  readonly retryOn: number;
  /** Retries after the first attempt. */
  readonly maxRetries: number;
  /** ms; 0: the route's timeout alone. */
  readonly perTryTimeoutMs: number;
  readonly retriableStatusCodes: readonly number[];
  /** One of them must match the response. */
  readonly retriableHeaders: readonly HeaderMatcher[];
  /** If there are any, one must match the request, else nothing is retried. */
  readonly retriableRequestHeaders: readonly HeaderMatcher[];
  readonly backoffBaseMs: number;
  readonly backoffMaxMs: number;
  /** Headers in which an upstream says when to come back. */
  readonly resetHeaders: readonly ResetHeader[];
  readonly resetMaxMs: number;
  /** ms without a byte of the attempt, either way; 0: none. */
  readonly perTryIdleTimeoutMs: number;
  /** Which endpoints a retry avoids. */
  readonly avoided: AvoidedHosts;
  readonly hostSelectionMaxAttempts: number;
  /** outrigger.dev: a request that may have reached the application is retried only if it is idempotent. */
  readonly idempotentOnly: boolean;
  /** outrigger.dev: retries after a connect timeout; -1: as any other failure. */
  readonly connectTimeoutRetries: number;
}

/** retry_host_predicate and retry_priority. */
export interface AvoidedHosts {
  /** Of earlier attempts (previous_hosts). */
  readonly previous: boolean;
  /** Whose metadata says so (omit_canary_hosts, omit_host_metadata); null: none. */
  readonly omitted: HostPredicate | null;
  /** After so many attempts priorities that had one are left out (previous_priorities); 0: they are not. */
  readonly prioritiesAfter: number;
}

export const AVOIDS_NOBODY: AvoidedHosts = { previous: false, omitted: null, prioritiesAfter: 0 };

const IDEMPOTENT_METHODS: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS', 'TRACE', 'PUT', 'DELETE']);

/** RFC 9110 section 9.2.2, and the Idempotency-Key header by which a caller promises it for other methods. */
export function isIdempotent(head: RequestHead): boolean {
  return IDEMPOTENT_METHODS.has(head.method) || headerValue(head.headers, 'idempotency-key') !== undefined;
}

/** When a request is sent again. Immutable; what one request has used up is in RetryState. */
export class RetryPolicy {
  readonly fields: RetryPolicyFields;
  readonly maxRetries: number;
  readonly perTryTimeoutMs: number;
  readonly perTryIdleTimeoutMs: number;
  /** False: nothing is ever retried, and a request needs no RetryState and no buffered body. */
  readonly enabled: boolean;
  readonly #retryOn: number;

  constructor(fields: RetryPolicyFields) {
    this.fields = fields;
    this.maxRetries = fields.maxRetries;
    this.perTryTimeoutMs = fields.perTryTimeoutMs;
    this.perTryIdleTimeoutMs = fields.perTryIdleTimeoutMs;
    this.#retryOn = fields.retryOn;
    this.enabled = fields.retryOn !== 0 && fields.maxRetries > 0;
  }

  /** Whether the policy holds for this request at all. */
  appliesTo(head: RequestHead): boolean {
    if (!this.enabled) return false;
    const matchers = this.fields.retriableRequestHeaders;
    return matchers.length === 0 || matchers.some((matcher) => matcher.matchesRequest(head));
  }

  /** Whether this answer asks for a retry, counts left aside. */
  retriesResponse(head: RequestHead, response: ResponseHead): boolean {
    const on = this.#retryOn;
    const status = response.status;
    // An answer without fault is by far the most frequent.
    if (status < 400 && (on & (RetryOn.retriableStatusCodes | RetryOn.retriableHeaders | RetryOn.envoyRatelimited | ANY_GRPC)) === 0) return false;
    if (this.fields.idempotentOnly && !isIdempotent(head)) return false;
    if (headerValue(response.headers, 'x-envoy-ratelimited') !== undefined) return (on & RetryOn.envoyRatelimited) !== 0;
    if ((on & RetryOn.serverError) !== 0 && status >= 500 && status < 600) return true;
    if ((on & RetryOn.gatewayError) !== 0 && status >= 502 && status <= 504) return true;
    if ((on & RetryOn.retriable4xx) !== 0 && status === 409) return true;
    if ((on & RetryOn.retriableStatusCodes) !== 0 && this.fields.retriableStatusCodes.includes(status)) return true;
    if ((on & RetryOn.retriableHeaders) !== 0 && this.fields.retriableHeaders.some((matcher) => matcher.matchesResponse(response))) return true;
    return (on & ANY_GRPC) !== 0 && this.#retriesGrpc(headerValue(response.headers, 'grpc-status'));
  }

  /** Only a trailers-only answer can be retried: after that the caller has seen the head. */
  #retriesGrpc(grpcStatus: string | undefined): boolean {
    const on = this.#retryOn;
    switch (grpcStatus) {
      case '1':
        return (on & RetryOn.grpcCancelled) !== 0;
      case '4':
        return (on & RetryOn.grpcDeadlineExceeded) !== 0;
      case '8':
        return (on & RetryOn.grpcResourceExhausted) !== 0;
      case '13':
        return (on & RetryOn.grpcInternal) !== 0;
      case '14':
        return (on & RetryOn.grpcUnavailable) !== 0;
      default:
        return false;
    }
  }

  /** Whether this failure asks for a retry, counts left aside. */
  retriesFailure(head: RequestHead, failure: AttemptFailure): boolean {
    if (failure === 'overflow') return false;
    const on = this.#retryOn;
    const reached = failure !== 'connect-failure' && failure !== 'connect-timeout' && failure !== 'refused-stream' && failure !== 'reset-before-request';
    if (reached && this.fields.idempotentOnly && !isIdempotent(head)) return false;
    if ((on & (RetryOn.serverError | RetryOn.gatewayError | RetryOn.reset)) !== 0) return true;
    switch (failure) {
      case 'connect-failure':
      case 'connect-timeout':
        return (on & (RetryOn.connectFailure | RetryOn.resetBeforeRequest)) !== 0;
      case 'refused-stream':
        return (on & RetryOn.refusedStream) !== 0;
      case 'reset-before-request':
        return (on & RetryOn.resetBeforeRequest) !== 0;
      default:
        return false;
    }
  }

  /** Wait before retry number `retry` (1 is the first): full jitter below base x 2^(retry-1), capped. */
  backoffMs(retry: number, random: Random): number {
    const ceiling = Math.min(this.fields.backoffBaseMs * 2 ** (retry - 1), this.fields.backoffMaxMs);
    return (random.uint32() / 0x1_0000_0000) * ceiling;
  }

  /** What the upstream asked for (rate_limited_retry_back_off), ms; -1: it did not. `unixMs` is wall-clock time. */
  requestedDelayMs(response: ResponseHead, unixMs: number): number {
    for (const header of this.fields.resetHeaders) {
      const text = headerValue(response.headers, header.name);
      if (text === undefined || !/^\d{1,15}$/.test(text)) continue;
      const delayMs = header.format === 'seconds' ? Number(text) * 1000 : Number(text) * 1000 - unixMs;
      if (delayMs >= 0 && delayMs <= this.fields.resetMaxMs) return delayMs;
    }
    return -1;
  }
}

/** What one request has used of its policy. Made only where the policy applies to the request. */
export class RetryState {
  readonly policy: RetryPolicy;
  /** Retries so far. */
  retries = 0;
  #connectTimeoutRetries = 0;
  /** Where its retry under way is counted. */
  #held: ResourceLimits | null = null;

  constructor(policy: RetryPolicy) {
    this.policy = policy;
  }

  /** A 'retry' is counted. The budget (`hold`) is asked after it. */
  onResponse(head: RequestHead, response: ResponseHead): RetryVerdict {
    if (!this.policy.retriesResponse(head, response)) return 'no';
    return this.#take();
  }

  onFailure(head: RequestHead, failure: AttemptFailure): RetryVerdict {
    if (!this.policy.retriesFailure(head, failure)) return 'no';
    const limit = this.policy.fields.connectTimeoutRetries;
    if (failure === 'connect-timeout' && limit >= 0) {
      if (this.#connectTimeoutRetries >= limit) return 'spent';
      this.#connectTimeoutRetries++;
    }
    return this.#take();
  }

  /** A retry beside an attempt whose time is over, whatever the conditions say (hedge_on_per_try_timeout); false: none is left. */
  onHedge(): boolean {
    return this.#take() === 'retry';
  }

  /** Takes a place in the budget, in the place of the one before; false: there is none. */
  hold(limits: ResourceLimits): boolean {
    this.release();
    if (!limits.tryRetry()) return false;
    this.#held = limits;
    return true;
  }

  release(): void {
    this.#held?.releaseRetry();
    this.#held = null;
  }

  #take(): RetryVerdict {
    if (this.retries >= this.policy.maxRetries) return 'spent';
    this.retries++;
    return 'retry';
  }
}
