import { create, fromJson, type JsonObject } from '@bufbuild/protobuf';
import { FastRandom } from '@outrigger/telemetry';
import { RetryPolicySchema } from '@outrigger/xds/protos/envoy/config/route/v3/route_components';
import { describe, expect, it } from 'vitest';
import { RequestHead, ResponseHead } from '../http/message.ts';
import { CompileReport } from '../routing/compile-result.ts';
import { compileRetryPolicy, NO_RETRIES } from './compile-retry.ts';
import { type AttemptFailure, type RetryPolicy, RetryState } from './retry-policy.ts';

function policy(json: JsonObject, mesh?: JsonObject): RetryPolicy {
  const report = new CompileReport();
  const compiled = compileRetryPolicy(fromJson(RetryPolicySchema, json), mesh, 'retry_policy', report);
  expect(report.errors).toEqual([]);
  return compiled;
}

function request(method = 'GET', headers: string[] = []): RequestHead {
  return Object.assign(new RequestHead(), { method, path: '/', headers });
}

function response(status: number, headers: string[] = []): ResponseHead {
  return Object.assign(new ResponseHead(), { status, headers });
}

describe('retry on an answer', () => {
  it.each<[string, number, string[], boolean]>([
    ['5xx', 500, [], true],
    ['5xx', 503, [], true],
    ['5xx', 404, [], false],
    ['5xx', 200, [], false],
    ['gateway-error', 500, [], false],
    ['gateway-error', 502, [], true],
    ['gateway-error', 504, [], true],
    ['gateway-error', 505, [], false],
    ['retriable-4xx', 409, [], true],
    ['retriable-4xx', 404, [], false],
    ['retriable-status-codes', 418, [], true],
    ['retriable-status-codes', 419, [], false],
    ['retriable-headers', 200, ['X-Again', 'yes'], true],
    ['retriable-headers', 200, ['x-again', 'no'], false],
    ['reset,connect-failure,refused-stream', 503, [], false],
    ['cancelled', 200, ['grpc-status', '1'], true],
    ['deadline-exceeded', 200, ['grpc-status', '4'], true],
    ['resource-exhausted', 200, ['grpc-status', '8'], true],
    ['internal', 200, ['grpc-status', '13'], true],
    ['unavailable', 200, ['grpc-status', '14'], true],
    ['unavailable', 200, ['grpc-status', '13'], false],
    ['unavailable', 200, [], false],
    ['5xx', 503, ['X-Envoy-RateLimited', 'outrigger-gave-up'], false],
    ['retriable-status-codes', 418, ['x-envoy-ratelimited', 'true'], false],
    ['envoy-ratelimited', 429, ['x-envoy-ratelimited', 'true'], true],
    ['envoy-ratelimited', 429, [], false],
  ])('%s, %i %j: %s', (retryOn, status, headers, expected) => {
    const retry = policy({ retryOn, retriableStatusCodes: [418], retriableHeaders: [{ name: 'x-again', exactMatch: 'yes' }] });
    expect(retry.retriesResponse(request(), response(status, headers))).toBe(expected);
  });
});

describe('retry on a failure', () => {
  const failures: readonly AttemptFailure[] = [
    'connect-failure',
    'connect-timeout',
    'refused-stream',
    'reset-before-request',
    'reset',
    'per-try-timeout',
    'overflow',
  ];
  it.each<[string, AttemptFailure[]]>([
    ['5xx', ['connect-failure', 'connect-timeout', 'refused-stream', 'reset-before-request', 'reset', 'per-try-timeout']],
    ['gateway-error', ['connect-failure', 'connect-timeout', 'refused-stream', 'reset-before-request', 'reset', 'per-try-timeout']],
    ['reset', ['connect-failure', 'connect-timeout', 'refused-stream', 'reset-before-request', 'reset', 'per-try-timeout']],
    ['reset-before-request', ['connect-failure', 'connect-timeout', 'reset-before-request']],
    ['connect-failure', ['connect-failure', 'connect-timeout']],
    ['refused-stream', ['refused-stream']],
    ['retriable-4xx', []],
  ])('%s', (retryOn, expected) => {
    const retry = policy({ retryOn });
    expect(failures.filter((failure) => retry.retriesFailure(request(), failure))).toEqual(expected);
  });
});

