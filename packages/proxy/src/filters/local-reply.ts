import { ResponseFlag, type ResponseFlagName } from '@outrigger/telemetry';

/** What the proxy answers for itself under one response flag. */
export interface LocalReply {
  /** HTTP status; 0: none is sent. */
  readonly status: number;
  /** RFC 9209 section 2.3 error type. */
  readonly error: string;
  /** Body, as Envoy words it. */
  readonly body: string;
}

/** Envoy's flags with the status and the proxy-status error that go with them (RFC 9209; Envoy's ProxyStatusUtils). */
export const LOCAL_REPLIES: Readonly<Record<ResponseFlagName, LocalReply>> = {
  failedLocalHealthCheck: { status: 503, error: 'destination_unavailable', body: 'health check failed' },
  noHealthyUpstream: { status: 503, error: 'destination_unavailable', body: 'no healthy upstream' },
  upstreamRequestTimeout: { status: 504, error: 'http_response_timeout', body: 'upstream request timeout' },
  localReset: { status: 503, error: 'connection_timeout', body: 'upstream connect error or disconnect/reset before headers' },
  upstreamRemoteReset: { status: 503, error: 'connection_terminated', body: 'upstream connect error or disconnect/reset before headers' },
  upstreamConnectionFailure: { status: 503, error: 'connection_refused', body: 'upstream connect error or disconnect/reset before headers' },
  upstreamConnectionTermination: { status: 503, error: 'connection_terminated', body: 'upstream connect error or disconnect/reset before headers' },
  upstreamOverflow: {
    status: 503,
    error: 'connection_limit_reached',
    body: 'upstream connect error or disconnect/reset before headers. reset reason: overflow',
  },
  noRouteFound: { status: 404, error: 'destination_not_found', body: '' },
  delayInjected: { status: 0, error: 'proxy_internal_response', body: '' },
  faultInjected: { status: 503, error: 'proxy_internal_response', body: 'fault filter abort' },
  rateLimited: { status: 429, error: 'connection_limit_reached', body: '' },
  unauthorizedExternalService: { status: 403, error: 'http_request_denied', body: '' },
  rateLimitServiceError: { status: 500, error: 'proxy_internal_error', body: '' },
  downstreamConnectionTermination: { status: 0, error: 'connection_terminated', body: '' },
  upstreamRetryLimitExceeded: { status: 503, error: 'destination_unavailable', body: 'upstream connect error or disconnect/reset before headers' },
  streamIdleTimeout: { status: 408, error: 'http_response_timeout', body: 'stream timeout' },
  invalidEnvoyRequestHeaders: { status: 400, error: 'http_request_error', body: '' },
  downstreamProtocolError: { status: 400, error: 'http_request_error', body: '' },
  upstreamMaxStreamDurationReached: { status: 504, error: 'http_response_timeout', body: 'upstream max stream duration reached' },
  responseFromCacheFilter: { status: 0, error: 'proxy_internal_response', body: '' },
  noFilterConfigFound: { status: 500, error: 'proxy_configuration_error', body: '' },
  durationTimeout: { status: 504, error: 'connection_timeout', body: 'duration timeout' },
  upstreamProtocolError: {
    status: 502,
    error: 'http_protocol_error',
    body: 'upstream connect error or disconnect/reset before headers. reset reason: protocol error',
  },
  noClusterFound: { status: 503, error: 'destination_unavailable', body: '' },
  overloadManager: { status: 503, error: 'proxy_internal_error', body: 'envoy overloaded' },
  dnsResolutionFailed: { status: 503, error: 'dns_error', body: 'dns resolution failure' },
  dropOverLoad: { status: 503, error: 'connection_limit_reached', body: 'drop overload' },
  downstreamRemoteReset: { status: 0, error: 'connection_terminated', body: '' },
  unconditionalDropOverload: { status: 503, error: 'connection_limit_reached', body: 'drop overload' },
};

/** Which flag speaks where several are set: the first of these, as in Envoy; a more telling one stands before "retries spent". */
const PRECEDENCE: readonly ResponseFlagName[] = [
  'failedLocalHealthCheck',
  'noHealthyUpstream',
  'upstreamRequestTimeout',
  'upstreamConnectionFailure',
  'upstreamConnectionTermination',
  'upstreamRemoteReset',
  'localReset',
  'upstreamOverflow',
  'noRouteFound',
  'noClusterFound',
  'rateLimited',
  'unauthorizedExternalService',
  'rateLimitServiceError',
  'streamIdleTimeout',
  'invalidEnvoyRequestHeaders',
  'downstreamProtocolError',
  'upstreamMaxStreamDurationReached',
  'upstreamProtocolError',
  'durationTimeout',
  'dnsResolutionFailed',
  'noFilterConfigFound',
  'overloadManager',
  'dropOverLoad',
  'unconditionalDropOverload',
  'upstreamRetryLimitExceeded',
  'faultInjected',
  'downstreamConnectionTermination',
  'downstreamRemoteReset',
  'responseFromCacheFilter',
  'delayInjected',
];

/** What to answer for these flags; undefined: none of them makes an answer. */
export function localReplyFor(flags: number): LocalReply | undefined {
  if (flags === 0) return undefined;
  for (const name of PRECEDENCE) {
    if ((flags & ResponseFlag[name]) !== 0) return LOCAL_REPLIES[name];
  }
  return undefined;
}

/** RFC 9209's error type for a refusal by policy (RBAC), which has no flag of its own. */
export const REQUEST_DENIED = 'http_request_denied';

// RFC 8941 section 3.3.4: a token starts with a letter or "*"; what is none goes into quotes.
const TOKEN = /^[A-Za-z*][A-Za-z0-9:/!#$%&'*+\-.^_`|~]*$/;

/** A structured-field string (RFC 8941 section 3.3.3); what it may not hold becomes "?". */
function quoted(text: string): string {
  return `"${text.replace(/[^\x20-\x7e]/g, '?').replace(/[\\"]/g, '\\$&')}"`;
}

/**
 * One member of Proxy-Status (RFC 9209): `order-service-v1.default; error=connection_refused; details="UF; delayed connect error"`.
 * `details` starts with Envoy's flag, so that one who reads only this header knows what an access log would say.
 */
export function formatProxyStatus(proxyName: string, error: string, details: string): string {
  const name = TOKEN.test(proxyName) ? proxyName : quoted(proxyName);
  return `${name}; error=${error}${details === '' ? '' : `; details=${quoted(details)}`}`;
}
