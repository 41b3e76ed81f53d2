import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { EMPTY_STREAM } from './empty-stream.ts';
import { OtlpExporter } from './otlp-exporter.ts';
import { encodeSpans } from './otlp-json.ts';
import { ResponseFlag } from './response-flags.ts';
import { makeSpan, type Span } from './span.ts';

const TRACE = {
  traceId: '4bf92f3577b34da6a3ce929d0e0e4736',
  spanId: '00f067aa0ba902b7',
  parentSpanId: '',
  sampled: true,
  traceState: '',
  format: 'w3c',
} as const;

function span(fields: Partial<typeof EMPTY_STREAM> = {}): Span {
  return makeSpan(
    TRACE,
    { ...EMPTY_STREAM, method: 'GET', routeName: 'orders', startTimeMs: 1_700_000_000_000.5, durationMs: 2, responseCode: 200, ...fields },
    'client',
    '',
  );
}

describe('OTLP JSON', () => {
  it('has hexadecimal ids, decimal nanoseconds and typed attributes', () => {
    const sent = JSON.parse(encodeSpans({ 'service.name': 'web' }, [span({ responseCode: 503, responseFlags: ResponseFlag.noHealthyUpstream })])) as {
      resourceSpans: [{ resource: unknown; scopeSpans: [{ spans: [Record<string, unknown>] }] }];
    };
    const [resourceSpans] = sent.resourceSpans;
    expect(resourceSpans.resource).toEqual({ attributes: [{ key: 'service.name', value: { stringValue: 'web' } }] });
    const [only] = resourceSpans.scopeSpans[0].spans;
    expect(only).toMatchObject({
      traceId: TRACE.traceId,
      spanId: TRACE.spanId,
      name: 'GET orders',
      kind: 3,
      startTimeUnixNano: '1700000000000500000',
      endTimeUnixNano: '1700000000002500000',
      status: { code: 2 },
    });
    expect(only).not.toHaveProperty('parentSpanId');
    expect(only['attributes']).toContainEqual({ key: 'http.response.status_code', value: { intValue: '503' } });
    expect(only['attributes']).toContainEqual({ key: 'response_flags', value: { stringValue: 'UH' } });
  });
});

describe('exporter', () => {
  let server: Server | undefined;
  afterEach(() => server?.close());

  async function collector(status: number): Promise<{ address: string; bodies: string[]; requests: IncomingMessage[] }> {
    const bodies: string[] = [];
    const requests: IncomingMessage[] = [];
    server = createServer((request, response) => {
      let body = '';
      request.setEncoding('utf8').on('data', (part: string) => (body += part));
      request.on('end', () => {
        bodies.push(body);
        requests.push(request);
        response.writeHead(status).end('{}');
      });
    });
    await new Promise<void>((resolve) => server!.listen(0, '127.0.0.1', resolve));
    return { address: `127.0.0.1:${(server.address() as AddressInfo).port}`, bodies, requests };
  }

  it('sends spans in batches', async () => {
    const { address, bodies, requests } = await collector(200);
    const exporter = new OtlpExporter({ address, resource: {}, batchSize: 3 });
    for (let i = 0; i < 7; i++) exporter.add(span());
    await exporter.close();
    expect(requests.map((request) => [request.method, request.url, request.headers['content-type']])[0]).toEqual(['POST', '/v1/traces', 'application/json']);
    expect(bodies.map((body) => body.match(/"spanId"/g)!.length)).toEqual([3, 3, 1]);
    expect([exporter.exported, exporter.dropped]).toEqual([7, 0]);
  });

  it('counts what a collector refuses or is not there to take', async () => {
    const { address } = await collector(503);
    const refused = new OtlpExporter({ address, resource: {} });
    refused.add(span());
    await refused.close();
    expect([refused.exported, refused.dropped]).toEqual([0, 1]);
    await new Promise((resolve) => server!.close(resolve));
    const away = new OtlpExporter({ address, resource: {} });
    away.add(span());
    await away.close();
    expect(away.dropped).toBe(1);
  });

  it('holds so many and no more', async () => {
    const { address } = await collector(200);
    const exporter = new OtlpExporter({ address, resource: {}, maxQueued: 2 });
    for (let i = 0; i < 5; i++) exporter.add(span());
    await exporter.close();
    exporter.add(span());
    expect([exporter.exported, exporter.dropped]).toEqual([2, 4]);
  });

  it('refuses an address without a port', () => {
    expect(() => new OtlpExporter({ address: 'collector', resource: {} })).toThrow(RangeError);
  });
});
