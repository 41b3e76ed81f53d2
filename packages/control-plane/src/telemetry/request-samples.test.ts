import { expect, test } from 'vitest';
import type { RequestSamplesView, SampleWindow } from '../api/shapes.ts';
import { MAX_SAMPLE_AGE_MS, RequestSamples, readSamplesPage } from './request-samples.ts';

const sample = {
  atMs: 1,
  method: 'GET',
  scheme: 'http',
  authority: 'orders:8080',
  path: '/',
  headers: ['x-user', 'jason'],
  listener: 'http_proxy',
  address: '127.0.0.1:15001',
  remote: '127.0.0.1',
  tls: false,
  sni: '',
  alpn: '',
  peer: '',
  status: 200,
  flags: 0,
  route: 'default',
  cluster: 'outbound|8080||orders.default.svc.cluster.local',
};
const window = (endMs: number): SampleWindow => ({ node: 'web-1.default', direction: 'outbound', startMs: endMs - 5_000, endMs, seen: 7, samples: [sample] });
const kept = (samples: RequestSamples, sinceMs = 0): number[] =>
  (JSON.parse(samples.textSince(sinceMs)) as RequestSamplesView).windows.map(({ endMs }) => endMs);

test('a page of a sidecar is taken with the name of its node, and nothing that is none', () => {
  const { node: _node, ...page } = window(5_000);
  expect(readSamplesPage(JSON.stringify({ windows: [page] }), 'web-1.default')).toEqual([window(5_000)]);
  for (const wrong of [
    'no JSON',
    'null',
    '{}',
    '{"windows": 1}',
    JSON.stringify({ windows: [{ ...page, direction: 'sideways' }] }),
    JSON.stringify({ windows: [{ ...page, seen: -1 }] }),
    JSON.stringify({ windows: [{ ...page, samples: [{ ...sample, path: 7 }] }] }),
    JSON.stringify({ windows: [{ ...page, samples: [{ ...sample, headers: ['x'.repeat(20_000)] }] }] }),
    JSON.stringify({ windows: Array.from({ length: 2_000 }, () => page) }),
  ])
    expect(() => readSamplesPage(wrong, 'web-1.default')).toThrow();
});

test('they are kept by age and by bytes, the newest first of all', () => {
  const samples = new RequestSamples();
  samples.add([window(5_000), window(10_000)], 10_000);
  expect(kept(samples)).toEqual([5_000, 10_000]);
  expect(kept(samples, 5_000)).toEqual([10_000]);
  samples.add([window(MAX_SAMPLE_AGE_MS + 8_000)], MAX_SAMPLE_AGE_MS + 8_000);
  expect(kept(samples)).toEqual([10_000, MAX_SAMPLE_AGE_MS + 8_000]);

  const size = JSON.stringify(window(1_000)).length;
  const small = new RequestSamples(size * 10);
  for (let at = 1; at <= 100; at++) small.add([window(at * 1_000)], at * 1_000);
  expect(kept(small)[0]).toBeGreaterThan(88_000);
  expect(kept(small).at(-1)).toBe(100_000);
  expect(small.bytes).toBeLessThanOrEqual(size * 10);
});
