import { expect, it } from 'vitest';
import { isAuthority, isAuthorityWithPort } from './authority.ts';
import { isFieldValue } from './field-bytes.ts';

it.each([
  ['', true],
  ['a', true],
  ['a b\tc', true],
  ['"\\\x80\xff', true],
  [' a', false],
  ['a\t', false],
  [' ', false],
  ['a\r\nb', false],
  ['a\nb', false],
  ['a\rb', false],
  ['a\0b', false],
  ['a\x7fb', false],
  ['a\x1fb', false],
])('%j is a field value: %s', (text, valid) => {
  const bytes = Buffer.from(`<${text}>`, 'latin1');
  expect(isFieldValue(bytes, 1, bytes.length - 1)).toBe(valid);
});

it.each<[string, boolean, boolean]>([
  ['a', true, false],
  ['a:80', true, true],
  ['a:', true, false],
  ['order-service.default.svc.cluster.local:8080', true, true],
  ['my_container', true, false],
  ['127.0.0.1:1', true, true],
  ['[::1]', true, false],
  ['[::1]:443', true, true],
  ['', false, false],
  [':80', false, false],
  ['::1', false, false],
  ['a:b', false, false],
  ['a:123456', false, false],
  ['a b', false, false],
  ['u@a', false, false],
  ['a/b', false, false],
  ['a?b', false, false],
  ['a,b', true, false],
  ['a\nb', false, false],
  ['a\n', false, false],
  ['a:80\n', false, false],
  ['caf\xe9', false, false],
])('%j is an authority: %s, with a port: %s', (text, valid, withPort) => {
  expect(isAuthority(text)).toBe(valid);
  expect(isAuthorityWithPort(text)).toBe(withPort);
});
