import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import protobuf from 'protobufjs';

/** What is read here of OTLP's ExportTraceServiceRequest; names and numbers are OpenTelemetry's. */
const { root } = protobuf.parse(`syntax = "proto3";
message AnyValue { oneof value { string string_value = 1; } }
message KeyValue { string key = 1; AnyValue value = 2; }
message Resource { repeated KeyValue attributes = 1; }
message Span { bytes trace_id = 1; bytes span_id = 2; bytes parent_span_id = 4; string name = 5; int32 kind = 6; }
message ScopeSpans { repeated Span spans = 2; }
message ResourceSpans { Resource resource = 1; repeated ScopeSpans scope_spans = 2; }
message Request { repeated ResourceSpans resource_spans = 1; }`);

export interface CollectedSpan {
  readonly service: string;
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId: string;
  readonly kind: number;
}

interface Request {
  readonly resourceSpans: readonly {
    readonly resource: { readonly attributes: readonly { readonly key: string; readonly value: { readonly stringValue?: string } }[] };
    readonly scopeSpans: readonly { readonly spans: readonly { traceId: string; spanId: string; parentSpanId?: string; kind?: number }[] }[];
  }[];
}

/** An OTLP/HTTP collector that takes both of its encodings. */
export class Collector {
  readonly spans: CollectedSpan[] = [];
  readonly #server: Server;

  private constructor() {
    this.#server = createServer((request, response) => {
      const chunks: Buffer[] = [];
      request.on('data', (chunk: Buffer) => chunks.push(chunk));
      request.on('end', () => {
        if (request.url === '/v1/traces') this.#take(request.headers['content-type'] ?? '', Buffer.concat(chunks));
        response.end();
      });
    });
  }

  static async start(): Promise<Collector> {
    const collector = new Collector();
    collector.#server.listen(0, '127.0.0.1');
    await once(collector.#server, 'listening');
    return collector;
  }

  get address(): string {
    return `127.0.0.1:${(this.#server.address() as { port: number }).port}`;
  }

  stop(): void {
    this.#server.close();
    this.#server.closeAllConnections();
  }

  #take(contentType: string, body: Buffer): void {
    // JSON has ids in hex, protobuf as bytes.
    const json = contentType.startsWith('application/json');
    const type = root.lookupType('Request');
    const request = (json ? JSON.parse(body.toString()) : type.toObject(type.decode(body), { bytes: String })) as Request;
    const hex = (id: string | undefined): string => (json ? (id ?? '') : Buffer.from(id ?? '', 'base64').toString('hex'));
    for (const { resource, scopeSpans } of request.resourceSpans) {
      const service = resource.attributes.find(({ key }) => key === 'service.name')?.value.stringValue ?? '';
      for (const { spans } of scopeSpans)
        for (const { traceId, spanId, parentSpanId, kind = 0 } of spans)
          this.spans.push({ service, traceId: hex(traceId), spanId: hex(spanId), parentSpanId: hex(parentSpanId), kind });
    }
  }
}
