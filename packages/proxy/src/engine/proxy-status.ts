import { formatResponseFlags, ResponseFlag } from '@outrigger/telemetry';

/** RFC 9209 section 2.3 error types, by Envoy's response flags; the first that is set decides (Envoy: ProxyStatusUtils). */
const BY_FLAG: readonly (readonly [number, string])[] = [
  [ResponseFlag.failedLocalHealthCheck, 'destination_unavailable'],
  [ResponseFlag.noHealthyUpstream, 'destination_unavailable'],
  [ResponseFlag.upstreamRequestTimeout, 'http_response_timeout'],
  [ResponseFlag.durationTimeout, 'http_response_timeout'],
  [ResponseFlag.dnsResolutionFailed, 'dns_error'],
  [ResponseFlag.upstreamConnectionFailure, 'connection_refused'],
  [ResponseFlag.upstreamRemoteReset, 'connection_terminated'],
  [ResponseFlag.upstreamConnectionTermination, 'connection_terminated'],
  [ResponseFlag.localReset, 'connection_timeout'],
  [ResponseFlag.upstreamOverflow, 'connection_limit_reached'],
  [ResponseFlag.noRouteFound, 'destination_not_found'],
  [ResponseFlag.noClusterFound, 'destination_unavailable'],
  [ResponseFlag.rateLimited, 'connection_limit_reached'],
  [ResponseFlag.upstreamProtocolError, 'http_protocol_error'],
  [ResponseFlag.upstreamRetryLimitExceeded, 'destination_unavailable'],
  [ResponseFlag.streamIdleTimeout, 'http_response_timeout'],
  [ResponseFlag.downstreamProtocolError, 'http_request_error'],
  [ResponseFlag.upstreamMaxStreamDurationReached, 'http_response_timeout'],
  [ResponseFlag.overloadManager, 'proxy_internal_response'],
];

/** The field's value: who answered, why in RFC 9209's words, then Envoy's details and flags. */
export function proxyStatus(proxyName: string, flags: number, details: string, connectTimedOut: boolean): string {
  let error = 'http_request_denied';
  if (connectTimedOut && (flags & ResponseFlag.upstreamConnectionFailure) !== 0) error = 'connection_timeout';
  else {
    for (const [flag, name] of BY_FLAG) {
      if ((flags & flag) !== 0) {
        error = name;
        break;
      }
    }
  }
  const all = flags === 0 ? details : `${details}; ${formatResponseFlags(flags)}`;
  return `${token(proxyName)}; error=${error}; details="${quoted(all)}"`;
}

/** RFC 8941: a name that is no token is written as a string. */
function token(name: string): string {
  return /^[A-Za-z*][!#$%&'*+\-.^_`|~:/0-9A-Za-z]*$/.test(name) ? name : `"${quoted(name)}"`;
}

function quoted(text: string): string {
  return text.replace(/[^\x20-\x7e]/g, '?').replace(/["\\]/g, '\\$&');
}
