import type { Span } from './span.ts';

/** opentelemetry.proto.trace.v1.Span.SpanKind. */
const KIND = { server: 2, client: 3 } as const;
/** Status.StatusCode. */
const STATUS_ERROR = 2;

interface KeyValue {
  readonly key: string;
  readonly value: { readonly stringValue: string } | { readonly intValue: string };
}

function keyValue(key: string, value: string | number): KeyValue {
  return { key, value: typeof value === 'string' ? { stringValue: value } : { intValue: String(Math.trunc(value)) } };
}

function nanos(unixMs: number): string {
  const ms = Math.floor(unixMs);
  return String(BigInt(ms) * 1_000_000n + BigInt(Math.round((unixMs - ms) * 1e6)));
}

function spanJson(span: Span): unknown {
  const attributes: KeyValue[] = [];
  for (let i = 0; i < span.attributes.length; i += 2) {
    const value = span.attributes[i + 1]!;
    if (value !== '') attributes.push(keyValue(String(span.attributes[i]), value));
  }
  return {
    traceId: span.trace.traceId,
    spanId: span.trace.spanId,
    ...(span.trace.parentSpanId === '' ? {} : { parentSpanId: span.trace.parentSpanId }),
    ...(span.trace.traceState === '' ? {} : { traceState: span.trace.traceState }),
    name: span.name,
    kind: KIND[span.kind],
    startTimeUnixNano: nanos(span.startUnixMs),
    endTimeUnixNano: nanos(span.endUnixMs),
    attributes,
    ...(span.error ? { status: { code: STATUS_ERROR } } : {}),
  };
}

/** ExportTraceServiceRequest in OTLP's JSON (opentelemetry-proto, "OTLP/HTTP": hexadecimal ids, decimal 64-bit numbers). */
export function encodeSpans(resource: Readonly<Record<string, string>>, spans: readonly Span[]): string {
  return JSON.stringify({
    resourceSpans: [
      {
        resource: { attributes: Object.entries(resource).map(([key, value]) => keyValue(key, value)) },
        scopeSpans: [{ scope: { name: 'outrigger' }, spans: spans.map(spanJson) }],
      },
    ],
  });
}
