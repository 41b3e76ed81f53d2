import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { openLmdb } from './lmdb-key-value.ts';

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'store-'));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

const bytes = (text: string) => new TextEncoder().encode(text);
const write = (entries: Record<string, string>, remove: string[] = []) => ({
  put: new Map(Object.entries(entries).map(([key, value]) => [key, bytes(value)])),
  remove: new Set(remove),
});
const file = () => join(directory, 'data.mdb');

test('keeps what was written, in order of keys', async () => {
  const first = await openLmdb(directory);
  first.write(write({ 'b/2': 'two', 'a/1': 'one', 'b/1': '' }));
  first.write(write({ 'b/3': 'three' }, ['b/2']));
  await first.close();
  const again = await openLmdb(directory);
  expect([...again.entries('b/', 'b/\uffff')].map(([key, value]) => [key, Buffer.from(value).toString()])).toEqual([
    ['b/1', ''],
    ['b/3', 'three'],
  ]);
  expect(again.get('b/2')).toBeUndefined();
  await again.close();
});

test('is for its owner alone: the key of the authority is in it', async () => {
  const store = await openLmdb(join(directory, 'deep'));
  expect(statSync(join(directory, 'deep')).mode & 0o777).toBe(0o700);
  expect(statSync(join(directory, 'deep', 'data.mdb')).mode & 0o777).toBe(0o600);
  await store.close();
});

describe('a file that is no good is refused, and not changed', () => {
  test.each([
    ['of another kind', Buffer.from('SQLite format 3\0'.padEnd(8192, 'x')), 'FOREIGN'],
    ['too short', Buffer.from('abc'), 'FOREIGN'],
  ])('%s', async (_, content, code) => {
    writeFileSync(file(), content);
    await expect(openLmdb(directory)).rejects.toMatchObject({ name: 'StoreError', code, next: expect.stringMatching(/./) as string });
    expect(readFileSync(file())).toEqual(content);
  });

  test.each([
    ['cut off', (content: Buffer) => content.subarray(0, 2 * 4096 + 100)],
    ['overwritten behind its head', (content: Buffer) => Buffer.concat([content.subarray(0, 2 * 4096), Buffer.alloc(content.length - 2 * 4096, 0xa5)])],
  ])('%s', async (_, damage) => {
    const store = await openLmdb(directory);
    store.write(write(Object.fromEntries(Array.from({ length: 500 }, (_, index) => [`key-${index}`, 'x'.repeat(300)]))));
    await store.close();
    const damaged = damage(readFileSync(file()));
    writeFileSync(file(), damaged);
    await expect(openLmdb(directory)).rejects.toMatchObject({ code: 'BROKEN', message: expect.stringContaining(directory) as string });
    expect(readFileSync(file()).equals(damaged)).toBe(true);
  });
});

test('a directory that cannot be made is said', async () => {
  writeFileSync(join(directory, 'in-the-way'), '');
  await expect(openLmdb(join(directory, 'in-the-way', 'store'))).rejects.toMatchObject({ code: 'WRITE_FAILED', next: expect.stringMatching(/./) as string });
});
