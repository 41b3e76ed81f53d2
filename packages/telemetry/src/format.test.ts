import { describe, expect, it } from 'vitest';
import { EMPTY_STREAM } from './empty-stream.ts';
import { compileFormat } from './format.ts';
import { ResponseFlag } from './response-flags.ts';
import type { StreamInfo } from './stream-info.ts';

const STREAM: StreamInfo = {
  ...EMPTY_STREAM,
  startTimeMs: Date.UTC(2026, 10, 24, 4, 5, 6, 7),
  durationMs: 12.9,
  protocol: 'HTTP/2',
  method: 'GET',
  path: '/b?c',
  authority: 'order-service',
  requestHeaders: ['X-Request-Id', 'id-1', 'User-Agent', 'curl'],
  responseHeaders: ['x-envoy-upstream-service-time', '11'],
  responseCode: 503,
  responseFlags: ResponseFlag.upstreamConnectionFailure | ResponseFlag.upstreamRetryLimitExceeded,
  downstreamRemoteAddress: '[::1]:5000',
  downstreamLocalAddress: '10.0.0.1:80',
};

function format(text: string, stream = STREAM, missing = '-'): string {
  const result = compileFormat(text);
  return result.ok ? result.format.format(stream, missing) : result.message;
}

describe('command operators', () => {
  it.each([
    ['plain', 'plain'],
    ['100%%', '100%'],
    ['%REQ(X-REQUEST-ID)%', 'id-1'],
    ['%REQ(x-none)%', '-'],
    ['%REQ(x-none?user-agent)%', 'curl'],
    ['%REQ(:METHOD)% %REQ(X-ENVOY-ORIGINAL-PATH?:PATH)% %PROTOCOL%', 'GET /b?c HTTP/2'],
    ['%REQ(:AUTHORITY)%', 'order-service'],
    ['%REQ_WITHOUT_QUERY(:PATH)%', '/b'],
    ['%REQ(x-request-id):2%', 'id'],
    ['%RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)%', '11'],
    ['%RESPONSE_CODE%', '503'],
    ['%RESPONSE_FLAGS%', 'UF,URX'],
    ['%RESPONSE_FLAGS_LONG%', 'UpstreamConnectionFailure,UpstreamRetryLimitExceeded'],
    ['%DURATION%', '12'],
    ['%RESPONSE_DURATION%', '-'],
    ['%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%', '::1'],
    ['%DOWNSTREAM_LOCAL_PORT%', '80'],
    ['%START_TIME%', '2026-11-24T04:05:06.007Z'],
    ['%START_TIME(%Y/%m/%d %T.%3f)%', '2026/11/24 04:05:06.007'],
    ['%START_TIME(%s)%', '1795493106'],
    ['%START_TIME(%s.%6f)%', '1795493106.007000'],
    ['%DYNAMIC_METADATA(a:b)%', '-'],
  ])('%s', (text, expected) => {
    expect(format(text)).toBe(expected);
  });

  it.each(['%', '50% of', '%NO_SUCH%', '%REQ()%', '%REQ(a?b?c)%', '%PROTOCOL(x)%', '%START_TIME(%Q)%', '%START_TIME(%3x)%', 'x'.repeat(20_000)])(
    'refuses %j',
    (text) => {
      expect(compileFormat(text).ok).toBe(false);
    },
  );

  it('leaves nothing for what is missing in headers', () => {
    expect(format('%REQ(x-none)%', STREAM, '')).toBe('');
  });
});
