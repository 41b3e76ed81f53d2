import { expect, it } from 'vitest';
import { ConnectionOrigin } from './connection-origin.ts';
import { HTTP_INSPECTOR } from './listener-filter.ts';

it.each([
  ['GET / HTTP/1.1\r\n', ['http/1.1']],
  ['GET / HTTP/1.0\n', ['http/1.0']],
  ['PRI * HTTP/2.0\r\n\r\nSM', ['h2c']],
  ['GET / HTTP/2.0\r\n', []],
  ['EHLO mail.example\r\n', []],
  ['\x00\x00\x01', []],
  [`${'A'.repeat(40)}`, []],
  ['GET /' as string, 'more'],
  ['PRI * HTTP/2', 'more'],
  ['GE', 'more'],
])('the HTTP inspector reads %j', (text, expected) => {
  const origin = new ConnectionOrigin('', 0, '', 0);
  const looked = HTTP_INSPECTOR.look(Buffer.from(text, 'latin1'), origin);
  expect(looked === 'more' ? 'more' : origin.applicationProtocols).toEqual(expected);
});

it('leaves to TLS what TLS is', () => {
  const origin = new ConnectionOrigin('', 0, '', 0);
  origin.transportProtocol = 'tls';
  origin.applicationProtocols = ['h2'];
  expect(HTTP_INSPECTOR.look(Buffer.from([22, 3, 1]), origin)).toBe(0);
  expect(origin.applicationProtocols).toEqual(['h2']);
});
