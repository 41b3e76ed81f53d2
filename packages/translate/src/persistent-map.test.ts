import fc from 'fast-check';
import { expect, test } from 'vitest';
import { PersistentMap } from './persistent-map.ts';

const changes = fc.array(fc.array(fc.tuple(fc.constantFrom('a', 'b', 'c', 'd', 'aa', 'ab'), fc.option(fc.nat(), { nil: undefined })), { maxLength: 5 }), {
  maxLength: 20,
});

test('behaves as a Map, and what was there before a change stays as it was', () => {
  fc.assert(
    fc.property(changes, (rounds) => {
      let map = PersistentMap.empty<number>();
      const model = new Map<string, number>();
      for (const round of rounds) {
        const before = map;
        const entries = [...before.entries()];
        const change = new Map(round);
        map = map.with(change);
        for (const [key, value] of change) {
          if (value === undefined) model.delete(key);
          else model.set(key, value);
        }
        expect(new Map(map.entries())).toEqual(model);
        expect(map.size).toBe(model.size);
        expect([...before.entries()]).toEqual(entries);
      }
      for (const key of ['a', 'aa', 'zz']) expect(map.get(key)).toBe(model.get(key));
    }),
  );
});
