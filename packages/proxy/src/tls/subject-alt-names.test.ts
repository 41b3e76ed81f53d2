import { expect, it } from 'vitest';
import { parseSubjectAltNames } from './subject-alt-names.ts';

const none = { uri: [], dns: [], email: [], ip: [] };
it.each([
  [undefined, none],
  ['', none],
  ['URI:spiffe://td/ns/a/sa/b', { ...none, uri: ['spiffe://td/ns/a/sa/b'] }],
  ['DNS:a, URI:spiffe://x/y, IP Address:127.0.0.1, email:a@b', { uri: ['spiffe://x/y'], dns: ['a'], ip: ['127.0.0.1'], email: ['a@b'] }],
  ['DNS:"a, URI:spiffe://evil", DNS:b', { ...none, dns: ['a, URI:spiffe://evil', 'b'] }],
  ['DNS:"a\\", URI:spiffe://evil, DNS:\\"c", DNS:b', { ...none, dns: ['a", URI:spiffe://evil, DNS:"c', 'b'] }],
  ['URI:"spiffe://a/b\\u000d\\u000aX-Evil: 1", URI:spiffe://c/d', { ...none, uri: ['spiffe://c/d'] }],
  ['DNS:"caf\u00e9", DNS:"a\u010ab", DNS:"", DNS:b', { ...none, dns: ['b'] }],
  ['DNS:"unfinished, URI:spiffe://evil', none],
])('%s', (text, names) => {
  expect(parseSubjectAltNames(text)).toEqual(names);
});
