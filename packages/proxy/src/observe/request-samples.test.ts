import { FastRandom } from '@outrigger/telemetry';
import { describe, expect, test } from 'vitest';
import type { ActiveStream } from '../engine/active-stream.ts';
import { finishSample, RequestSamples, SAMPLE_WINDOW_MS, SAMPLES_PER_WINDOW } from './request-samples.ts';

const random = new FastRandom([1, 2, 3, 4]);
const START_MS = 1_700_000_000_000;

function stream(path: string, { atMs = START_MS, direction = 'outbound', headers = [] as string[], dice = random.uint32() } = {}): ActiveStream {
  const info = { localAddress: '127.0.0.1:15001', remoteHost: '127.0.0.1', secure: false, requestedServerName: '', alpn: '', mutual: false, peer: { uri: '' } };
  return {
    manager: { direction },
    connection: { info },
    head: { method: 'GET', scheme: 'http', authority: 'orders:8080', path, headers },
    startTimeMs: atMs,
    dice,
    sample: null,
    responseCode: 404,
    responseFlags: 1,
    routeName: 'default',
    upstreamCluster: 'outbound|8080||orders',
  } as unknown as ActiveStream;
}

const after = (samples: RequestSamples, sinceMs = 0) => samples.since(sinceMs, START_MS + SAMPLE_WINDOW_MS);

describe('of the requests of one window', () => {
  test('all are kept where there are few, with what became of them', () => {
    const samples = new RequestSamples();
    const [first, second] = [stream('/a'), stream('/b', { direction: 'inbound' })];
    for (const one of [first, second]) samples.offer(one, 'http_proxy');
    finishSample(first.sample!, first);
    expect(samples.since(0, START_MS)).toEqual([]);
    expect(after(samples)).toMatchObject([
      { direction: 'inbound', seen: 1, samples: [{ path: '/b', status: 0 }] },
      {
        direction: 'outbound',
        seen: 1,
        samples: [{ path: '/a', status: 404, cluster: 'outbound|8080||orders', listener: 'http_proxy', address: '127.0.0.1:15001' }],
      },
    ]);
    expect(after(samples, START_MS + SAMPLE_WINDOW_MS)).toEqual([]);
  });

  test('each has the same chance, whatever number decides about its route', () => {
    const OFFERED = 320;
    const ROUNDS = 400;
    const chosen = new Array<number>(OFFERED).fill(0);
    let low = 0;
    for (let round = 0; round < ROUNDS; round++) {
      const samples = new RequestSamples();
      const dice: number[] = [];
      for (let index = 0; index < OFFERED; index++) {
        dice.push(random.uint32());
        samples.offer(stream(`/${index}`, { dice: dice[index]! }), 'http_proxy');
      }
      const [window] = after(samples);
      expect(window).toMatchObject({ seen: OFFERED, samples: { length: SAMPLES_PER_WINDOW } });
      for (const { path } of window!.samples) {
        const index = Number(path.slice(1));
        chosen[index]! += 1;
        if (dice[index]! < 0x8000_0000) low += 1;
      }
    }
    const expected = (ROUNDS * SAMPLES_PER_WINDOW) / OFFERED;
    // Of the whole and of each tenth, within five standard deviations.
    for (let tenth = 0; tenth < 10; tenth++) {
      const sum = chosen.slice(tenth * 32, tenth * 32 + 32).reduce((total, count) => total + count, 0);
      expect(Math.abs(sum - 32 * expected)).toBeLessThan(5 * Math.sqrt(32 * expected));
    }
    const all = ROUNDS * SAMPLES_PER_WINDOW;
    expect(Math.abs(low - all / 2)).toBeLessThan(5 * Math.sqrt(all / 4));
  });
});

test('a proxy with so many requests that most samples give way to others keeps its windows as well', () => {
  const samples = new RequestSamples();
  const WINDOWS = 4;
  for (let window = 0; window < WINDOWS; window++)
    for (let index = 0; index < 20_000; index++) samples.offer(stream(`/${'x'.repeat(500)}`, { atMs: START_MS + window * SAMPLE_WINDOW_MS }), 'l');
  const kept = samples.since(0, START_MS + WINDOWS * SAMPLE_WINDOW_MS);
  expect(kept.map(({ seen, samples: { length } }) => [seen, length])).toEqual(new Array(WINDOWS).fill([20_000, SAMPLES_PER_WINDOW]));
});

test('what lets somebody in is kept as a hash, what is of one request alone not at all', () => {
  const samples = new RequestSamples();
  const headers = [
    'Authorization',
    'Bearer abc',
    'cookie',
    'id=1',
    'x-api-key',
    'k',
    'x-user',
    'jason',
    'x-request-id',
    '7',
    'traceparent',
    '00-1',
    'x-author',
    'ann',
    'referer',
    'https://a.example/reset?page=2&token=secret',
  ];
  samples.offer(stream('/a?token=secret&page=2', { headers }), 'l');
  samples.offer(stream('/b', { headers: ['authorization', 'Bearer abc'] }), 'l');
  const [one, two] = after(samples)[0]!.samples;
  expect(one!.headers.filter((_, at) => at % 2 === 0)).toEqual(['Authorization', 'cookie', 'x-api-key', 'x-user', 'x-author', 'referer']);
  expect(one!.headers[1]).toMatch(/^hash:[0-9a-f]{16}$/);
  expect(one!.headers[7]).toBe('jason');
  expect(one!.headers[9]).toBe('ann');
  expect(one!.path).toMatch(/^\/a\?token=hash:[0-9a-f]{16}&page=2$/);
  expect(one!.headers[11]).toMatch(/^https:\/\/a\.example\/reset\?page=2&token=hash:[0-9a-f]{16}$/);
  // The same secret is seen to be the same.
  expect(two!.headers[1]).toBe(one!.headers[1]);
  expect(JSON.stringify(after(samples))).not.toMatch(/Bearer|secret|id=1/);
});

test('what is kept is bounded: by the size of a head, by windows and by bytes', () => {
  const samples = new RequestSamples();
  samples.offer(stream(`/${'x'.repeat(9_000)}`), 'l');
  samples.offer(stream('/small'), 'l');
  expect(after(samples)[0]).toMatchObject({ seen: 2, samples: [{ path: '/small' }] });
  let nowMs = START_MS;
  for (let window = 0; window < 100; window++) {
    nowMs += SAMPLE_WINDOW_MS;
    for (let index = 0; index < SAMPLES_PER_WINDOW; index++) samples.offer(stream(`/${'y'.repeat(1_000)}`, { atMs: nowMs }), 'l');
  }
  const kept = samples.since(0, nowMs + SAMPLE_WINDOW_MS);
  expect(kept.length).toBeGreaterThan(1);
  expect(JSON.stringify(kept).length).toBeLessThan(200_000);
  expect(samples.since(0, nowMs + SAMPLE_WINDOW_MS, 4).map((window) => window.samples.length)).toEqual(kept.map(() => 4));
  expect(kept.at(-1)!.endMs).toBe(nowMs + SAMPLE_WINDOW_MS);
});
