import { formatResponseFlags } from './response-flags.ts';
import type { StreamInfo } from './stream-info.ts';
import type { TraceContext } from './trace-context.ts';

export type SpanKind = 'server' | 'client';

/** A finished span, as OTLP has it. */
export interface Span {
  readonly trace: TraceContext;
  readonly name: string;
  readonly kind: SpanKind;
  readonly startUnixMs: number;
  readonly endUnixMs: number;
  readonly error: boolean;
  /** name, value, name, value ... */
  readonly attributes: readonly (string | number)[];
}

/**
 * The span of a stream when it has ended. Attribute names are OpenTelemetry's stable HTTP conventions, and Envoy's for
 * what those do not have (response_flags, upstream_cluster).
 */
export function makeSpan(trace: TraceContext, info: StreamInfo, kind: SpanKind, operation: string): Span {
  const attributes: (string | number)[] = [
    'http.request.method',
    info.method,
    'url.path',
    info.originalPath,
    'server.address',
    info.authority,
    'http.response.status_code',
    info.responseCode,
    'response_flags',
    formatResponseFlags(info.responseFlags),
    'upstream_cluster',
    info.upstreamCluster,
    'upstream_address',
    info.upstreamHost,
    'peer.address',
    info.downstreamRemoteAddress,
    'http.request.resend_count',
    Math.max(0, info.upstreamRequestAttemptCount - 1),
  ];
  return {
    trace,
    name: operation === '' ? `${info.method} ${info.routeName === '' ? info.authority : info.routeName}` : operation,
    kind,
    startUnixMs: info.startTimeMs,
    endUnixMs: info.startTimeMs + Math.max(0, info.durationMs),
    error: info.responseCode >= 500 || info.responseCode === 0,
    attributes,
  };
}
