import { expect, it } from 'vitest';
import { RequestHead, ResponseHead } from '../http/message.ts';
import { Framing, headerLines, reasonPhrase, requestFraming, responseFraming } from './head-encoder.ts';

it.each<[number, number, string]>([
  [Framing.NONE, 0, 'A: b\r\nContent-length: 5\r\n'],
  [Framing.EMPTY, 0, 'A: b\r\n'],
  [Framing.LENGTH, 5, 'A: b\r\nContent-length: 5\r\n'],
  [Framing.LENGTH, 6, 'A: b\r\nContent-Length: 6\r\n'],
  [Framing.CHUNKED, 0, 'A: b\r\nTransfer-Encoding: chunked\r\n'],
  [Framing.UNTIL_CLOSE, 0, 'A: b\r\n'],
  [Framing.TUNNEL, 0, 'A: b\r\n'],
])('framing %i of %i bytes contradicts no Content-Length', (framing, length, text) => {
  expect(headerLines(['A', 'b', 'Content-length', '5'], framing, length)).toBe(text);
});

it('has the standard reasons', () => {
  expect([200, 404, 431, 503, 299].map(reasonPhrase)).toEqual(['OK', 'Not Found', 'Request Header Fields Too Large', 'Service Unavailable', '']);
});

it('delimits a request by what is known', () => {
  const framing = (given: Partial<RequestHead>, fin: boolean) => requestFraming(Object.assign(new RequestHead(), given), fin);
  expect(framing({ method: 'GET' }, true)).toBe(Framing.NONE);
  expect(framing({ method: 'PATCH' }, true)).toBe(Framing.LENGTH);
  expect(framing({ method: 'GET', bodyLength: 3 }, false)).toBe(Framing.LENGTH);
  expect(framing({ method: 'GET', bodyLength: -1 }, false)).toBe(Framing.CHUNKED);
  expect(framing({ method: 'CONNECT', bodyLength: -1 }, false)).toBe(Framing.TUNNEL);
});

it('delimits a response by what is known and by whom it is for', () => {
  const framing = (given: Partial<ResponseHead>, fin: boolean, method: string, version: number) =>
    responseFraming(Object.assign(new ResponseHead(), { status: 200 }, given), fin, method, version);
  expect(framing({}, true, 'GET', 11)).toBe(Framing.LENGTH);
  expect(framing({ bodyLength: 3 }, false, 'GET', 10)).toBe(Framing.LENGTH);
  expect(framing({}, false, 'GET', 11)).toBe(Framing.CHUNKED);
  expect(framing({}, false, 'GET', 10)).toBe(Framing.UNTIL_CLOSE);
  expect(framing({}, false, 'HEAD', 11)).toBe(Framing.NONE);
  expect(framing({ status: 204 }, false, 'HEAD', 11)).toBe(Framing.EMPTY);
  expect(framing({ tunnel: true }, false, 'GET', 11)).toBe(Framing.TUNNEL);
});
