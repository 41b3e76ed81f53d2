import { expect, test } from 'vitest';
import { spiffeIdOf } from './spiffe.ts';

test.each([
  ['URI:spiffe://cluster.local/ns/a/sa/b', 'spiffe://cluster.local/ns/a/sa/b'],
  ['DNS:localhost, URI:spiffe://td/x, IP Address:127.0.0.1', 'spiffe://td/x'],
  ['DNS:localhost', undefined],
  ['', undefined],
  [undefined, undefined],
  ['URI:https://example.com', undefined],
  ['URI:spiffe://td/x, URI:spiffe://td/y', undefined],
  ['URI:spiffe://td/x, URI:https://example.com', undefined],
  // Node quotes names that could be taken for a list.
  ['DNS:"evil, URI:spiffe://td/x"', undefined],
  ['URI:"spiffe://td/x, URI:spiffe://td/y"', undefined],
])('%s', (names, id) => {
  expect(spiffeIdOf(names)).toBe(id);
});
