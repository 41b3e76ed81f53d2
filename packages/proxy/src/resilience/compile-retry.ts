import type { JsonObject } from '@bufbuild/protobuf';
import {
  RetryPolicy_ResetHeaderFormat,
  type RetryPolicy as RetryPolicyConfig,
  RetryPolicySchema,
} from '@outrigger/xds/protos/envoy/config/route/v3/route_components';
import type { CompileReport } from '../routing/compile-result.ts';
import { durationMs } from '../routing/duration.ts';
import { compileHeaderMatchers } from '../routing/header-matcher.ts';
import { checkFields, fieldPolicy } from '../xds/fields.ts';
import { compileAvoidedHosts } from './avoided-hosts.ts';
import { AVOIDS_NOBODY, RetryOn, RetryPolicy, type RetryPolicyFields } from './retry-policy.ts';

export const DEFAULT_BACKOFF_BASE_MS = 25;
/** Envoy's rule for an absent max_interval: ten times the base. */
const BACKOFF_MAX_FACTOR = 10;
const DEFAULT_RESET_MAX_MS = 300_000;

const CONDITIONS: ReadonlyMap<string, number> = new Map([
  ['5xx', RetryOn.serverError],
  ['gateway-error', RetryOn.gatewayError],
  ['reset', RetryOn.reset],
  ['reset-before-request', RetryOn.resetBeforeRequest],
  ['connect-failure', RetryOn.connectFailure],
  ['refused-stream', RetryOn.refusedStream],
  ['retriable-4xx', RetryOn.retriable4xx],
  ['retriable-status-codes', RetryOn.retriableStatusCodes],
  ['retriable-headers', RetryOn.retriableHeaders],
  ['envoy-ratelimited', RetryOn.envoyRatelimited],
  ['cancelled', RetryOn.grpcCancelled],
  ['deadline-exceeded', RetryOn.grpcDeadlineExceeded],
  ['internal', RetryOn.grpcInternal],
  ['resource-exhausted', RetryOn.grpcResourceExhausted],
  ['unavailable', RetryOn.grpcUnavailable],
]);

const RETRY = fieldPolicy(
  `retry_on num_retries per_try_timeout retry_host_predicate host_selection_retry_max_attempts retriable_status_codes retry_back_off
   rate_limited_retry_back_off retriable_headers retriable_request_headers per_try_idle_timeout retry_priority`,
  'retry_options_predicates',
);

const NO_RETRY_FIELDS: RetryPolicyFields = {
  retryOn: 0,
  maxRetries: 0,
  perTryTimeoutMs: 0,
  retriableStatusCodes: [],
  retriableHeaders: [],
  retriableRequestHeaders: [],
  backoffBaseMs: DEFAULT_BACKOFF_BASE_MS,
  backoffMaxMs: DEFAULT_BACKOFF_BASE_MS * BACKOFF_MAX_FACTOR,
  resetHeaders: [],
  resetMaxMs: DEFAULT_RESET_MAX_MS,
  perTryIdleTimeoutMs: 0,
  avoided: AVOIDS_NOBODY,
  hostSelectionMaxAttempts: 1,
  idempotentOnly: false,
  connectTimeoutRetries: -1,
};

/** Of a list with commas between. */
export function conditionBits(text: string): { readonly bits: number; readonly unknown: readonly string[] } {
  let bits = 0;
  const unknown: string[] = [];
  for (const word of text.split(',')) {
    const condition = word.trim();
    if (condition === '') continue;
    const bit = CONDITIONS.get(condition);
    if (bit === undefined) unknown.push(condition);
    else bits |= bit;
  }
  return { bits, unknown };
}

export const NO_RETRIES = new RetryPolicy(NO_RETRY_FIELDS);

/**
 * envoy.config.route.v3.RetryPolicy with what v3 has no field for, the route's `outrigger.dev` metadata
 * (`{retry: {idempotentOnly, connectTimeoutRetries}}`, docs/xds.md).
 */
export function compileRetryPolicy(config: RetryPolicyConfig | undefined, mesh: JsonObject | undefined, path: string, report: CompileReport): RetryPolicy {
  if (config === undefined) return NO_RETRIES;
  checkFields(RetryPolicySchema, config, RETRY, path, report);
  const { bits: retryOn, unknown } = conditionBits(config.retryOn);
  // Istio lets plain status codes stand in retryOn and its translation moves them; Envoy drops words that it does not know.
  for (const word of unknown) report.ignore(`${path}.retry_on "${word}"`);
  const baseMs = Math.max(1, durationMs(config.retryBackOff?.baseInterval, DEFAULT_BACKOFF_BASE_MS));
  const maxMs = Math.max(1, durationMs(config.retryBackOff?.maxInterval, baseMs * BACKOFF_MAX_FACTOR));
  if (maxMs < baseMs) report.error(`${path}.retry_back_off.max_interval`, 'must not be shorter than base_interval');
  const retry = mesh?.['retry'];
  const extra = typeof retry === 'object' && retry !== null && !Array.isArray(retry) ? retry : {};
  const connectTimeoutRetries = extra['connectTimeoutRetries'];
  return new RetryPolicy({
    retryOn,
    maxRetries: config.numRetries ?? 1,
    perTryTimeoutMs: durationMs(config.perTryTimeout, 0),
    retriableStatusCodes: config.retriableStatusCodes,
    retriableHeaders: compileHeaderMatchers(config.retriableHeaders, `${path}.retriable_headers`, report),
    retriableRequestHeaders: compileHeaderMatchers(config.retriableRequestHeaders, `${path}.retriable_request_headers`, report),
    backoffBaseMs: baseMs,
    backoffMaxMs: maxMs,
    resetHeaders: (config.rateLimitedRetryBackOff?.resetHeaders ?? []).map((header) => ({
      name: header.name.toLowerCase(),
      format: header.format === RetryPolicy_ResetHeaderFormat.UNIX_TIMESTAMP ? 'unix-timestamp' : 'seconds',
    })),
    resetMaxMs: durationMs(config.rateLimitedRetryBackOff?.maxInterval, DEFAULT_RESET_MAX_MS),
    perTryIdleTimeoutMs: durationMs(config.perTryIdleTimeout, 0),
    avoided: compileAvoidedHosts(config, path, report),
    hostSelectionMaxAttempts: Math.max(1, Number(config.hostSelectionRetryMaxAttempts)),
    idempotentOnly: extra['idempotentOnly'] === true,
    connectTimeoutRetries: typeof connectTimeoutRetries === 'number' && connectTimeoutRetries >= 0 ? Math.floor(connectTimeoutRetries) : -1,
  });
}
