import { describe, expect, it } from 'vitest';
import { HttpEdge, IstioMetrics } from './istio-metrics.ts';
import { MetricRegistry } from './metrics.ts';
import { writePrometheus } from './prometheus-text.ts';
import { ResponseFlag } from './response-flags.ts';

describe('metrics', () => {
  it('the same labels give the same object', () => {
    const family = new MetricRegistry().counter('a_total', 'A.', 'x', 'y');
    family.with('1', '2').inc();
    family.with('1', '2').add(2);
    expect(family.with('1', '2').value).toBe(3);
    expect(family.with('12', '')).not.toBe(family.with('1', '2'));
  });

  it('series beyond the cap share one', () => {
    const registry = new MetricRegistry(3);
    const family = registry.counter('a_total', 'A.', 'x');
    for (let i = 0; i < 10; i++) family.with(String(i)).inc();
    const text = writePrometheus(registry);
    expect(text).toContain('a_total{x="1"} 1\n');
    expect(text).toContain('a_total{x="overflow"} 8\n');
    expect(text.match(/^a_total/gm)).toHaveLength(3);
    family.remove('0');
    family.with('new').inc();
    expect([...family.series()].some((series) => series.labels[0] === 'new')).toBe(true);
  });

  it('long label values are cut', () => {
    const family = new MetricRegistry().counter('a_total', 'A.', 'x');
    family.with('v'.repeat(10_000));
    expect([...family.series()][0]!.labels[0]).toHaveLength(256);
  });

  it('a name is one family with one set of labels', () => {
    const registry = new MetricRegistry();
    expect(registry.gauge('a', 'A.', 'x')).toBe(registry.gauge('a', 'A.', 'x'));
    expect(() => registry.gauge('a', 'A.', 'y')).toThrow(RangeError);
    expect(() => registry.counter('a', 'A.', 'x')).toThrow(RangeError);
    expect(() => registry.counter('a-b', 'A.')).toThrow(RangeError);
    expect(() => registry.gauge('a', 'A.', 'x').with('1', '2')).toThrow(RangeError);
  });

  it('proxies share nothing', () => {
    const one = new MetricRegistry();
    one.counter('a_total', 'A.').with().inc();
    expect(writePrometheus(new MetricRegistry())).toBe('');
    expect(writePrometheus(one)).toBe('# HELP a_total A.\n# TYPE a_total counter\na_total 1\n');
  });
});

it("Istio's metrics have Istio's names, labels and edges", () => {
  const registry = new MetricRegistry();
  const series = new IstioMetrics(registry).http({
    reporter: 'source',
    source_workload: 'web',
    destination_service: 'order-service.default.svc.cluster.local',
    response_code: '200',
    grpc_response_status: '',
  });
  series.requests.inc();
  series.durationMs.record(7);
  const text = writePrometheus(registry);
  expect(text).toMatch(
    /^istio_requests_total\{reporter="source",source_workload="web",source_workload_namespace="unknown",.*response_code="200",grpc_response_status="",.*\} 1$/m,
  );
  expect(text).toMatch(/^istio_request_duration_milliseconds_bucket\{.*le="5"\} 0$/m);
  expect(text).toMatch(/^istio_request_duration_milliseconds_bucket\{.*le="10"\} 1$/m);
  expect(text).toMatch(/^istio_request_duration_milliseconds_bucket\{.*le="3600000"\} 1$/m);
  // Nothing was recorded there.
  expect(text).not.toContain('istio_request_bytes');
});

it('an edge keeps one series for each answer', () => {
  const registry = new MetricRegistry();
  const edge = new HttpEdge(new IstioMetrics(registry), { reporter: 'destination' });
  const overflow = ResponseFlag.upstreamOverflow | ResponseFlag.upstreamRetryLimitExceeded;
  expect(edge.series(503, overflow, '')).toBe(edge.series(503, overflow, ''));
  edge.series(503, overflow, '').requests.inc();
  edge.series(503, 0, '').requests.inc();
  edge.series(200, 0, '14').requests.inc();
  edge.series(200, 0, 'whatever a peer writes').requests.inc();
  const text = writePrometheus(registry);
  expect(text).toMatch(/request_protocol="http",response_code="503",grpc_response_status="",response_flags="UO,URX".*\} 1$/m);
  expect(text).toMatch(/response_code="503",grpc_response_status="",response_flags="-".*\} 1$/m);
  expect(text).toMatch(/request_protocol="grpc",response_code="200",grpc_response_status="14",response_flags="-".*\} 1$/m);
  expect(text).toMatch(/grpc_response_status="unknown"/);
  expect(text).not.toContain('whatever');
});
