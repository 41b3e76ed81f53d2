import type { HeaderList } from '../http/message.ts';
import { HeaderMatcher } from '../routing/header-matcher.ts';
import { headerValue, joinedHeader, removeHeader } from '../routing/headers.ts';
import { MATCHES_NOTHING } from '../routing/string-matcher.ts';
import { conditionBits, NO_RETRIES } from './compile-retry.ts';
import { RetryPolicy } from './retry-policy.ts';

/** Envoy's, where a caller asks for retries and the route has none. */
const DEFAULT_MAX_RETRIES = 1;

/** What a caller from within asks for by headers: they end here. */
export interface AskedRetries {
  readonly policy: RetryPolicy;
  /** Of the whole request, ms; 0: none; -1: the route's. */
  readonly timeoutMs: number;
  readonly hedges: boolean;
}

/** x-envoy-retry-on and its kind, with the route's own policy (router filter, "HTTP headers (consumed)"). */
export function heedRetryHeaders(headers: HeaderList, own: RetryPolicy): AskedRetries {
  const { fields } = own;
  const take = (name: string): string => {
    const text = joinedHeader(headers, name) ?? '';
    removeHeader(headers, name);
    return text;
  };
  const milliseconds = (name: string): number => {
    const text = headerValue(headers, name) ?? '';
    removeHeader(headers, name);
    return /^\d{1,10}$/.test(text) ? Number(text) : -1;
  };
  const timeoutMs = milliseconds('x-envoy-upstream-rq-timeout-ms');
  const perTryMs = milliseconds('x-envoy-upstream-rq-per-try-timeout-ms');
  const maxRetries = milliseconds('x-envoy-max-retries');
  const asked = conditionBits(take('x-envoy-retry-on')).bits | conditionBits(take('x-envoy-retry-grpc-on')).bits;
  const codes = take('x-envoy-retriable-status-codes').split(',').map(Number).filter(Boolean);
  const names = take('x-envoy-retriable-header-names')
    .split(',')
    .filter((name) => name.trim() !== '');
  const hedges = take('x-envoy-hedge-on-per-try-timeout') === 'true';
  if (asked === 0 && maxRetries < 0 && perTryMs < 0 && codes.length === 0 && names.length === 0) return { policy: own, timeoutMs, hedges };
  const policy = new RetryPolicy({
    ...fields,
    retryOn: fields.retryOn | asked,
    maxRetries: maxRetries >= 0 ? maxRetries : own === NO_RETRIES ? DEFAULT_MAX_RETRIES : fields.maxRetries,
    perTryTimeoutMs: perTryMs >= 0 ? perTryMs : fields.perTryTimeoutMs,
    retriableStatusCodes: [...fields.retriableStatusCodes, ...codes],
    retriableHeaders: [...fields.retriableHeaders, ...names.map((name) => new HeaderMatcher(name.trim(), 'present', true, MATCHES_NOTHING, false, false))],
  });
  return { policy, timeoutMs, hedges };
}
