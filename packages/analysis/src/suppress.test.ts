import { expect, test } from 'vitest';
import type { Message } from './message.ts';
import { isSuppressed, suppressionOf, withoutSuppressed } from './suppress.ts';

const message = (code: string, kind: string, namespace: string, name: string): Message => {
  return { code, level: 'Info', message: '', resource: { group: '', kind, namespace, name }, file: 'a.yaml', line: 1 };
};
const messages = [message('IST0102', 'Namespace', '', 'frodo'), message('IST0102', 'Namespace', '', 'sam'), message('IST0101', 'Gateway', 'shop', 'edge')];

test.each([
  ['IST0102=Namespace frod*', ['sam', 'edge']],
  ['IST0102=Namespace *', ['edge']],
  ['IST0103=Namespace frod*', ['frodo', 'sam', 'edge']],
  ['IST0101=Gateway shop/edge', ['frodo', 'sam']],
  ['IST0101=Gateway shop/ed', ['frodo', 'sam', 'edge']],
  ['IST0101=Gateway shop.edge', ['frodo', 'sam', 'edge']],
  ['*=Namespace s?m', ['frodo', 'edge']],
])('%s leaves', (text, names) => {
  expect(withoutSuppressed(messages, [suppressionOf(text)!]).map(({ resource }) => resource.name)).toEqual(names);
});

test.each(['IST0102', 'Namespace frodo', 'IST0102=', '=Namespace frodo', ''])('%j is none', (text) => {
  expect(suppressionOf(text)).toBeUndefined();
});

test('a resource says itself what is not to be told of it', () => {
  const annotations = { 'galley.istio.io/analyze-suppress': 'IST0108, IST0103' };
  expect(['IST0103', 'IST0108', 'IST0101'].map((code) => isSuppressed(annotations, code))).toEqual([true, true, false]);
  expect(isSuppressed({ 'galley.istio.io/analyze-suppress': '*' }, 'IST0101')).toBe(true);
  expect(isSuppressed({}, 'IST0101')).toBe(false);
});
