import { create, type JsonObject } from '@bufbuild/protobuf';
import type { OutlierDetection as OutlierSettings } from '@outrigger/resources';
import { type CircuitBreakers, CircuitBreakersSchema } from '@outrigger/xds/protos/envoy/config/cluster/v3/circuit_breaker';
import { type OutlierDetection, OutlierDetectionSchema } from '@outrigger/xds/protos/envoy/config/cluster/v3/outlier_detection';
import { durationOf } from '../durations.ts';
import { type Init, milliseconds } from '../messages.ts';
import type { ProxyNode } from '../node.ts';
import type { Reader } from '../reader.ts';
import type { EffectivePolicy } from './traffic-policy.ts';

/** The mesh's circuit breaker (docs/xds.md): what a DestinationRule leaves out. */
const DEFAULT_CONSECUTIVE_5XX = 5;
const DEFAULT_BASE_EJECTION_MS = 30_000;
const DEFAULT_MAX_EJECTION_PERCENT = 100;
/** How late Envoy may notice that an ejection is over; our proxy keeps a timer per endpoint. */
const DEFAULT_INTERVAL_MS = 1_000;
const RETRY_BUDGET_PERCENT = 20;
const RETRY_BUDGET_FLOOR = 3;
/** An Envoy counts refused connections too, so its floor lets through what an instance has under way that is killed (docs/adr/0005). */
const RETRY_BUDGET_FLOOR_OF_ENVOYS = 100;
/** Envoy's own limits of 1024 would be limits that nobody asked for. */
const UNLIMITED = 0xffff_ffff;

export const OUTRIGGER_METADATA = 'outrigger.dev';

/** What of the breaker v3 has no field for. */
export const breakerMetadata: JsonObject = { outlier: { halfOpen: true } };

export function circuitBreakers({ dataPlane }: ProxyNode, policy: EffectivePolicy): CircuitBreakers {
  const tcp = policy.connectionPool?.value.tcp;
  const http = policy.connectionPool?.value.http;
  const budget = policy.retryBudget?.value;
  // With a retry budget Envoy does not look at max_retries, so one that a person sets takes the budget's place.
  const retries: Init<typeof CircuitBreakersSchema>['thresholds'] = [
    {
      maxConnections: positive(tcp?.maxConnections) ?? UNLIMITED,
      maxPendingRequests: positive(http?.http1MaxPendingRequests) ?? UNLIMITED,
      maxRequests: positive(http?.http2MaxRequests) ?? UNLIMITED,
      maxRetries: positive(http?.maxRetries) ?? UNLIMITED,
      ...(positive(http?.maxRetries) !== undefined && budget === undefined
        ? {}
        : {
            retryBudget: {
              budgetPercent: { value: budget?.percent ?? RETRY_BUDGET_PERCENT },
              minRetryConcurrency: budget?.minRetryConcurrency ?? (dataPlane === 'envoy' ? RETRY_BUDGET_FLOOR_OF_ENVOYS : RETRY_BUDGET_FLOOR),
            },
          }),
    },
  ];
  return create(CircuitBreakersSchema, { thresholds: retries });
}

function positive(value: number | undefined): number | undefined {
  return value === undefined || value <= 0 ? undefined : value;
}

export function outlierDetection(reader: Reader, policy: EffectivePolicy): OutlierDetection {
  const placed = policy.outlierDetection;
  const settings: OutlierSettings = placed?.value ?? {};
  const duration = (name: 'interval' | 'baseEjectionTime', defaultMs: number) =>
    (placed === undefined ? undefined : durationOf(reader, placed.rule, `${placed.field}.${name}`, settings[name])) ?? milliseconds(defaultMs);
  const consecutive =
    settings.consecutive5xxErrors ??
    (settings.consecutiveGatewayErrors !== undefined || settings.consecutiveErrors !== undefined ? 0 : DEFAULT_CONSECUTIVE_5XX);
  const gateway = settings.consecutiveGatewayErrors ?? settings.consecutiveErrors ?? 0;
  const localOrigin = settings.consecutiveLocalOriginFailures ?? undefined;
  const baseEjectionTime = duration('baseEjectionTime', DEFAULT_BASE_EJECTION_MS);
  return create(OutlierDetectionSchema, {
    consecutive5xx: consecutive,
    enforcingConsecutive5xx: consecutive === 0 ? 0 : 100,
    consecutiveGatewayFailure: gateway,
    enforcingConsecutiveGatewayFailure: gateway === 0 ? 0 : 100,
    enforcingSuccessRate: 0,
    interval: duration('interval', DEFAULT_INTERVAL_MS),
    baseEjectionTime,
    // Envoy would grow the time with every ejection; the half-open trial makes that needless.
    maxEjectionTime: baseEjectionTime,
    maxEjectionPercent: settings.maxEjectionPercent || DEFAULT_MAX_EJECTION_PERCENT,
    splitExternalLocalOriginErrors: settings.splitExternalLocalOriginErrors === true,
    ...(settings.splitExternalLocalOriginErrors === true
      ? {
          consecutiveLocalOriginFailure: localOrigin ?? DEFAULT_CONSECUTIVE_5XX,
          enforcingConsecutiveLocalOriginFailure: localOrigin === 0 ? 0 : 100,
          enforcingLocalOriginSuccessRate: 0,
        }
      : {}),
  });
}
