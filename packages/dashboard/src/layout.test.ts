import fc from 'fast-check';
import { expect, test } from 'vitest';
import { layOut, type Space } from './layout.ts';

const space: Space = { width: 1000, nodeHeight: 40, rowHeight: 100, minGap: 100, maxGap: 200 };
const boxes = (...ids: string[]) => ids.map((id) => ({ id, width: 100 }));
const links = (...pairs: string[]) => pairs.map((pair) => ({ from: pair[0]!, to: pair[1]! }));

test('a chain is one row from left to right', () => {
  const { nodes, width, height, edges } = layOut(boxes('a', 'b', 'c'), links('ab', 'bc'), space);
  expect([...nodes]).toEqual([
    ['a', { x: 50, y: 20 }],
    ['b', { x: 350, y: 20 }],
    ['c', { x: 650, y: 20 }],
  ]);
  expect({ width, height }).toEqual({ width: 700, height: 40 });
  expect(edges[0]).toEqual({ path: 'M100,20L300,20', label: { x: 200, y: 20 } });
});

test('two versions stand above each other, between who calls them and whom they call', () => {
  const { nodes } = layOut(boxes('a', 'v', 'w', 'z'), links('av', 'aw', 'vz', 'wz'), space);
  expect(nodes.get('v')!.x).toBe(nodes.get('w')!.x);
  expect(Math.abs(nodes.get('v')!.y - nodes.get('w')!.y)).toBe(100);
  expect(nodes.get('a')!.y).toBe((nodes.get('v')!.y + nodes.get('w')!.y) / 2);
  expect(nodes.get('z')!.y).toBe(nodes.get('a')!.y);
});

test('labels of edges that share an end stand apart', () => {
  const { edges } = layOut(boxes('a', 'v', 'w', 'z'), links('av', 'aw', 'vz', 'wz'), space);
  expect(new Set(edges.map(({ label }) => `${label.x} ${label.y}`)).size).toBe(4);
});

test('who calls only a late one stands beside it', () => {
  const { nodes } = layOut(boxes('a', 'b', 'c', 'x'), links('ab', 'bc', 'xc'), space);
  expect(nodes.get('x')!.x).toBe(nodes.get('b')!.x);
});

test('a circle, and a call to itself, end and are drawn', () => {
  const { edges, nodes } = layOut(boxes('a', 'b'), links('ab', 'ba', 'aa'), space);
  expect(nodes.size).toBe(2);
  expect(edges.map(({ path }) => path !== '')).toEqual([true, true, true]);
});

test('nodes without calls stand in rows below', () => {
  const { nodes, apartY } = layOut(boxes('a', 'b', ...Array.from({ length: 20 }, (_, index) => `lone${index}`)), links('ab'), space);
  expect(apartY).toBeGreaterThan(40);
  expect([...nodes].filter(([id]) => id.startsWith('lone')).every(([, { x, y }]) => y > apartY! && x < space.width)).toBe(true);
});

test('nothing gives an empty picture', () => {
  expect(layOut([], [], space)).toMatchObject({ width: 0, height: 0, apartY: undefined });
});

const graphs = fc
  .integer({ min: 1, max: 14 })
  .chain((size) =>
    fc.record({ size: fc.constant(size), pairs: fc.uniqueArray(fc.tuple(fc.nat(size - 1), fc.nat(size - 1)), { maxLength: 30, selector: String }) }),
  );

test('of any graph every node has its own place and every edge a path', () => {
  fc.assert(
    fc.property(graphs, ({ size, pairs }) => {
      const all = boxes(...Array.from({ length: size }, (_, index) => `n${index}`));
      const { nodes, edges, width, height } = layOut(
        all,
        pairs.map(([from, to]) => ({ from: `n${from}`, to: `n${to}` })),
        space,
      );
      expect(nodes.size).toBe(size);
      const placed = [...nodes.values()];
      for (const [index, one] of placed.entries()) {
        expect(one.x >= 0 && one.x <= width && one.y >= 0 && one.y <= height).toBe(true);
        for (const other of placed.slice(index + 1)) expect(Math.abs(one.x - other.x) >= 99 || Math.abs(one.y - other.y) >= 39).toBe(true);
      }
      expect(edges.every(({ path }) => /^M[\d.]/.test(path) && !path.includes('NaN'))).toBe(true);
    }),
  );
});

test('the same graph in another order gives the same picture', () => {
  fc.assert(
    fc.property(graphs, ({ size, pairs }) => {
      const all = boxes(...Array.from({ length: size }, (_, index) => `n${index}`));
      const edges = pairs.map(([from, to]) => ({ from: `n${from}`, to: `n${to}` }));
      expect(new Map([...layOut([...all].reverse(), [...edges].reverse(), space).nodes].sort())).toEqual(new Map([...layOut(all, edges, space).nodes].sort()));
    }),
  );
});
