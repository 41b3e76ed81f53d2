import type { JsonObject } from '@bufbuild/protobuf';
import type { Random } from '@outrigger/telemetry';
import { type OutlierDetection, OutlierDetectionSchema } from '@outrigger/xds/protos/envoy/config/cluster/v3/outlier_detection';
import type { CompileReport } from '../routing/compile-result.ts';
import { durationMs } from '../routing/duration.ts';
import { checkFields, fieldPolicy } from '../xds/fields.ts';
import type { OutlierState } from './outlier-state.ts';
import { compileRates, judgeRates, NO_RATES, type RatePolicy, type RequestCount } from './success-rate.ts';

export interface OutlierPolicy {
  /** False: nothing is counted and nobody is ejected. */
  readonly enabled: boolean;
  /** Failures in a row until an ejection; 0: that kind does not eject. */
  readonly consecutive5xx: number;
  readonly consecutiveGatewayFailure: number;
  readonly consecutiveLocalOriginFailure: number;
  /** Chance that such an ejection is carried out, percent. */
  readonly enforcing5xx: number;
  readonly enforcingGatewayFailure: number;
  readonly enforcingLocalOriginFailure: number;
  readonly rates: RatePolicy;
  readonly enforcingSuccessRate: number;
  readonly enforcingLocalOriginSuccessRate: number;
  readonly enforcingFailurePercentage: number;
  readonly enforcingLocalOriginFailurePercentage: number;
  /** Failures to connect, resets and timeouts are counted apart from answers. */
  readonly splitLocalOrigin: boolean;
  readonly intervalMs: number;
  readonly baseEjectionMs: number;
  readonly maxEjectionMs: number;
  readonly ejectionJitterMs: number;
  readonly maxEjectionPercent: number;
  readonly alwaysEjectOneHost: boolean;
  /** outrigger.dev: after the base time one trial request decides, and no multiplier grows. */
  readonly halfOpen: boolean;
  /** A health check that passes ends an ejection. */
  readonly unejectByCheck: boolean;
}

const DISABLED: OutlierPolicy = {
  enabled: false,
  consecutive5xx: 0,
  consecutiveGatewayFailure: 0,
  consecutiveLocalOriginFailure: 0,
  enforcing5xx: 0,
  enforcingGatewayFailure: 0,
  enforcingLocalOriginFailure: 0,
  rates: NO_RATES,
  enforcingSuccessRate: 0,
  enforcingLocalOriginSuccessRate: 0,
  enforcingFailurePercentage: 0,
  enforcingLocalOriginFailurePercentage: 0,
  splitLocalOrigin: false,
  intervalMs: 10_000,
  baseEjectionMs: 30_000,
  maxEjectionMs: 300_000,
  ejectionJitterMs: 0,
  maxEjectionPercent: 10,
  alwaysEjectOneHost: false,
  halfOpen: false,
  unejectByCheck: true,
};

const OUTLIER = fieldPolicy(
  `consecutive_5xx interval base_ejection_time max_ejection_percent enforcing_consecutive_5xx enforcing_success_rate consecutive_gateway_failure
   enforcing_consecutive_gateway_failure split_external_local_origin_errors consecutive_local_origin_failure
   enforcing_consecutive_local_origin_failure enforcing_failure_percentage max_ejection_time max_ejection_time_jitter always_eject_one_host
   successful_active_health_check_uneject_host success_rate_minimum_hosts success_rate_request_volume success_rate_stdev_factor
   enforcing_local_origin_success_rate failure_percentage_threshold enforcing_failure_percentage_local_origin failure_percentage_minimum_hosts
   failure_percentage_request_volume`,
  'monitors',
);

