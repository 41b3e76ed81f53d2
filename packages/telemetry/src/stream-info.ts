/**
 * What a finished (or running) stream can tell to access logs, header formats and metrics. The proxy's stream class has
 * these fields; reading them allocates nothing. Text that is not known is '', a number that is not known -1.
 */
export interface StreamInfo {
  /** Unix time in ms at which the request's head arrived. */
  readonly startTimeMs: number;
  /** From the start to the end of the stream. */
  readonly durationMs: number;
  /** From the start to the last byte of the request from downstream. */
  readonly requestDurationMs: number;
  /** From the start to the first byte of the response from upstream. */
  readonly responseDurationMs: number;
  /** From the first byte of the response from upstream to its last byte sent downstream. */
  readonly responseTxDurationMs: number;

  /** "HTTP/1.0", "HTTP/1.1" or "HTTP/2"; '' for TCP. */
  readonly protocol: string;
  readonly method: string;
  /** Path and query as the downstream sent them. */
  readonly originalPath: string;
  /** Path and query as sent upstream. */
  readonly path: string;
  readonly scheme: string;
  readonly authority: string;
  /** name, value, name, value ... */
  readonly requestHeaders: readonly string[];
  readonly responseHeaders: readonly string[];
  readonly responseTrailers: readonly string[];

  /** 0: no response was sent. */
  readonly responseCode: number;
  /** "via_upstream", "route_not_found", "upstream_reset_before_response_started{connection_failure}"... */
  readonly responseCodeDetails: string;
  /** Bits of ResponseFlag. */
  readonly responseFlags: number;
  readonly connectionTerminationDetails: string;
  /** Of an answer of the proxy's own, before it is put into a format. */
  readonly localReplyBody: string;
  /** Body bytes. */
  readonly bytesReceived: number;
  readonly bytesSent: number;

  readonly routeName: string;
  readonly virtualClusterName: string;
  readonly upstreamCluster: string;
  /** "10.0.0.1:8080". */
  readonly upstreamHost: string;
  readonly upstreamLocalAddress: string;
  readonly upstreamTransportFailureReason: string;
  /** 0: never sent upstream; 1: once. */
  readonly upstreamRequestAttemptCount: number;

  /** "ip:port". */
  readonly downstreamLocalAddress: string;
  /** "ip:port" of the client, as trusted (x-forwarded-for may say more). */
  readonly downstreamRemoteAddress: string;
  /** "ip:port" of the connection itself. */
  readonly downstreamDirectRemoteAddress: string;
  readonly requestedServerName: string;
  readonly downstreamTlsVersion: string;
  /** SPIFFE id of the downstream's certificate, proven. */
  readonly downstreamPeerUri: string;
  /** SPIFFE id of our own certificate on the downstream connection. */
  readonly downstreamLocalUri: string;
  /** SPIFFE id of the upstream's certificate, proven. */
  readonly upstreamPeerUri: string;
  readonly traceId: string;
  readonly connectionId: number;
}
