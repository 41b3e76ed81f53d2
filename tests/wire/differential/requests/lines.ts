import { cases, each, get, post, type RequestCase, request } from '../wire-case.ts';

const one = get([]);

/** Line ends, and bytes where no line is. */
export const lines: readonly RequestCase[] = [
  ...cases('passed', {
    'an empty line before the request': `\r\n${one}`,
    'four empty lines before the request': `${'\r\n'.repeat(4)}${one}`,
    'an empty line between requests': `${one}\r\n`,
  }),
  ...cases('refused', {
    'LF after the request line': one.replace('HTTP/1.1\r\n', 'HTTP/1.1\n'),
    'LF after a header': one.replace('Host: a\r\n', 'Host: a\n'),
    'LF for the empty line': one.replace(/\r\n$/, '\n'),
    'LF everywhere': one.replaceAll('\r\n', '\n'),
    'CR after the request line': one.replace('HTTP/1.1\r\n', 'HTTP/1.1\r'),
    'CR after a header': one.replace('Host: a\r\n', 'Host: a\r'),
    'CR everywhere': one.replaceAll('\r\n', '\r'),
    'CR CR LF after the request line': one.replace('HTTP/1.1\r\n', 'HTTP/1.1\r\r\n'),
    'CR CR LF after a header': one.replace('Host: a\r\n', 'Host: a\r\r\n'),
    'CR CR LF for the empty line': one.replace(/\r\n$/, '\r\r\n'),
    'LF CR for the empty line': one.replace(/\r\n$/, '\n\r\n'),
    'five empty lines before the request': `${'\r\n'.repeat(5)}${one}`,
    'LF before the request': `\n${one}`,
    'CR before the request': `\r${one}`,
    'a space before the request': ` ${one}`,
    'a tab before the request': `\t${one}`,
    'NUL before the request': `\0${one}`,
    'a byte order mark before the request': `\xef\xbb\xbf${one}`,
    'a line of spaces among the headers': request('GET /a HTTP/1.1', ['Host: a', '   ', 'X: y']),
    'a line of spaces before the headers': request('GET /a HTTP/1.1', ['   ', 'Host: a']),
    'a request that a TLS client sent': '\x16\x03\x01\x00\x05hello',
    'nothing but a word': 'hello\r\n\r\n',
    'only a line end and a NUL': '\r\n\0\r\n\r\n',
  }),
  ...cases(
    'waits',
    {
      'an unfinished request line': 'GET /a',
      'an unfinished header': 'GET /a HTTP/1.1\r\nHost',
      'an unfinished head': 'GET /a HTTP/1.1\r\nHost: a\r\n',
      'an empty line alone': '\r\n',
    },
    { alone: true },
  ),
  ...each('passed', 'bytes of content', ['\0', '\r', '\n', '\r\n\r\n', '\xff\xfe', 'GET / HTTP/1.1'], (text) => post([`Content-Length: ${text.length}`], text)),
  ...cases('passed', { 'two requests in one piece': `${one}${one}`, 'a request behind content': `${post(['Content-Length: 5'], 'hello')}${one}` }),
  ...cases('passed', { 'content that was not announced': `${post([])}hello\r\n\r\n` }),
];
