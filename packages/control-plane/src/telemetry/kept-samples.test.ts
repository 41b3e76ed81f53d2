import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import type { RequestSamplesView, SampleWindow } from '../api/shapes.ts';
import type { LogEntry } from '../options.ts';
import { FakeClock } from '../testing/fake-clock.ts';
import { dropKeptSamples, KeptSamples } from './kept-samples.ts';
import { MAX_SAMPLE_AGE_MS, RequestSamples } from './request-samples.ts';

let directory = '';
let clock = new FakeClock();
let logged: LogEntry[] = [];
const files = (): string[] => readdirSync(directory);
const fileAt = (index: number): string => join(directory, files()[index]!);
const window = (seen: number, more: Partial<SampleWindow> = {}): SampleWindow => ({
  node: 'web-1.default',
  direction: 'outbound',
  startMs: clock.now() - 5_000,
  endMs: clock.now(),
  seen,
  samples: [],
  ...more,
});

/** A control plane's, from its start to its end. */
function life(maxBytes?: number) {
  const samples = new RequestSamples();
  const kept = new KeptSamples({ directory, samples, clock, log: (entry) => logged.push(entry), ...(maxBytes === undefined ? {} : { maxBytes }) });
  kept.start();
  return {
    samples,
    add: (...windows: readonly SampleWindow[]) => samples.add(windows, clock.now()),
    seen: () => (JSON.parse(samples.textSince(0)) as RequestSamplesView).windows.map((one) => one.seen),
    stop: () => kept.stop(),
  };
}

beforeEach(() => {
  directory = join(mkdtempSync(join(tmpdir(), 'kept-samples-')), 'request-samples');
  clock = new FakeClock();
  logged = [];
});
afterEach(() => rmSync(join(directory, '..'), { recursive: true }));

test('what was seen is there after a restart, and what a sidecar has told is not asked for again', async () => {
  const first = life();
  first.add(window(1), window(2, { node: 'a b\nc.default' }));
  await first.stop();
  clock.advance(1_000);
  const second = life();
  expect([second.seen(), second.samples.untilMs('a b\nc.default')]).toEqual([[1, 2], clock.now() - 1_000]);
  second.add(window(3));
  await second.stop();
  expect([life().seen(), logged]).toEqual([[1, 2, 3], []]);
  expect([statSync(directory).mode & 0o777, statSync(fileAt(0)).mode & 0o777]).toEqual([0o700, 0o600]);
});

test('a minute is written at once, into one file until that is an hour old', async () => {
  const one = life();
  one.add(window(1));
  clock.advance(59_000);
  expect(files()).toEqual([]);
  clock.advance(1_000);
  await vi.waitFor(() => expect(files()).toHaveLength(1));
  one.add(window(2));
  await one.stop();
  expect(readFileSync(fileAt(0), 'utf8').split('\n')).toHaveLength(4);

  const next = life();
  next.add(window(3));
  clock.advance(60_000);
  await vi.waitFor(() => expect(files()).toHaveLength(2));
  clock.advance(3_600_000);
  next.add(window(4));
  await next.stop();
  next.add(window(5));
  await next.stop();
  expect(files()).toHaveLength(3);
});

test('on disk they are bounded by age and by bytes, the oldest go first', async () => {
  const text = 'x'.repeat(600_000);
  const full = life(2_500_000);
  for (let seen = 1; seen <= 10; seen++) {
    clock.advance(1_000);
    full.add(window(seen, { samples: [{ path: text } as never] }));
    await full.stop();
  }
  expect(files().reduce((sum, name) => sum + statSync(join(directory, name)).size, 0)).toBeLessThan(4_000_000);
  expect(life(2_500_000).seen().at(-1)).toBe(10);
  expect(life(2_500_000).seen()).not.toContain(1);
  clock.advance(MAX_SAMPLE_AGE_MS + 1_000);
  expect([life().seen(), files()]).toEqual([[], []]);
});

test.each([
  ['cut', (text: string) => text.slice(0, -20)],
  ['changed', (text: string) => text.replace('"seen":1', '"seen":7')],
  ['of another version', (text: string) => text.replace('samples/1', 'samples/9')],
  ['empty', () => ''],
])('a file that is %s is said and dropped, and the others are not', async (_, damaged) => {
  for (const seen of [1, 2]) {
    const one = life();
    one.add(window(seen));
    await one.stop();
    clock.advance(1_000);
  }
  const file = fileAt(files().indexOf(files().sort()[0]!));
  writeFileSync(file, damaged(readFileSync(file, 'utf8')));
  writeFileSync(join(directory, '9.samples.new'), 'half');
  expect(life().seen()).toEqual([2]);
  expect(logged).toEqual([expect.objectContaining({ level: 'warn', file, message: expect.stringContaining('it is dropped') })]);
  expect([existsSync(file), files().length]).toEqual([false, 1]);
});

test('where they cannot be kept that is said once, and they are there until the end', async () => {
  writeFileSync(directory, 'no folder');
  const one = life();
  for (const seen of [1, 2]) {
    one.add(window(seen));
    await one.stop();
  }
  expect([one.seen(), logged.length, logged[0]!.message]).toEqual([[1, 2], 1, expect.stringContaining(`cannot be kept in ${directory}`)]);
});

test('where none are wanted any more those of before are gone', async () => {
  const one = life();
  one.add(window(1));
  await one.stop();
  dropKeptSamples(directory);
  expect(existsSync(directory)).toBe(false);
});
