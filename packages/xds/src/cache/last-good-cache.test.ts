import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { TypeUrl } from '../source.ts';
import { textResource } from '../testing/map-source.ts';
import { LastGoodCache } from './last-good-cache.ts';

let folder: string;
let path: string;
const { body } = textResource('a', '1');

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'cache-'));
  path = join(folder, 'deeper', 'cache');
});

afterEach(() => rmSync(folder, { recursive: true }));

function filled(): LastGoodCache {
  const cache = LastGoodCache.open(path);
  cache.put(TypeUrl.cluster, 'a', '1', body, []);
  cache.put(TypeUrl.virtualHost, 'h', '7', body, ['h/x', 'h/y']);
  cache.contact(1_790_000_000_000);
  cache.close();
  return cache;
}

test('what was put is there after a restart, with versions, aliases and the time of the last contact', () => {
  filled();
  const cache = LastGoodCache.open(path);
  expect(cache.get(TypeUrl.cluster, 'a')).toMatchObject({ version: '1', aliases: [] });
  expect(Buffer.from(cache.get(TypeUrl.cluster, 'a')!.value)).toEqual(Buffer.from(body.value));
  expect([...cache.entries(TypeUrl.virtualHost)]).toMatchObject([{ name: 'h', version: '7', aliases: ['h/x', 'h/y'] }]);
  expect(cache.lastContactMs).toBe(1_790_000_000_000);
});

test('only the owner may read it', () => {
  filled();
  expect(statSync(path).mode & 0o777).toBe(0o600);
});

test('a contact without a change reaches the disk too, and does not hurt the content', () => {
  filled();
  const before = readFileSync(path);
  const cache = LastGoodCache.open(path, { contactIntervalMs: 1_000 });
  cache.contact(1_790_000_500_000);
  expect(readFileSync(path)).not.toEqual(before);
  const after = LastGoodCache.open(path);
  expect(after.lastContactMs).toBe(1_790_000_500_000);
  expect(after.get(TypeUrl.cluster, 'a')).toBeDefined();
});

test.each([
  [
    'one bit is another',
    () => {
      const bytes = readFileSync(path);
      bytes[bytes.length - 1]! ^= 1;
      writeFileSync(path, bytes);
    },
  ],
  ['it was cut off', () => truncateSync(path, 60)],
  ['it is empty', () => truncateSync(path, 0)],
  ['it is another file', () => writeFileSync(path, 'x'.repeat(500))],
])('a damaged file counts as none, with a warning: %s', (_, damage) => {
  filled();
  damage();
  const warnings: string[] = [];
  const cache = LastGoodCache.open(path, { onWarning: (message) => warnings.push(message) });
  expect([...cache.entries(TypeUrl.cluster)]).toEqual([]);
  expect(cache.lastContactMs).toBeUndefined();
  expect(warnings).toEqual([expect.stringContaining(path)]);
});

test('none at all is no reason to warn', () => {
  const warnings: string[] = [];
  LastGoodCache.open(path, { onWarning: (message) => warnings.push(message) });
  expect(warnings).toEqual([]);
});

test('what does not fit is not kept, and is said once; what was there of that name goes, for it is no longer good', () => {
  const warnings: string[] = [];
  const cache = LastGoodCache.open(path, { maxBytes: body.value.length * 2, onWarning: (message) => warnings.push(message) });
  for (const name of ['a', 'b', 'c', 'd']) cache.put(TypeUrl.cluster, name, '1', body, []);
  expect(Array.from(cache.entries(TypeUrl.cluster), ({ name }) => name)).toEqual(['a', 'b']);
  cache.put(TypeUrl.cluster, 'a', '2', { ...body, value: new Uint8Array(body.value.length * 3) }, []);
  expect(cache.get(TypeUrl.cluster, 'a')).toBeUndefined();
  expect(warnings).toHaveLength(1);
});

test('a folder that cannot be written is a warning, and the memory goes on', () => {
  writeFileSync(join(folder, 'file'), '');
  const warnings: string[] = [];
  const cache = LastGoodCache.open(join(folder, 'file', 'cache'), { onWarning: (message) => warnings.push(message) });
  cache.put(TypeUrl.cluster, 'a', '1', body, []);
  cache.flush();
  expect(cache.get(TypeUrl.cluster, 'a')).toBeDefined();
  expect(warnings.at(-1)).toContain('cannot write');
});

test('what an earlier process left and nobody asked for goes after an hour of contact, or when the room is needed', () => {
  filled();
  const cache = LastGoodCache.open(path);
  expect(cache.get(TypeUrl.cluster, 'a')).toBeDefined();
  cache.contact(Date.now() + 3_601_000);
  expect(Array.from(cache.entries(TypeUrl.cluster), ({ name }) => name)).toEqual(['a']);
  expect([...cache.entries(TypeUrl.virtualHost)]).toEqual([]);
  cache.close();

  const small = LastGoodCache.open(path, { maxBytes: body.value.length });
  small.put(TypeUrl.cluster, 'b', '1', body, []);
  expect(Array.from(small.entries(TypeUrl.cluster), ({ name }) => name)).toEqual(['b']);
});

test('is written in the background after a change, and again after one that comes meanwhile', async () => {
  const cache = LastGoodCache.open(path, { debounceMs: 1 });
  const names = Array.from({ length: 3_000 }, (_, index) => `c${index}`);
  for (const name of names) cache.put(TypeUrl.cluster, name, '1', body, []);
  await vi.waitFor(() => expect(readdirSync(join(folder, 'deeper')).length).toBeGreaterThan(0), { interval: 1 });
  cache.put(TypeUrl.cluster, 'late', '1', body, []);
  await vi.waitFor(() => expect(Array.from(LastGoodCache.open(path).entries(TypeUrl.cluster), ({ name }) => name)).toEqual([...names, 'late']), 5_000);
});

test('what is written at the end is not replaced by what was being written in the background', async () => {
  const cache = LastGoodCache.open(path, { debounceMs: 1 });
  cache.put(TypeUrl.cluster, 'a', '1', body, []);
  await vi.waitFor(() => expect(readdirSync(join(folder, 'deeper'))).toContain('cache'), { interval: 1 });
  for (let index = 0; index < 500; index++) cache.put(TypeUrl.cluster, `c${index}`, '1', body, []);
  await vi.waitFor(() => expect(readdirSync(join(folder, 'deeper')).some((name) => name.endsWith('.next'))).toBe(true), { interval: 1 });
  cache.put(TypeUrl.cluster, 'last', '2', body, []);
  cache.close();
  await vi.waitFor(() => expect(readdirSync(join(folder, 'deeper'))).toEqual(['cache']));
  expect(LastGoodCache.open(path).get(TypeUrl.cluster, 'last')?.version).toBe('2');
});
