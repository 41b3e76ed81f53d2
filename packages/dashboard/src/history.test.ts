import type { GraphView, TopRow } from '@outrigger/control-plane/api';
import { expect, test } from 'vitest';
import { type Edge, History, historyMs, quietEdgeMs } from './history.ts';

const row = (requestsPerSecond: number): TopRow => ({
  service: 'web',
  namespace: 'default',
  version: 'v1',
  requestsPerSecond,
  successRatio: 1,
  p50Ms: 1,
  p99Ms: null,
  mtlsRatio: 1,
  breaker: { open: 0, halfOpen: 0, endpoints: 1 },
  instances: 1,
});
const edge: Edge = { from: 'a', to: 'b', requestsPerSecond: 5, successRatio: 1, p50Ms: 2, p99Ms: 3, mtlsRatio: 1 };
const graph = (nodes: readonly string[], edges: Edge[]): GraphView => ({
  windowMs: 10_000,
  nodes: nodes.map((id) => ({ id, service: id, namespace: 'default', version: '' })),
  edges,
});

test('a curve has what was seen, nothing where nothing is known, and a gap where nobody looked', () => {
  const history = new History();
  history.addTop([row(1)], 1_000);
  history.addTop([], 2_000);
  history.addTop([row(3)], 20_000);
  expect(history.curve('default/web/v1', 'requestsPerSecond')).toEqual([
    [1_000, 1],
    [2_000, null],
    [2_001, null],
    [20_000, 3],
  ]);
  expect(history.curve('default/web/v1', 'p99Ms').map(([, value]) => value)).toEqual([null, null, null, null]);
});

test('what is older than the curve is forgotten', () => {
  const history = new History();
  history.addTop([row(1)], 0);
  history.addTop([row(2)], historyMs + 1);
  expect(history.curve('default/web/v1', 'requestsPerSecond')).toEqual([[historyMs + 1, 2]]);
});

test('an edge without requests keeps its place for a minute, with no figures', () => {
  const history = new History();
  expect(history.edges(graph(['a', 'b'], [edge]), 0)).toEqual([edge]);
  expect(history.edges(graph(['a', 'b'], []), 1_000)).toEqual([
    { from: 'a', to: 'b', requestsPerSecond: 0, successRatio: null, p50Ms: null, p99Ms: null, mtlsRatio: null },
  ]);
  expect(history.edges(graph(['a', 'b'], []), quietEdgeMs + 1)).toEqual([]);
});

test('an edge goes with its node', () => {
  const history = new History();
  history.edges(graph(['a', 'b'], [edge]), 0);
  expect(history.edges(graph(['a'], []), 1)).toEqual([]);
});
