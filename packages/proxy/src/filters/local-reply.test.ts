import { ResponseFlag } from '@outrigger/telemetry';
import { describe, expect, it } from 'vitest';
import { formatProxyStatus, LOCAL_REPLIES, localReplyFor } from './local-reply.ts';

// RFC 9209 section 2.3.
const ERRORS = new Set(
  `dns_timeout dns_error destination_not_found destination_unavailable destination_ip_prohibited destination_ip_unroutable connection_refused
   connection_terminated connection_timeout connection_read_timeout connection_write_timeout connection_limit_reached tls_protocol_error
   tls_certificate_error tls_alert_received http_request_error http_request_denied http_response_incomplete http_response_header_section_size
   http_response_timeout http_upgrade_failed http_protocol_error proxy_internal_response proxy_internal_error proxy_configuration_error`.split(/\s+/),
);

describe('local reply', () => {
  it.each(Object.entries(LOCAL_REPLIES))('%s is answered in terms of RFC 9209', (_flag, reply) => {
    expect(ERRORS).toContain(reply.error);
    expect(reply.status === 0 || (reply.status >= 400 && reply.status < 600)).toBe(true);
  });

  it.each([
    [ResponseFlag.noHealthyUpstream, 503, 'destination_unavailable'],
    [ResponseFlag.upstreamRequestTimeout, 504, 'http_response_timeout'],
    [ResponseFlag.upstreamConnectionFailure | ResponseFlag.upstreamRetryLimitExceeded, 503, 'connection_refused'],
    [ResponseFlag.noRouteFound, 404, 'destination_not_found'],
    [ResponseFlag.upstreamOverflow, 503, 'connection_limit_reached'],
    [ResponseFlag.upstreamProtocolError, 502, 'http_protocol_error'],
  ])('flags %i give %i %s', (flags, status, error) => {
    expect(localReplyFor(flags)).toMatchObject({ status, error });
  });

  it('needs a flag', () => {
    expect(localReplyFor(0)).toBeUndefined();
  });
});

describe('Proxy-Status', () => {
  it.each([
    ['order-service-v1.default', 'connection_refused', 'UF', 'order-service-v1.default; error=connection_refused; details="UF"'],
    ['a b', 'dns_error', '', '"a b"; error=dns_error'],
    ['1st', 'dns_error', 'say "no" \\ é\r\n', '"1st"; error=dns_error; details="say \\"no\\" \\\\ ???"'],
  ])('of %j', (name, error, details, expected) => {
    expect(formatProxyStatus(name, error, details)).toBe(expected);
  });
});
