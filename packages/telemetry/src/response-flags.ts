/**
 * Envoy's response flags (envoy/stream_info/stream_info.h, CoreResponseFlag), as bits of one number so that a stream
 * holds them without a set.
 */
export const ResponseFlag = {
  failedLocalHealthCheck: 1 << 0,
  noHealthyUpstream: 1 << 1,
  upstreamRequestTimeout: 1 << 2,
  localReset: 1 << 3,
  upstreamRemoteReset: 1 << 4,
  upstreamConnectionFailure: 1 << 5,
  upstreamConnectionTermination: 1 << 6,
  upstreamOverflow: 1 << 7,
  noRouteFound: 1 << 8,
  delayInjected: 1 << 9,
  faultInjected: 1 << 10,
  rateLimited: 1 << 11,
  unauthorizedExternalService: 1 << 12,
  rateLimitServiceError: 1 << 13,
  downstreamConnectionTermination: 1 << 14,
  upstreamRetryLimitExceeded: 1 << 15,
  streamIdleTimeout: 1 << 16,
  invalidEnvoyRequestHeaders: 1 << 17,
  downstreamProtocolError: 1 << 18,
  upstreamMaxStreamDurationReached: 1 << 19,
  responseFromCacheFilter: 1 << 20,
  noFilterConfigFound: 1 << 21,
  durationTimeout: 1 << 22,
  upstreamProtocolError: 1 << 23,
  noClusterFound: 1 << 24,
  overloadManager: 1 << 25,
  dnsResolutionFailed: 1 << 26,
  dropOverLoad: 1 << 27,
  downstreamRemoteReset: 1 << 28,
  unconditionalDropOverload: 1 << 29,
} as const;
export type ResponseFlagName = keyof typeof ResponseFlag;

/** Short names as %RESPONSE_FLAGS% prints them, in Envoy's order (bit 0 first). */
export const RESPONSE_FLAG_SHORT: readonly string[] = [
  'LH',
  'UH',
  'UT',
  'LR',
  'UR',
  'UF',
  'UC',
  'UO',
  'NR',
  'DI',
  'FI',
  'RL',
  'UAEX',
  'RLSE',
  'DC',
  'URX',
  'SI',
  'IH',
  'DPE',
  'UMSDR',
  'RFCF',
  'NFCF',
  'DT',
  'UPE',
  'NC',
  'OM',
  'DF',
  'DO',
  'DR',
  'UDO',
];

/** Long names as %RESPONSE_FLAGS_LONG% prints them. */
export const RESPONSE_FLAG_LONG: readonly string[] = [
  'FailedLocalHealthCheck',
  'NoHealthyUpstream',
  'UpstreamRequestTimeout',
  'LocalReset',
  'UpstreamRemoteReset',
  'UpstreamConnectionFailure',
  'UpstreamConnectionTermination',
  'UpstreamOverflow',
  'NoRouteFound',
  'DelayInjected',
  'FaultInjected',
  'RateLimited',
  'UnauthorizedExternalService',
  'RateLimitServiceError',
  'DownstreamConnectionTermination',
  'UpstreamRetryLimitExceeded',
  'StreamIdleTimeout',
  'InvalidEnvoyRequestHeaders',
  'DownstreamProtocolError',
  'UpstreamMaxStreamDurationReached',
  'ResponseFromCacheFilter',
  'NoFilterConfigFound',
  'DurationTimeout',
  'UpstreamProtocolError',
  'NoClusterFound',
  'OverloadManagerTerminated',
  'DnsResolutionFailed',
  'DropOverload',
  'DownstreamRemoteReset',
  'UnconditionalDropOverload',
];

function join(flags: number, names: readonly string[]): string {
  if (flags === 0) return '-';
  let text = '';
  for (let bit = 0; bit < names.length; bit++) {
    if ((flags & (1 << bit)) !== 0) text += text === '' ? names[bit] : ',' + names[bit];
  }
  return text;
}

/** "UF,URX", or "-" where there is none. */
export function formatResponseFlags(flags: number): string {
  return join(flags, RESPONSE_FLAG_SHORT);
}

/** "UpstreamConnectionFailure,UpstreamRetryLimitExceeded", or "-". */
export function formatResponseFlagsLong(flags: number): string {
  return join(flags, RESPONSE_FLAG_LONG);
}
