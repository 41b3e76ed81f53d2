import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Collector } from '../harness/collector.ts';
import { type RunningWorkload, TestMesh, until } from '../harness/mesh.ts';
import { everyPair } from '../harness/planes.ts';
import { freePorts } from '../harness/ports.ts';

/** Span kinds of OpenTelemetry. */
const Kind = { SERVER: 2, CLIENT: 3 } as const;
const own = 'outrigger';

type LogLine = Readonly<Record<string, string | number | null>>;

describe.each(everyPair)('telemetry: client beside %s, server beside %s', (clientPlane, serverPlane) => {
  let mesh: TestMesh;
  let web: RunningWorkload;
  let payment: RunningWorkload;
  let collector: Collector;
  const url = (path: string): string => `http://payment:8080${path}`;

  beforeAll(async () => {
    collector = await Collector.start();
    mesh = await TestMesh.start();
    const args = ['--otlp', collector.address];
    const [nowhere] = await freePorts(1);
    [web, payment] = await Promise.all([
      mesh.run({ name: 'web', client: true, dataPlane: clientPlane, args }),
      mesh.run({ name: 'payment', version: 'v1', dataPlane: serverPlane, args }),
    ]);
    await until('a first answer', async () => (await web.call(url('/echo'))).status === 200);
    await mesh.apply(`apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: nowhere}
spec:
  hosts: [nowhere.example]
  location: MESH_EXTERNAL
  resolution: STATIC
  ports: [{number: 80, name: http, protocol: HTTP}]
  endpoints: [{address: 127.0.0.1, ports: {http: ${nowhere}}}]
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: no-secrets}
spec:
  selector: {matchLabels: {app: payment}}
  action: DENY
  rules: [{to: [{operation: {paths: [/secret]}}]}]
`);
  }, 60_000);
  afterAll(async () => {
    collector?.stop();
    await mesh?.stop();
  }, 60_000);

  /** Lines of a sidecar's access log for one path, once there are any. */
  async function logged(instance: string, path: string): Promise<LogLine[]> {
    const file = join(mesh.state, 'sidecars', `default.${instance}`, 'access.log');
    let lines: LogLine[] = [];
    await until(`${instance} has logged ${path}`, async () => {
      lines = readFileSync(file, 'utf8')
        .split('\n')
        .filter((line) => line.includes(path))
        .map((line) => JSON.parse(line) as LogLine);
      return lines.length > 0;
    });
    return lines;
  }

  test('the spans of both sidecars join the caller’s trace, one below the other, and the application gets the last one', async () => {
    const [traceId, callerSpan] = [randomBytes(16).toString('hex'), randomBytes(8).toString('hex')];
    const unsampled = randomBytes(16).toString('hex');
    await web.call(url('/traced'), { headers: { traceparent: `00-${unsampled}-${callerSpan}-00` } });
    const answer = await web.call(url('/traced'), { headers: { traceparent: `00-${traceId}-${callerSpan}-01` } });
    const seen = (JSON.parse(answer.body) as { headers: Record<string, string> }).headers['traceparent'] ?? '';
    const mine = () => collector.spans.filter((span) => span.traceId === traceId);
    await until('both spans are there', async () => mine().length >= 2);
    const client = mine().find(({ service }) => service === 'web.default');
    const server = mine().find(({ service }) => service === 'payment-v1.default');
    expect(mine()).toHaveLength(2);
    expect(client).toMatchObject({ parentSpanId: callerSpan, kind: Kind.CLIENT });
    expect(server).toMatchObject({ parentSpanId: client?.spanId, kind: Kind.SERVER });
    expect(seen).toBe(`00-${traceId}-${server?.spanId}-01`);
    expect(collector.spans.filter((span) => span.traceId === unsampled)).toEqual([]);
  });

  test('an access log line is JSON, with what happened on either side', async () => {
    const answer = await web.call(url('/logged?a=b'), { method: 'POST', body: 'hello', headers: { 'user-agent': 'test', 'x-request-id': 'id-of-mine' } });
    expect(answer.status).toBe(200);
    const common = { method: 'POST', path: '/logged?a=b', authority: 'payment:8080', response_code: 200, response_flags: '-', bytes_received: 5 };
    const [atClient] = await logged('web', '/logged');
    expect(atClient).toMatchObject({ ...common, protocol: 'HTTP/1.1', request_id: 'id-of-mine', user_agent: 'test', route_name: 'default' });
    expect(atClient).toMatchObject({ upstream_cluster: 'outbound|8080||payment.default.svc.cluster.local', upstream_host: payment.meshAddress });
    expect(atClient?.['bytes_sent']).toBe(Buffer.byteLength(answer.body));
    expect(Date.parse(String(atClient?.['start_time']))).toBeGreaterThan(Date.now() - 60_000);
    const [atServer] = await logged(payment.instance, '/logged');
    expect(atServer).toMatchObject({ ...common, protocol: 'HTTP/2', downstream_peer_uri_san: 'spiffe://cluster.local/ns/default/sa/web' });
    expect(atServer).toMatchObject({ upstream_host: `127.0.0.1:${payment.applicationPort}`, request_id: 'id-of-mine' });
  });

  test('response flags and details say why the mesh answered', async () => {
    await web.call('http://nowhere.example/refused');
    const [refused] = await logged('web', '/refused');
    expect(refused).toMatchObject({ response_code: 503, response_flags: expect.stringMatching(/\bUF\b/) });
    expect(refused?.['response_code_details']).toMatch(/upstream_reset_before_response_started/);

    expect((await web.call(url('/secret'))).status).toBe(403);
    const [denied] = await logged(payment.instance, '/secret');
    expect(denied).toMatchObject({ response_code: 403, response_code_details: expect.stringMatching(/rbac_access_denied/) });

    await web.call('http://no-such-host.invalid/lost');
    expect((await logged('web', '/lost'))[0]).toMatchObject({ response_code: 503, response_flags: 'DF' });

    await web.call(url('/seq/flags/503'));
    expect((await logged('web', '/seq/flags'))[0]).toMatchObject({
      response_code: 503,
      response_flags: expect.stringMatching(/\bURX\b/),
      upstream_request_attempt_count: 4,
    });
  });

  test('the metrics page has Istio’s names and labels', async () => {
    await web.call(url('/counted'));
    const page = async (workload: RunningWorkload): Promise<string> => await (await fetch(`http://${workload.metricsAddress}/metrics`)).text();
    const sides = [...(clientPlane === own ? ([['source', web]] as const) : []), ...(serverPlane === own ? ([['destination', payment]] as const) : [])];
    for (const [reporter, workload] of sides) {
      const text = await page(workload);
      const line = text.split('\n').find((each) => each.startsWith('istio_requests_total{') && each.includes('response_code="200"')) ?? '';
      const labels = Object.fromEntries([...line.matchAll(/([a-z_]+)="([^"]*)"/g)].map(([, name, value]) => [name, value]));
      expect(labels).toMatchObject({
        reporter,
        source_workload: 'web',
        source_workload_namespace: 'default',
        source_principal: 'spiffe://cluster.local/ns/default/sa/web',
        source_app: 'web',
        source_canonical_service: 'web',
        source_canonical_revision: 'latest',
        destination_workload: 'payment-v1',
        destination_workload_namespace: 'default',
        destination_principal: 'spiffe://cluster.local/ns/default/sa/payment',
        destination_app: 'payment',
        destination_version: 'v1',
        destination_service: 'payment.default.svc.cluster.local',
        destination_service_name: 'payment',
        destination_service_namespace: 'default',
        destination_canonical_service: 'payment',
        destination_canonical_revision: 'v1',
        request_protocol: 'http',
        response_code: '200',
        response_flags: '-',
        connection_security_policy: 'mutual_tls',
      });
      for (const name of ['istio_request_duration_milliseconds', 'istio_request_bytes', 'istio_response_bytes'])
        for (const part of ['bucket', 'sum', 'count']) expect(text).toContain(`\n${name}_${part}{`);
    }
  });

  test('the control plane knows the call, whichever data planes stand at its ends', async () => {
    interface Edge {
      readonly from: string;
      readonly to: string;
      readonly successRatio: number;
      readonly mtlsRatio: number;
    }
    let edge: Edge | undefined;
    await until('the edge is there', async () => {
      await web.call(url('/seen'));
      const { edges } = JSON.parse((await mesh.api('GET', '/graph?windowMs=10000')).body) as { edges: Edge[] };
      edge = edges.find(({ from, to }) => from === 'web.default' && to === 'payment.default v1');
      return edge !== undefined;
    });
    expect(edge?.mtlsRatio).toBe(1);
  });
});
