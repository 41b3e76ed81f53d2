import { beforeEach, expect, test } from 'vitest';
import { FakeClock } from '../testing/fake-clock.ts';
import { GatheredRecords } from './gathered-records.ts';
import { type KeyValue, memoryKeyValue } from './key-value.ts';
import { recordsOf } from './records.ts';

let clock: FakeClock;
let writes: number;
let fails: boolean;
let keyValue: KeyValue;
let gathered: GatheredRecords<number>;

beforeEach(() => {
  clock = new FakeClock();
  writes = 0;
  fails = false;
  const memory = memoryKeyValue();
  keyValue = {
    ...memory,
    write(batch) {
      if (fails) throw new Error('the disk is full');
      writes++;
      memory.write(batch);
    },
  };
  gathered = new GatheredRecords(recordsOf(keyValue, 'instance'), clock);
});

const kept = () => Object.fromEntries(recordsOf<number>(keyValue, 'instance').entries());

test('the first change is written at once, those that follow together', async () => {
  const first = gathered.put('a', 1);
  clock.advance(0);
  await first;
  expect([writes, kept()]).toEqual([1, { a: 1 }]);
  const others = [gathered.put('b', 2), gathered.put('c', 3), gathered.delete('a'), gathered.put('b', 4), gathered.delete('c'), gathered.put('c', 5)];
  clock.advance(100);
  expect(writes).toBe(1);
  clock.advance(200);
  await Promise.all(others);
  expect([writes, kept()]).toEqual([2, { b: 4, c: 5 }]);
});

test('what waits is written at the end', () => {
  gathered.put('a', 1);
  gathered.stop();
  expect(kept()).toEqual({ a: 1 });
});

test('who waits for a write that fails is told', async () => {
  fails = true;
  const put = gathered.put('a', 1);
  clock.advance(0);
  await expect(put).rejects.toThrow('the disk is full');
  fails = false;
  const again = gathered.put('a', 2);
  clock.advance(1_000);
  await again;
  expect(kept()).toEqual({ a: 2 });
});
