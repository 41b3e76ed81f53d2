import { cases, each, post, type RequestCase, request } from '../wire-case.ts';

const chunks = '5\r\nhello\r\n0\r\n\r\n';
const coded = (value: string) => post([`Transfer-Encoding: ${value}`], chunks);
const both = (value: string) => post(['Content-Length: 15', `Transfer-Encoding: ${value}`], chunks);
const reverse = (value: string) => post([`Transfer-Encoding: ${value}`, 'Content-Length: 15'], chunks);
const line = (text: string) => post([text], chunks);
const bothLine = (text: string) => post(['Content-Length: 15', text], chunks);

const odd = [
  ...`xchunked|chunkedx|chunk|"chunked"|'chunked'|chunked;q=1|chunked; a=b|chunked,|,chunked|chunked,chunked|chunked, chunked|chunked, identity`.split('|'),
  ...'identity, chunked|identity|gzip|gzip, chunked|chunked, gzip|gzip,,chunked|compress|trailers|cow|cow, chunked|chunked cow|cow chunked|chun ked|chunked/1'.split(
    '|',
  ),
  ...['', '\x0bchunked', 'chunked\x0b', '\x0cchunked', 'chunked\0', '\0chunked', 'chunked\x7f', '\xffchunked', 'chunked\xa0', '\xa0chunked', 'chun\xe9ked'],
];

const oddLines: Readonly<Record<string, string>> = {
  'space before the colon of Transfer-Encoding': 'Transfer-Encoding : chunked',
  'tab before the colon of Transfer-Encoding': 'Transfer-Encoding\t: chunked',
  Transfer_Encoding: 'Transfer_Encoding: chunked',
  'NUL after Transfer-Encoding': 'Transfer-Encoding\0: chunked',
  'VT after Transfer-Encoding': 'Transfer-Encoding\x0b: chunked',
  'VT before Transfer-Encoding': '\x0bTransfer-Encoding: chunked',
  'space before Transfer-Encoding': 'X: y\r\n Transfer-Encoding: chunked',
  'tab before Transfer-Encoding': 'X: y\r\n\tTransfer-Encoding: chunked',
  'Transfer-Encoding behind bare LF': 'X: y\nTransfer-Encoding: chunked',
  'Transfer-Encoding behind bare CR': 'X: y\rTransfer-Encoding: chunked',
  'Transfer-Encoding folded': 'Transfer-Encoding:\r\n chunked',
  'Transfer-Encoding folded by LF': 'Transfer-Encoding:\n chunked',
  'Transfer-Encoding continued': 'Transfer-Encoding: chunked\r\n , identity',
  'Transfer-Encoding broken before its colon': 'Transfer-Encoding\r\n: chunked',
  'Transfer-Encoding without a colon': 'Transfer-Encoding chunked',
  'Transfer-Encoding with CR after its value': 'Transfer-Encoding: chunked\r',
  'Transfer-Encoding twice, identity first': 'Transfer-Encoding: identity\r\nTransfer-Encoding: chunked',
  'Transfer-Encoding twice, identity last': 'Transfer-Encoding: chunked\r\nTransfer-Encoding: identity',
  'Transfer-Encoding twice, gzip first': 'Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked',
  'Transfer-Encoding twice, unknown first': 'Transfer-Encoding: cow\r\nTransfer-Encoding: chunked',
  'Transfer-Encoding twice, unknown last': 'Transfer-Encoding: chunked\r\nTransfer-Encoding: cow',
  'Transfer-Encoding twice, the same': 'Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked',
  'Transfer-Encoding twice, nothing last': 'Transfer-Encoding: chunked\r\nTransfer-Encoding:',
};

const withLength = (named: Readonly<Record<string, string>>) =>
  Object.fromEntries(Object.entries(named).map(([name, text]) => [`${name}, and Content-Length`, bothLine(text)]));
const without = (named: Readonly<Record<string, string>>) => Object.fromEntries(Object.entries(named).map(([name, text]) => [name, line(text)]));

export const transferEncoding: readonly RequestCase[] = [
  ...each('passed', 'Transfer-Encoding', ['chunked', 'Chunked', 'CHUNKED', '  chunked  ', '\tchunked\t'], coded),
  ...cases('passed', {
    'Transfer-Encoding in another case': line('tRANSFER-eNCODING: chunked'),
    'Transfer-Encoding without a space': line('Transfer-Encoding:chunked'),
  }),
  ...cases('passed', { 'Transfer-Encoding of a GET': request('GET /a HTTP/1.1', ['Host: a', 'Transfer-Encoding: chunked'], chunks) }),
  ...cases('passed', { 'Transfer-Encoding that a Connection header names': post(['Connection: transfer-encoding', 'Transfer-Encoding: chunked'], chunks) }),
  ...each('refused', 'Transfer-Encoding', odd, coded),
  ...each('refused', 'Content-Length and Transfer-Encoding', ['chunked', ...odd], both),
  ...each('refused', 'Transfer-Encoding and Content-Length', ['chunked', 'xchunked', 'identity'], reverse),
  ...cases('refused', without(oddLines)),
  ...cases('refused', withLength(oddLines)),
  ...cases('refused', {
    'CL.TE with a request inside': post(['Content-Length: 40', 'Transfer-Encoding: chunked'], '0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: b\r\n\r\nabcd'),
    'TE.CL with a request inside': post(['Transfer-Encoding: chunked', 'Content-Length: 4'], '24\r\nGET /smuggled HTTP/1.1\r\nHost: b\r\n\r\nab\r\n0\r\n\r\n'),
    'TE.TE with a request inside': post(
      ['Transfer-Encoding: chunked', 'Transfer-encoding: cow', 'Content-Length: 4'],
      '24\r\nGET /smuggled HTTP/1.1\r\nHost: b\r\n\r\nab\r\n0\r\n\r\n',
    ),
    'Content-Length of 0 and Transfer-Encoding': post(['Content-Length: 0', 'Transfer-Encoding: chunked'], chunks),
    'two of each': post(['Content-Length: 5', 'Content-Length: 6', 'Transfer-Encoding: chunked', 'Transfer-Encoding: x'], chunks),
    'Transfer-Encoding in HTTP/1.0': request('POST /a HTTP/1.0', ['Host: a', 'Transfer-Encoding: chunked'], chunks),
    'Content-Length and Transfer-Encoding in HTTP/1.0': request('POST /a HTTP/1.0', ['Host: a', 'Content-Length: 15', 'Transfer-Encoding: chunked'], chunks),
  }),
];
