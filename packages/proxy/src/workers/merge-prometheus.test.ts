import { histogramsOf, MetricRegistry, parsePrometheus, writePrometheus } from '@outrigger/telemetry';
import { expect, test } from 'vitest';
import { mergePrometheus } from './merge-prometheus.ts';

/** One process that has counted these. */
function page(requests: Readonly<Record<string, number>>, durationsMs: readonly number[], breaker: number, detail: 'edges' | 'fine' = 'edges'): string {
  const registry = new MetricRegistry();
  const counters = registry.counter('requests_total', 'Requests.', 'code');
  for (const [code, count] of Object.entries(requests)) counters.with(code).value += count;
  const histogram = registry.histogram('duration_ms', 'Time.', 'code');
  for (const ms of durationsMs) histogram.with('200').record(ms);
  registry.gauge('outrigger_endpoint_breaker', 'Breaker.', 'endpoint').with('a').set(breaker);
  return writePrometheus(registry, detail);
}

test('counters are summed, also those that one process alone has; a breaker is as open as the most open', () => {
  const parsed = parsePrometheus(mergePrometheus([page({ 200: 3, 'a b"}\n': 1 }, [], 2), page({ 200: 4, 503: 5 }, [], 1)]));
  if (!parsed.ok) throw new Error(parsed.message);
  expect(parsed.samples.map(({ name, labels, value }) => [name, Object.values(labels)[0], value])).toEqual([
    ['requests_total', '200', 7],
    ['requests_total', 'a b"}\n', 1],
    ['requests_total', '503', 5],
    ['outrigger_endpoint_breaker', 'a', 2],
  ]);
});

test.each(['edges', 'fine'] as const)('histograms are as if one process had recorded all (%s)', (detail) => {
  const [one, other] = [
    [0.5, 5, 50, 500],
    [0.5, 7, 7, 90],
  ];
  const read = (text: string) => {
    const parsed = parsePrometheus(text);
    if (!parsed.ok) throw new Error(parsed.message);
    return histogramsOf(parsed.samples, 'duration_ms');
  };
  expect(read(mergePrometheus([page({}, one!, 0, detail), page({}, other!, 0, detail)]))).toEqual(read(page({}, [...one!, ...other!], 0, detail)));
});