/** Cluster.outlier_detection with the cluster's `outrigger.dev` metadata (`{outlier: {halfOpen}}`); absent: disabled. */
export function compileOutlierPolicy(config: OutlierDetection | undefined, mesh: JsonObject | undefined, report: CompileReport): OutlierPolicy {
  if (config === undefined) return DISABLED;
  const path = 'outlier_detection';
  checkFields(OutlierDetectionSchema, config, OUTLIER, path, report);
  const outlier = mesh?.['outlier'];
  const extra = typeof outlier === 'object' && outlier !== null && !Array.isArray(outlier) ? outlier : {};
  const baseEjectionMs = durationMs(config.baseEjectionTime, DISABLED.baseEjectionMs);
  return {
    enabled: true,
    consecutive5xx: config.consecutive5xx ?? 5,
    consecutiveGatewayFailure: config.consecutiveGatewayFailure ?? 5,
    consecutiveLocalOriginFailure: config.consecutiveLocalOriginFailure ?? 5,
    enforcing5xx: config.enforcingConsecutive5xx ?? 100,
    enforcingGatewayFailure: config.enforcingConsecutiveGatewayFailure ?? 0,
    enforcingLocalOriginFailure: config.enforcingConsecutiveLocalOriginFailure ?? 100,
    rates: compileRates(config),
    enforcingSuccessRate: config.enforcingSuccessRate ?? 100,
    enforcingLocalOriginSuccessRate: config.enforcingLocalOriginSuccessRate ?? 100,
    enforcingFailurePercentage: config.enforcingFailurePercentage ?? 0,
    enforcingLocalOriginFailurePercentage: config.enforcingFailurePercentageLocalOrigin ?? 0,
    splitLocalOrigin: config.splitExternalLocalOriginErrors,
    intervalMs: Math.max(1, durationMs(config.interval, DISABLED.intervalMs)),
    baseEjectionMs,
    maxEjectionMs: Math.max(baseEjectionMs, durationMs(config.maxEjectionTime, DISABLED.maxEjectionMs)),
    ejectionJitterMs: durationMs(config.maxEjectionTimeJitter, 0),
    maxEjectionPercent: config.maxEjectionPercent ?? DISABLED.maxEjectionPercent,
    alwaysEjectOneHost: config.alwaysEjectOneHost ?? false,
    halfOpen: extra['halfOpen'] === true,
    unejectByCheck: config.successfulActiveHealthCheckUnejectHost ?? true,
  };
}

/** A failure that this side saw itself, without an answer of the endpoint. */
export type LocalOriginFailure = 'connect-failure' | 'connect-timeout' | 'reset' | 'timeout';

export interface OutlierHost {
  readonly outlier: OutlierState;
}

export interface OutlierEvents<H extends OutlierHost> {
  /** The host's state has changed (`host.outlier.state`), or its trial began or ended: the balancer works out its shares anew. */
  onOutlierChange(host: H): void;
  /** `nextSweepMs` is sooner by now. */
  onOutlierInterval(): void;
}

/** What a local failure counts as where it is not counted apart, as in Envoy. */
const STATUS_OF_LOCAL_FAILURE: Readonly<Record<LocalOriginFailure, number>> = {
  'connect-failure': 503,
  'connect-timeout': 504,
  reset: 503,
  timeout: 504,
};

/**
 * Circuit breaker per endpoint: CLOSED, after so many failures in a row OPEN (ejected), then, with `halfOpen`, HALF-OPEN,
 * where one trial request decides; without it CLOSED again as in Envoy, each further ejection longer than the last.
 * One per cluster. Every attempt counts, retries too.
 */
export class OutlierDetector<H extends OutlierHost> {
  readonly policy: OutlierPolicy;
  readonly #events: OutlierEvents<H>;
  readonly #random: Random;
  #hosts: readonly H[] = [];
  #nextIntervalMs = Number.POSITIVE_INFINITY;
  /** Requests are counted: there are endpoints enough to compare, and somebody would be ejected. */
  #counting = false;

  constructor(policy: OutlierPolicy, events: OutlierEvents<H>, random: Random) {
    this.policy = policy;
    this.#events = events;
    this.#random = random;
  }

  /** The cluster's endpoints; those that stay keep their state. */
  setHosts(hosts: readonly H[]): void {
    this.#hosts = hosts;
    const { enabled, rates, enforcingSuccessRate, enforcingLocalOriginSuccessRate, splitLocalOrigin } = this.policy;
    const { enforcingFailurePercentage, enforcingLocalOriginFailurePercentage } = this.policy;
    const compared = enforcingSuccessRate > 0 || (splitLocalOrigin && enforcingLocalOriginSuccessRate > 0);
    const counted = enforcingFailurePercentage > 0 || (splitLocalOrigin && enforcingLocalOriginFailurePercentage > 0);
    this.#counting = enabled && ((compared && hosts.length >= rates.minimumHosts) || (counted && hosts.length >= rates.failureMinimumHosts));
  }

