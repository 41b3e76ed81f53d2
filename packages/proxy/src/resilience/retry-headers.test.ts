import { expect, it } from 'vitest';
import { NO_RETRIES } from './compile-retry.ts';
import { heedRetryHeaders } from './retry-headers.ts';
import { RetryOn } from './retry-policy.ts';

it('takes what the caller asks for, and takes it off', () => {
  const headers = [
    'x-envoy-retry-on',
    '5xx, retriable-status-codes,no-such',
    'x-envoy-retry-grpc-on',
    'cancelled',
    'x-envoy-max-retries',
    '4',
    'x-envoy-retriable-status-codes',
    '418,429',
    'x-envoy-upstream-rq-per-try-timeout-ms',
    '250',
    'x-envoy-upstream-rq-timeout-ms',
    '1000',
    'x-envoy-hedge-on-per-try-timeout',
    'true',
    'x-kept',
    'yes',
  ];
  const { policy, timeoutMs, hedges } = heedRetryHeaders(headers, NO_RETRIES);
  expect(policy.fields).toMatchObject({
    retryOn: RetryOn.serverError | RetryOn.retriableStatusCodes | RetryOn.grpcCancelled,
    maxRetries: 4,
    perTryTimeoutMs: 250,
    retriableStatusCodes: [418, 429],
  });
  expect([timeoutMs, hedges]).toEqual([1000, true]);
  expect(headers).toEqual(['x-kept', 'yes']);
});

it('retries once where the caller says no number', () => {
  expect(heedRetryHeaders(['x-envoy-retry-on', '5xx'], NO_RETRIES).policy.maxRetries).toBe(1);
});

it('leaves the route its own where the caller asks for nothing, or for nothing that can be read', () => {
  expect(heedRetryHeaders([], NO_RETRIES)).toEqual({ policy: NO_RETRIES, timeoutMs: -1, hedges: false });
  expect(heedRetryHeaders(['x-envoy-max-retries', 'many', 'x-envoy-upstream-rq-timeout-ms', '-1'], NO_RETRIES).policy).toBe(NO_RETRIES);
});
