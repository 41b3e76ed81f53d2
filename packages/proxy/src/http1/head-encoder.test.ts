import { expect, it } from 'vitest';
import { RequestHead, ResponseHead } from '../http/message.ts';
import { ManualTurn } from '../http/testing/manual-turn.ts';
import { Wire } from '../http/testing/wire.ts';
import { TurnWriter } from '../net/turn-writer.ts';
import { Framing, HeadEncoder, reasonPhrase, requestFraming, responseFraming } from './head-encoder.ts';

it.each<[number, number, string]>([
  [Framing.NONE, 0, 'A: b\r\nContent-length: 5\r\n'],
  [Framing.EMPTY, 0, 'A: b\r\n'],
  [Framing.LENGTH, 5, 'A: b\r\nContent-length: 5\r\n'],
  [Framing.LENGTH, 6, 'A: b\r\nContent-Length: 6\r\n'],
  [Framing.CHUNKED, 0, 'A: b\r\nTransfer-Encoding: chunked\r\n'],
  [Framing.UNTIL_CLOSE, 0, 'A: b\r\n'],
  [Framing.TUNNEL, 0, 'A: b\r\n'],
])('framing %i of %i bytes contradicts no Content-Length', (framing, length, text) => {
  expect(encode((encoder) => encoder.fields(['A', 'b', 'Content-length', '5'], framing, length))).toBe(`S\r\n${text}\r\n`);
});

it.each([
  ['a value with CR LF', ['A', 'b\r\nX: y']],
  ['a value with LF', ['A', 'b\nX: y']],
  ['a value with CR', ['A', 'b\rX: y']],
  ['a value with NUL', ['A', 'b\0']],
  ['a value whose character is a line feed once it is a byte', ['A', 'b\u010aX: y']],
  ['a value whose characters are CR LF once they are bytes', ['A', 'b\u010d\u010aX: y']],
  ['a name with CR LF', ['A\r\nX', 'b']],
  ['a value with an end of the head in it', ['A', 'b\r\n\r\nHTTP/1.1 200 OK']],
  ['a length with LF', ['Content-Length', '5\nX: y']],
])('writes nothing of a head with %s', (_name, headers) => {
  expect(encode((encoder) => encoder.fields(headers, Framing.NONE, 0))).toBe('');
  expect(encode((encoder) => encoder.line(headers[0]!, headers[1]!))).toBe('');
  expect(encode((encoder) => encoder.begin(`GET ${headers[0]}${headers[1]} HTTP/1.1`))).toBe('');
});

it('writes a head of any length whole', () => {
  const headers = Array.from({ length: 4000 }, (_, i) => (i % 2 === 0 ? `X-${i}` : 'v'.repeat(i % 100)));
  const text = encode((encoder) => encoder.fields(headers, Framing.CHUNKED, 0));
  expect(text.split('\r\n')).toHaveLength(2000 + 4);
});

/** What is written of a head begun with S, before and after which other bytes lie. */
function encode(fill: (encoder: HeadEncoder) => void): string {
  const turn = new ManualTurn();
  const wire = new Wire();
  const writer = new TurnWriter(turn.turn, wire);
  const encoder = new HeadEncoder();
  writer.latin1('before');
  encoder.begin('S');
  fill(encoder);
  const written = encoder.write(writer);
  writer.latin1('after');
  turn.end();
  expect(wire.text.startsWith('before') && wire.text.endsWith('after')).toBe(true);
  const text = wire.text.slice(6, -5);
  expect(written).toBe(text !== '');
  return text;
}

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
