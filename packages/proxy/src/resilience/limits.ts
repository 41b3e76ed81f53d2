import {
  type CircuitBreakers,
  type CircuitBreakers_Thresholds,
  CircuitBreakers_ThresholdsSchema,
} from '@outrigger/xds/protos/envoy/config/cluster/v3/circuit_breaker';
import { RoutingPriority } from '@outrigger/xds/protos/envoy/config/core/v3/base';
import type { CompileReport } from '../routing/compile-result.ts';
import { checkFields, type FieldPolicy, fieldPolicy } from '../xds/fields.ts';

/** Envoy's defaults (envoy.config.cluster.v3.CircuitBreakers.Thresholds). */
export const DEFAULT_MAX_CONNECTIONS = 1024;
export const DEFAULT_MAX_PENDING_REQUESTS = 1024;
export const DEFAULT_MAX_REQUESTS = 1024;
export const DEFAULT_MAX_RETRIES = 3;
export const DEFAULT_RETRY_BUDGET_PERCENT = 20;
export const DEFAULT_MIN_RETRY_CONCURRENCY = 3;

export interface LimitSettings {
  readonly maxConnections: number;
  readonly maxPendingRequests: number;
  readonly maxRequests: number;
  /** Retries at once; not used where there is a budget. */
  readonly maxRetries: number;
  /** Share of active and pending requests that may be retries, in percent; -1: no budget, `maxRetries` holds. */
  readonly retryBudgetPercent: number;
  /** Retries at once that the budget always allows. */
  readonly minRetryConcurrency: number;
}

/**
 * What one cluster (or one endpoint) may have under way at once, per priority. `tryX` takes one or says no (Envoy: overflow,
 * flag UO); each that was taken is given back with `releaseX`.
 */
export class ResourceLimits {
  connections = 0;
  pendingRequests = 0;
  requests = 0;
  retries = 0;
  /** Requests that were turned away, for those that wait or for those under way. */
  overflows = 0;
  /** Connections that were not made. */
  connectionOverflows = 0;
  readonly settings: LimitSettings;

  constructor(settings: LimitSettings) {
    this.settings = settings;
  }

  tryConnection(): boolean {
    if (this.connections >= this.settings.maxConnections) {
      this.connectionOverflows++;
      return false;
    }
    this.connections++;
    return true;
  }

  releaseConnection(): void {
    this.connections--;
  }

  tryPendingRequest(): boolean {
    if (this.pendingRequests >= this.settings.maxPendingRequests) {
      this.overflows++;
      return false;
    }
    this.pendingRequests++;
    return true;
  }

  releasePendingRequest(): void {
    this.pendingRequests--;
  }

  tryRequest(): boolean {
    if (this.requests >= this.settings.maxRequests) {
      this.overflows++;
      return false;
    }
    this.requests++;
    return true;
  }

  releaseRequest(): void {
    this.requests--;
  }

  /** From the decision to retry until that attempt has ended. */
  tryRetry(): boolean {
    if (this.retries >= this.retryLimit()) return false;
    this.retries++;
    return true;
  }

  releaseRetry(): void {
    this.retries--;
  }

  /** Retries allowed at this moment. */
  retryLimit(): number {
    const { retryBudgetPercent, minRetryConcurrency, maxRetries } = this.settings;
    if (retryBudgetPercent < 0) return maxRetries;
    return Math.max(minRetryConcurrency, Math.floor(((this.requests + this.pendingRequests) * retryBudgetPercent) / 100));
  }
}

export interface ClusterLimits {
  readonly default: ResourceLimits;
  readonly high: ResourceLimits;
}

function settingsOf(thresholds: CircuitBreakers_Thresholds | undefined): LimitSettings {
  const budget = thresholds?.retryBudget;
  return {
    maxConnections: thresholds?.maxConnections ?? DEFAULT_MAX_CONNECTIONS,
    maxPendingRequests: thresholds?.maxPendingRequests ?? DEFAULT_MAX_PENDING_REQUESTS,
    maxRequests: thresholds?.maxRequests ?? DEFAULT_MAX_REQUESTS,
    maxRetries: thresholds?.maxRetries ?? DEFAULT_MAX_RETRIES,
    retryBudgetPercent: budget === undefined ? -1 : (budget.budgetPercent?.value ?? DEFAULT_RETRY_BUDGET_PERCENT),
    minRetryConcurrency: budget?.minRetryConcurrency ?? DEFAULT_MIN_RETRY_CONCURRENCY,
  };
}

const THRESHOLDS = fieldPolicy('priority max_connections max_pending_requests max_requests max_retries retry_budget', 'track_remaining max_connection_pools');
const PER_HOST = fieldPolicy('priority max_connections', 'max_pending_requests max_requests max_retries retry_budget track_remaining max_connection_pools');

/** Names what compileLimits and compilePerHostConnections do not look at. */
export function checkLimits(breakers: CircuitBreakers | undefined, report: CompileReport): void {
  const check = (list: readonly CircuitBreakers_Thresholds[], policy: FieldPolicy, path: string): void => {
    list.forEach((thresholds, index) => {
      const at = `circuit_breakers.${path}[${index}]`;
      if (thresholds.priority === RoutingPriority.HIGH && policy === PER_HOST) report.ignore(at);
      else checkFields(CircuitBreakers_ThresholdsSchema, thresholds, policy, at, report);
    });
  };
  check(breakers?.thresholds ?? [], THRESHOLDS, 'thresholds');
  check(breakers?.perHostThresholds ?? [], PER_HOST, 'per_host_thresholds');
}

/** Cluster.circuit_breakers; absent: Envoy's defaults. */
export function compileLimits(breakers: CircuitBreakers | undefined): ClusterLimits {
  const of = (priority: RoutingPriority) => new ResourceLimits(settingsOf(breakers?.thresholds.find((thresholds) => thresholds.priority === priority)));
  return { default: of(RoutingPriority.DEFAULT), high: of(RoutingPriority.HIGH) };
}

/** Connections that one endpoint may have (per_host_thresholds), Infinity where there is no limit. */
export function compilePerHostConnections(breakers: CircuitBreakers | undefined): number {
  const thresholds = breakers?.perHostThresholds.find((candidate) => candidate.priority === RoutingPriority.DEFAULT);
  return thresholds?.maxConnections ?? Number.POSITIVE_INFINITY;
}