describe('idempotency', () => {
  const retry = policy({ retryOn: '5xx' }, { retry: { idempotentOnly: true } });
  it.each(['GET', 'HEAD', 'OPTIONS', 'TRACE', 'PUT', 'DELETE'])('%s is sent again after it may have reached the application', (method) => {
    expect(retry.retriesResponse(request(method), response(503))).toBe(true);
    expect(retry.retriesFailure(request(method), 'reset')).toBe(true);
  });
  it.each(['POST', 'PATCH', 'CONNECT'])('%s is not, unless it cannot have reached it or carries Idempotency-Key', (method) => {
    expect(retry.retriesResponse(request(method), response(503))).toBe(false);
    expect(retry.retriesFailure(request(method), 'reset')).toBe(false);
    expect(retry.retriesFailure(request(method), 'per-try-timeout')).toBe(false);
    for (const failure of ['connect-failure', 'connect-timeout', 'refused-stream', 'reset-before-request'] as const) {
      expect(retry.retriesFailure(request(method), failure)).toBe(true);
    }
    expect(retry.retriesResponse(request(method, ['Idempotency-Key', '7']), response(503))).toBe(true);
  });
});

describe('retries of one request', () => {
  it('end when they are spent', () => {
    const state = new RetryState(policy({ retryOn: '5xx', numRetries: 3 }));
    const verdicts = [1, 2, 3, 4].map(() => state.onResponse(request(), response(503)));
    expect(verdicts).toEqual(['retry', 'retry', 'retry', 'spent']);
    expect(state.onResponse(request(), response(200))).toBe('no');
  });

  it('a connect timeout is tried again once, other failures thrice', () => {
    const state = new RetryState(policy({ retryOn: '5xx,connect-failure', numRetries: 3 }, { retry: { connectTimeoutRetries: 1 } }));
    expect(state.onFailure(request(), 'connect-timeout')).toBe('retry');
    expect(state.onFailure(request(), 'connect-timeout')).toBe('spent');
    expect(state.onFailure(request(), 'connect-failure')).toBe('retry');
    expect(state.onFailure(request(), 'reset')).toBe('retry');
    expect(state.onFailure(request(), 'reset')).toBe('spent');
  });

  it('only for requests that the policy names', () => {
    const retry = policy({ retryOn: '5xx', retriableRequestHeaders: [{ name: ':method', exactMatch: 'GET' }] });
    expect(retry.appliesTo(request('GET'))).toBe(true);
    expect(retry.appliesTo(request('POST'))).toBe(false);
    expect(NO_RETRIES.appliesTo(request())).toBe(false);
    expect(compileRetryPolicy(create(RetryPolicySchema, { retryOn: '5xx', numRetries: 0 }), undefined, 'r', new CompileReport()).enabled).toBe(false);
  });
});

describe('backoff', () => {
  it('has full jitter below a ceiling that doubles up to 250 ms', () => {
    const retry = policy({ retryOn: '5xx', numRetries: 9 });
    const random = new FastRandom([1, 2, 3, 4]);
    for (const [attempt, ceiling] of [
      [1, 25],
      [2, 50],
      [3, 100],
      [4, 200],
      [5, 250],
      [50, 250],
    ] as const) {
      const waits = Array.from({ length: 2000 }, () => retry.backoffMs(attempt, random));
      expect(Math.max(...waits)).toBeLessThan(ceiling);
      expect(Math.max(...waits)).toBeGreaterThan(ceiling * 0.97);
      expect(Math.min(...waits)).toBeLessThan(ceiling * 0.03);
    }
  });

  it('heeds what the upstream asks for, within a limit', () => {
    const retry = policy({
      retryOn: 'envoy-ratelimited',
      rateLimitedRetryBackOff: { resetHeaders: [{ name: 'Retry-After' }, { name: 'X-Reset', format: 'UNIX_TIMESTAMP' }], maxInterval: '10s' },
    });
    expect(retry.requestedDelayMs(response(429, ['retry-after', '2']), 0)).toBe(2000);
    expect(retry.requestedDelayMs(response(429, ['x-reset', '105']), 100_000)).toBe(5000);
    expect(retry.requestedDelayMs(response(429, ['retry-after', '11']), 0)).toBe(-1);
    expect(retry.requestedDelayMs(response(429, ['retry-after', 'soon']), 0)).toBe(-1);
  });
});
