import { describe, expect, test } from 'vitest';
import { otherwise, readByRfc, readRequests, readResponses } from './readers.ts';

const head = (...lines: string[]) => `POST /a HTTP/1.1\r\nHost: a\r\n${lines.map((line) => `${line}\r\n`).join('')}\r\n`;
const habits = (text: string) => otherwise((reader) => readRequests(text, reader));

describe('readers of HTTP/1', () => {
  test('all read what has one meaning', () => {
    const text = `${head('Content-Length: 5', 'X: a\tb')}hello${head('transfer-encoding: chunked')}5;a=b\r\nhello\r\n0\r\nT: x\r\n\r\nGET /b HTTP/1.1\r\nHost: b\r\n\r\n`;
    expect(habits(text)).toEqual([]);
    expect(readByRfc((reader) => readRequests(text, reader)).messages.map(({ start, host, body }) => [start, host, body])).toEqual([
      ['POST /a', 'a', 'hello'],
      ['POST /a', 'a', 'hello'],
      ['GET /b', 'b', ''],
    ]);
    expect(otherwise((reader) => readResponses('HTTP/1.1 103 \r\n\r\nHTTP/1.1 200 OK\r\n\r\nall', reader, ['GET']))).toEqual([]);
  });

  test.each([
    ['CL.TE', `${head('Content-Length: 5', 'Transfer-Encoding: chunked')}0\r\n\r\nGET /b HTTP/1.1\r\n\r\n`, 'Content-Length beats Transfer-Encoding'],
    ['TE.TE', `${head('Content-Length: 5', 'Transfer-Encoding: xchunked')}0\r\n\r\n`, 'chunked anywhere in Transfer-Encoding'],
    ['two lengths', `${head('Content-Length: 5', 'Content-Length: 0')}hello`, 'the last Content-Length counts'],
    ['a length with a sign', `${head('Content-Length: +5')}hello`, 'Content-Length as parseInt reads it'],
    ['a length in octal', `${head('Content-Length: 010')}helloworld`, 'Content-Length in a base that is guessed'],
    ['bare LF', 'GET / HTTP/1.1\r\nHost: a\r\nX: y\nContent-Length: 5\r\n\r\nhello', 'LF ends a line'],
    ['bare CR', 'GET / HTTP/1.1\r\nHost: a\r\nX: y\rContent-Length: 5\r\n\r\nhello', 'CR ends a line'],
    ['a space before the colon', `${head('Transfer-Encoding : chunked')}0\r\n\r\n`, 'white space around a header name is nothing'],
    ['a huge chunk', `${head('Transfer-Encoding: chunked')}100000000\r\n\r\n`, 'a chunk size wraps at 32 bits'],
    ['a chunk that is too long', `${head('Transfer-Encoding: chunked')}2\r\nabcd0\r\n\r\n`, 'two bytes end a chunk, whatever they are'],
    ['two hosts', 'GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n', 'the last Host counts'],
    ['two targets', 'GET http://b/ HTTP/1.1\r\nHost: a\r\n\r\n', 'the first Host counts'],
    ['a tab in the request line', 'GET\t/ HTTP/1.1\r\nHost: a\r\n\r\n', 'any white space splits a start line'],
    ['a space in the target', 'GET /a b HTTP/1.1\r\nHost: a\r\n\r\n', 'the last space of a start line splits it'],
    ['a folded line', 'GET / HTTP/1.1\r\nHost: a\r\nX: y\r\n Content-Length: 5\r\n\r\nhello', 'a line that begins with a space is a header'],
    ['underscores', `${head('Content_Length: 5')}hello`, '_ is - in a header name'],
  ])('differ over %s', (_name, text, habit) => {
    expect(habits(text)).toContain(habit);
  });

  test('differ over a response with both kinds of length', () => {
    const text = 'HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n';
    expect(otherwise((reader) => readResponses(text, reader, ['GET']))).toContain('Content-Length beats Transfer-Encoding');
  });
});