  /** Endpoints that take no ordinary traffic now. */
  get ejected(): number {
    let count = 0;
    for (const host of this.#hosts) if (host.outlier.state !== 'closed') count++;
    return count;
  }

  /** An attempt goes to this host. In half-open it becomes the trial. */
  onAttempt(host: H): void {
    if (!host.outlier.admitsTrial) return;
    host.outlier.trialInFlight = true;
    this.#events.onOutlierChange(host);
  }

  /** A trial ended and says nothing about the host (the caller went away). The next attempt is the trial then. */
  onAttemptCancelled(host: H): void {
    if (!host.outlier.trialInFlight) return;
    host.outlier.trialInFlight = false;
    this.#events.onOutlierChange(host);
  }

  /** An answer came: its HTTP status, for gRPC what grpcToHttpStatus makes of grpc-status. */
  onResponse(host: H, status: number, nowMs: number): void {
    if (!this.policy.enabled) return;
    const outlier = host.outlier;
    if (this.#counting) this.#countRequest(outlier, status < 500, this.policy.splitLocalOrigin, nowMs);
    if (status < 500) {
      // The hot path of every request: nothing is written where nothing has failed.
      if (outlier.consecutive5xx !== 0) outlier.consecutive5xx = 0;
      if (outlier.consecutiveGatewayFailure !== 0) outlier.consecutiveGatewayFailure = 0;
      if (outlier.consecutiveLocalOriginFailure !== 0) outlier.consecutiveLocalOriginFailure = 0;
      if (outlier.state === 'half-open') this.#close(host);
      return;
    }
    outlier.consecutiveLocalOriginFailure = 0;
    this.#countAnswer(host, status, nowMs);
  }

  /**
   * The head of a gRPC answer, whose status comes with its trailers: it says nothing yet, but a trial has an answer, and
   * must not keep all others out for as long as a stream lasts.
   */
  onGrpcHead(host: H): void {
    if (host.outlier.state === 'half-open') this.#close(host);
  }

  onLocalOriginFailure(host: H, failure: LocalOriginFailure, nowMs: number): void {
    if (!this.policy.enabled) return;
    if (!this.policy.splitLocalOrigin) {
      if (this.#counting) this.#countRequest(host.outlier, false, false, nowMs);
      this.#countAnswer(host, STATUS_OF_LOCAL_FAILURE[failure], nowMs);
      return;
    }
    const outlier = host.outlier;
    if (this.#counting) {
      // As in Envoy a connection that was had counts as a success of its own, whatever comes of the request.
      const connected = failure === 'reset' || failure === 'timeout';
      outlier.localOrigin.total += connected ? 2 : 1;
      if (connected) outlier.localOrigin.good++;
      this.#beginInterval(nowMs);
    }
    if (this.#failsTrial(host, nowMs)) return;
    outlier.consecutiveLocalOriginFailure++;
    if (outlier.consecutiveLocalOriginFailure === this.policy.consecutiveLocalOriginFailure) {
      outlier.consecutiveLocalOriginFailure = 0;
      this.#eject(host, this.policy.enforcingLocalOriginFailure, nowMs);
    }
  }

  /**
   * Whoever checks the endpoint's health has seen it become well: it need not sit its time out (Envoy does so after active health
   * checks, successful_active_health_check_uneject_host).
   */
  onRecovered(host: H): void {
    if (host.outlier.state !== 'open') return;
    if (this.policy.halfOpen) this.#halfOpen(host);
    else this.#close(host);
  }

  #countRequest(outlier: OutlierState, good: boolean, connected: boolean, nowMs: number): void {
    outlier.answers.total++;
    if (good) outlier.answers.good++;
    if (connected) {
      outlier.localOrigin.total++;
      outlier.localOrigin.good++;
    }
    if (this.#nextIntervalMs === Number.POSITIVE_INFINITY) this.#beginInterval(nowMs);
  }

  #beginInterval(nowMs: number): void {
    if (this.#nextIntervalMs !== Number.POSITIVE_INFINITY) return;
    this.#nextIntervalMs = nowMs + this.policy.intervalMs;
    this.#events.onOutlierInterval();
  }

  #halfOpen(host: H): void {
    host.outlier.state = 'half-open';
    host.outlier.trialInFlight = false;
    this.#events.onOutlierChange(host);
  }

  #countAnswer(host: H, status: number, nowMs: number): void {
    if (this.#failsTrial(host, nowMs)) return;
    const outlier = host.outlier;
    if (status >= 502 && status <= 504) {
      if (++outlier.consecutiveGatewayFailure === this.policy.consecutiveGatewayFailure) {
        outlier.consecutiveGatewayFailure = 0;
        this.#eject(host, this.policy.enforcingGatewayFailure, nowMs);
      }
    } else outlier.consecutiveGatewayFailure = 0;
    if (++outlier.consecutive5xx === this.policy.consecutive5xx) {
      outlier.consecutive5xx = 0;
      this.#eject(host, this.policy.enforcing5xx, nowMs);
    }
  }

  #failsTrial(host: H, nowMs: number): boolean {
    if (host.outlier.state !== 'half-open') return false;
    this.#open(host, nowMs);
    return true;
  }

  #eject(host: H, enforcingPercent: number, nowMs: number): void {
    if (host.outlier.state !== 'closed') return;
    if (enforcingPercent < 100 && this.#random.uint32() % 100 >= enforcingPercent) return;
    const ejected = this.ejected;
    const percent = ((ejected + 1) * 100) / Math.max(1, this.#hosts.length);
    if (percent > this.policy.maxEjectionPercent && !(this.policy.alwaysEjectOneHost && ejected === 0)) return;
    this.#open(host, nowMs);
  }

  #open(host: H, nowMs: number): void {
    const outlier = host.outlier;
    const { baseEjectionMs, maxEjectionMs, ejectionJitterMs, halfOpen } = this.policy;
    outlier.multiplier = halfOpen ? 1 : outlier.multiplier + 1;
    const jitterMs = ejectionJitterMs > 0 ? (this.#random.uint32() / 0x1_0000_0000) * ejectionJitterMs : 0;
    outlier.state = 'open';
    outlier.trialInFlight = false;
    outlier.ejections++;
    outlier.ejectedUntilMs = nowMs + Math.min(baseEjectionMs * outlier.multiplier, maxEjectionMs) + jitterMs;
    if (!halfOpen) this.#beginInterval(nowMs);
    this.#events.onOutlierChange(host);
  }

  #close(host: H): void {
    const outlier = host.outlier;
    outlier.state = 'closed';
    outlier.trialInFlight = false;
    outlier.multiplier = 0;
    outlier.consecutive5xx = 0;
    outlier.consecutiveGatewayFailure = 0;
    outlier.consecutiveLocalOriginFailure = 0;
    this.#events.onOutlierChange(host);
  }

  /** When `sweep` has something to do; Infinity: nothing until the next ejection. */
  nextSweepMs(): number {
    let next = this.#nextIntervalMs;
    if (!this.policy.halfOpen) return next;
    for (const { outlier } of this.#hosts) if (outlier.state === 'open' && outlier.ejectedUntilMs < next) next = outlier.ejectedUntilMs;
    return next;
  }

  /** Lets those back whose time is over. Called at `nextSweepMs`, or more often. */
  sweep(nowMs: number): void {
    if (this.policy.halfOpen) {
      for (const host of this.#hosts) {
        if (host.outlier.state === 'open' && host.outlier.ejectedUntilMs <= nowMs) this.#halfOpen(host);
      }
    }
    if (nowMs < this.#nextIntervalMs) return;
    let busy = !this.policy.halfOpen && this.#letBack(nowMs);
    if (this.#counting && this.#judge(nowMs)) busy = true;
    this.#nextIntervalMs = busy ? nowMs + this.policy.intervalMs : Number.POSITIVE_INFINITY;
  }

  /** Whether somebody is still out, or on probation. */
  #letBack(nowMs: number): boolean {
    let busy = false;
    for (const host of this.#hosts) {
      const outlier = host.outlier;
      if (outlier.state === 'open') {
        if (outlier.ejectedUntilMs <= nowMs) {
          // The multiplier stays: it shrinks with each interval that passes well.
          const { multiplier } = outlier;
          this.#close(host);
          outlier.multiplier = multiplier;
        }
      } else if (outlier.multiplier > 0) outlier.multiplier--;
      if (outlier.state === 'open' || outlier.multiplier > 0) busy = true;
    }
    return busy;
  }

  /** Ejects by what was counted since the last interval; whether anything was. */
  #judge(nowMs: number): boolean {
    const { policy } = this;
    const counted = this.#hosts.some(({ outlier }) => outlier.answers.total > 0 || outlier.localOrigin.total > 0);
    if (!counted) return false;
    const judge = (countOf: (host: H) => RequestCount, enforcingRate: number, enforcingPercentage: number): void => {
      const { outliers, failing } = judgeRates(
        this.#hosts.filter((host) => host.outlier.state === 'closed'),
        countOf,
        policy.rates,
      );
      for (const host of outliers) this.#eject(host, enforcingRate, nowMs);
      for (const host of failing) this.#eject(host, enforcingPercentage, nowMs);
    };
    judge(({ outlier }) => outlier.answers, policy.enforcingSuccessRate, policy.enforcingFailurePercentage);
    if (policy.splitLocalOrigin)
      judge(({ outlier }) => outlier.localOrigin, policy.enforcingLocalOriginSuccessRate, policy.enforcingLocalOriginFailurePercentage);
    for (const { outlier } of this.#hosts) {
      outlier.answers.reset();
      outlier.localOrigin.reset();
    }
    return true;
  }
}

/** The HTTP status that stands for a gRPC status (google.rpc.Code's mapping), by which a gRPC answer is judged. */
export function grpcToHttpStatus(grpcStatus: number): number {
  return GRPC_TO_HTTP[grpcStatus] ?? 500;
}

const GRPC_TO_HTTP: readonly number[] = [200, 499, 500, 400, 504, 404, 409, 403, 429, 400, 409, 400, 501, 500, 503, 500, 401];
