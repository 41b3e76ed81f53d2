import type { RegisteredInstance } from '@outrigger/discovery';
import { expect, test } from 'vitest';
import type { RequestSamplesView } from '../api/shapes.ts';
import { FakeClock } from '../testing/fake-clock.ts';
import { Telemetry } from './telemetry.ts';

const START_MS = Date.UTC(2030, 0, 1);
const sidecar = (name: string) =>
  ({
    instance: { id: `default/${name}` },
    registration: { nodeId: `${name}.default`, service: name, namespace: 'default', metricsAddress: `${name}:9090`, dataPlane: 'outrigger' },
  }) as unknown as RegisteredInstance;
const window = (endMs: number) => ({ direction: 'outbound', startMs: endMs - 5_000, endMs, seen: 3, samples: [] });

function telemetryOf(names: readonly string[], pages: Readonly<Record<string, (path: string) => string>>, requestSamples = true) {
  const clock = new FakeClock(START_MS);
  const asked: string[] = [];
  const telemetry = new Telemetry({
    clock,
    log: () => {},
    intervalMs: 1_000,
    world: { registered: () => names.map(sidecar) },
    onChange: () => {},
    requestSamples,
    fetch: async (hostPort, path) => {
      if (path.startsWith('/metrics')) return '';
      asked.push(`${hostPort}${path}`);
      return pages[hostPort]!(path);
    },
  });
  return { telemetry, clock, asked, kept: () => (JSON.parse(telemetry.samples.textSince(0)) as RequestSamplesView).windows };
}

test('requests are asked for as often as there are new ones, from where the last ended, by the name of the proxy', async () => {
  let endMs = START_MS;
  const page = (): string => {
    endMs += 5_000;
    return JSON.stringify({ windows: [window(endMs)] });
  };
  const { telemetry, clock, asked, kept } = telemetryOf(['web'], { 'web:9090': page });
  await telemetry.scrape();
  clock.advance(1_000);
  await telemetry.scrape();
  clock.advance(4_000);
  await telemetry.scrape();
  expect(asked).toEqual(['web:9090/request_samples?since=0&most=2500', `web:9090/request_samples?since=${START_MS + 5_000}&most=2500`]);
  expect(kept().map(({ node }) => node)).toEqual(['web.default', 'web.default']);
});

test('of many sidecars few are asked for each, one that has none or lies loses nothing else, and none is asked where nobody wants them', async () => {
  const names = Array.from({ length: 1_000 }, (_, index) => `w${index}`);
  const many = telemetryOf(names, Object.fromEntries(names.map((name) => [`${name}:9090`, () => '{"windows":[]}'])));
  await many.telemetry.scrape();
  expect(many.asked[0]).toBe('w0:9090/request_samples?since=0&most=2');

  const mixed = telemetryOf(['old', 'liar', 'web'], {
    'old:9090': () => {
      throw new Error('http://old:9090 answered 404');
    },
    'liar:9090': () => '{"windows":[{"direction":"up"}]}',
    'web:9090': () => JSON.stringify({ windows: [window(START_MS)] }),
  });
  await mixed.telemetry.scrape();
  expect(mixed.kept().map(({ node }) => node)).toEqual(['web.default']);
  mixed.clock.advance(20_000);
  expect(mixed.telemetry.problems.filter(({ what }) => what.includes('request_samples'))).toEqual([]);

  const without = telemetryOf(['web'], {}, false);
  await without.telemetry.scrape();
  expect(without.asked).toEqual([]);
});
