import { describe, expect, it } from 'vitest';
import { GivenUpMemory } from './given-up.ts';

describe('memory of calls given up', () => {
  it('knows an id until its time is over', () => {
    const memory = new GivenUpMemory(10, 1000);
    memory.add('a', 0);
    expect(memory.has('a', 999)).toBe(true);
    expect(memory.has('a', 1000)).toBe(false);
    expect(memory.has('b', 0)).toBe(false);
  });

  it('forgets the oldest when full, and what is over first', () => {
    const memory = new GivenUpMemory(2, 1000);
    memory.add('a', 0);
    memory.add('b', 1);
    memory.add('c', 2);
    expect(['a', 'b', 'c'].map((id) => memory.has(id, 3))).toEqual([false, true, true]);
    memory.add('d', 5000);
    expect(memory.size).toBe(1);
  });

  it('an id that comes again lives from then on', () => {
    const memory = new GivenUpMemory(2, 1000);
    memory.add('a', 0);
    memory.add('b', 10);
    memory.add('a', 20);
    memory.add('c', 30);
    expect(['a', 'b', 'c'].map((id) => memory.has(id, 40))).toEqual([true, false, true]);
  });

  it('takes no empty id', () => {
    const memory = new GivenUpMemory();
    memory.add('', 0);
    expect(memory.has('', 1)).toBe(false);
  });
});
