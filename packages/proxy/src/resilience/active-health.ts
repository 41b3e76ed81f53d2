import type { Random } from '@outrigger/telemetry';

/** 'network': the connection; 'network-timeout': no answer in time; 'active': the answer; 'passive': seen by ordinary traffic. */
export type CheckFailure = 'network' | 'network-timeout' | 'active' | 'passive';
/** 'pending': it would change, were there not a threshold. */
export type HealthTransition = 'unchanged' | 'pending' | 'changed';

export interface HealthThresholds {
  readonly healthyThreshold: number;
  readonly unhealthyThreshold: number;
}

/** What active health checks say of one endpoint; by Envoy's rules. Failed until the first check has passed. */
export class ActiveHealth {
  failed = true;
  /** It failed because nobody answered. */
  timedOut = false;
  /** The check passed with x-envoy-degraded. */
  degraded = false;
  /** Not checked yet, and not to be counted until it is (ignore_new_hosts_until_first_hc). */
  waiting: boolean;
  /** Said of itself that it is to be left out (x-envoy-immediate-health-check-fail). */
  excluded = false;
  #checked = false;
  #healthyInRow = 0;
  #unhealthyInRow = 0;
  readonly #thresholds: HealthThresholds;

  constructor(thresholds: HealthThresholds, waiting: boolean) {
    this.#thresholds = thresholds;
    this.waiting = waiting;
  }

  /** A check has ended, with whatever result. */
  get checked(): boolean {
    return this.#checked;
  }

  onSuccess(degraded: boolean): HealthTransition {
    this.#unhealthyInRow = 0;
    let transition: HealthTransition = 'unchanged';
    if (this.failed) {
      // The first result counts at once, so that a start need not wait for the threshold.
      if (!this.#checked || ++this.#healthyInRow === this.#thresholds.healthyThreshold) {
        this.failed = this.timedOut = this.excluded = false;
        transition = 'changed';
      } else transition = 'pending';
    }
    if (degraded !== this.degraded) {
      this.degraded = degraded;
      if (transition === 'unchanged') transition = 'changed';
    }
    return this.#ended(transition);
  }

  /** `retriable`: an answer that counts towards the threshold; any other answer fails at once. */
  onFailure(failure: CheckFailure, retriable: boolean): HealthTransition {
    this.#healthyInRow = 0;
    const network = failure === 'network' || failure === 'network-timeout';
    let transition: HealthTransition = 'unchanged';
    if (!this.failed) {
      if ((!network && !retriable) || ++this.#unhealthyInRow === this.#thresholds.unhealthyThreshold) {
        this.failed = true;
        transition = 'changed';
      } else transition = 'pending';
    }
    this.timedOut = failure === 'network-timeout' && this.failed;
    return this.#ended(transition);
  }

  #ended(transition: HealthTransition): HealthTransition {
    this.#checked = true;
    if (!this.waiting) return transition;
    this.waiting = false;
    return 'changed';
  }
}

export interface CheckIntervals {
  readonly intervalMs: number;
  readonly intervalJitterMs: number;
  readonly intervalJitterPercent: number;
  readonly noTrafficIntervalMs: number;
  readonly noTrafficHealthyIntervalMs: number;
  readonly unhealthyIntervalMs: number;
  readonly unhealthyEdgeIntervalMs: number;
  readonly healthyEdgeIntervalMs: number;
}

/** When the next check is due after one that `passed`, ms. `traffic`: the cluster has ever had a connection. */
export function nextCheckMs(intervals: CheckIntervals, passed: boolean, transition: HealthTransition, traffic: boolean, random: Random): number {
  const pending = transition === 'pending';
  let ms: number;
  if (!traffic) ms = passed && !pending ? intervals.noTrafficHealthyIntervalMs : intervals.noTrafficIntervalMs;
  else if (passed) ms = pending ? intervals.healthyEdgeIntervalMs : intervals.intervalMs;
  else ms = pending ? intervals.unhealthyEdgeIntervalMs : intervals.unhealthyIntervalMs;
  const share = (): number => random.uint32() / 0x1_0000_0000;
  const { intervalJitterPercent, intervalJitterMs } = intervals;
  if (intervalJitterPercent > 0) ms += share() * ((ms * intervalJitterPercent) / 100);
  if (intervalJitterMs > 0) ms += share() * intervalJitterMs;
  return Math.max(1, ms);
}
