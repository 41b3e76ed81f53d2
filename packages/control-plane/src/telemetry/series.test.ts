import { IstioMetrics, MetricRegistry, parsePrometheus, type Sample, writePrometheus } from '@outrigger/telemetry';
import { expect, test } from 'vitest';
import { Series } from './series.ts';

/** A sidecar's page, by the metrics that sidecars keep. */
class Sidecar {
  readonly #registry = new MetricRegistry();
  readonly #metrics = new IstioMetrics(this.#registry);

  answer(code: number, ms: number, reporter = 'destination', flags = '-'): void {
    const series = this.#metrics.http({
      reporter,
      destination_canonical_service: 'orders',
      destination_workload_namespace: 'default',
      destination_version: 'v2',
      response_code: String(code),
      response_flags: flags,
    });
    series.requests.inc();
    series.durationMs.record(ms);
  }

  miss(subset: string): void {
    this.#metrics.unreached('orders', 'default', subset).inc();
  }

  page(detail: 'edges' | 'fine'): readonly Sample[] {
    const parsed = parsePrometheus(writePrometheus(this.#registry, detail));
    if (!parsed.ok) throw new Error(parsed.message);
    return parsed.samples;
  }
}

const to = { service: 'orders', namespace: 'default', version: 'v2' };

test('what is new since the last page, by its edge', () => {
  const sidecar = new Sidecar();
  const series = new Series();
  sidecar.answer(200, 20);
  expect(series.advance(sidecar.page('edges'))).toEqual({ sightings: [], unreached: [] });
  sidecar.answer(200, 30);
  sidecar.answer(503, 1);
  expect(series.advance(sidecar.page('edges')).sightings).toMatchObject([
    { edge: { reporter: 'destination', to }, traffic: { requests: 1, failures: 0, durations: new Map([[50, 1]]) }, unreached: false },
    { edge: { to }, traffic: { requests: 1, failures: 1 } },
  ]);
});

test('durations of pages with other buckets are not taken for new ones', () => {
  const sidecar = new Sidecar();
  const series = new Series();
  for (let request = 0; request < 100; request++) sidecar.answer(200, 20);
  series.advance(sidecar.page('edges'));
  sidecar.answer(200, 20);
  expect(series.advance(sidecar.page('fine'), true).sightings).toMatchObject([{ traffic: { requests: 1, durations: new Map() } }]);
  sidecar.answer(200, 30);
  const [fine] = series.advance(sidecar.page('fine'), true).sightings;
  const [[bound = 0, count] = []] = [...(fine?.traffic.durations ?? [])];
  expect([count, bound > 30, bound < 32]).toEqual([1, true, true]);
  sidecar.answer(200, 20);
  expect(series.advance(sidecar.page('edges')).sightings).toMatchObject([{ traffic: { requests: 1, durations: new Map() } }]);
});

test('requests that reached nobody: by their subset, or by the flag that a connection failed', () => {
  const sidecar = new Sidecar();
  const series = new Series();
  sidecar.miss('v2');
  series.advance(sidecar.page('edges'));
  sidecar.miss('v2');
  sidecar.miss('v2');
  sidecar.answer(503, 1, 'source', 'UF,URX');
  sidecar.answer(503, 1, 'source', 'UC');
  const { sightings, unreached } = series.advance(sidecar.page('edges'));
  expect(unreached).toEqual([{ service: 'orders', namespace: 'default', subset: 'v2', requests: 2 }]);
  expect(sightings.map((sighting) => sighting.unreached)).toEqual([true, false]);
});
