import { cases, each, get, post, type RequestCase, request } from '../wire-case.ts';

const hello = (value: string) => post([`Content-Length: ${value}`], 'hello');
const raw = (line: string) => post([line], 'hello');

export const contentLength: readonly RequestCase[] = [
  ...each('passed', 'Content-Length', ['5', '  5  ', '\t5\t', '05', '005', '00000000000005'], hello),
  ...each('passed', 'Content-Length', ['010'], (value) => post([`Content-Length: ${value}`], 'helloworld')),
  ...each(
    'refused',
    'Content-Length',
    // What is not digits, and digits that no integer holds.
    `+5|-5|-0|5 5|5,5|5, 5|5;|5.0|5.|.5|5e0|0x5|0o5|5h|5_0|1_0|"5"|'5'|5 ;a|5,|,5|five|\xb2|\xd9\xa5|\xff5|5\xa0`.split('|'),
    hello,
  ),
  ...each('refused', 'Content-Length', ['', ' ', '5\x0b', '\x0c5', '5\0', '\x005', '5\x7f', '5\t6', '18446744073709551621', '9999999999999999999999'], hello),
  ...each('waits', 'Content-Length', ['6', '4294967301', '9007199254740'], hello, { alone: true }),
  ...each('passed', 'Content-Length', ['0'], () => post(['Content-Length: 0'])),
  ...cases('passed', {
    'Content-Length without a space': raw('Content-Length:5'),
    'Content-Length in another case': raw('cOnTeNt-LeNgTh: 5'),
    'Content-Length of a GET': request('GET /a HTTP/1.1', ['Host: a', 'Content-Length: 5'], 'hello'),
    'Content-Length of a HEAD': request('HEAD /a HTTP/1.1', ['Host: a', 'Content-Length: 5'], 'hello'),
    'Content-Length of a DELETE': request('DELETE /a HTTP/1.1', ['Host: a', 'Content-Length: 5'], 'hello'),
    'Content-Length of an unknown method': request('FROB /a HTTP/1.1', ['Host: a', 'Content-Length: 5'], 'hello'),
    'no Content-Length of a POST': post([]),
    'Content-Length that a Connection header names': post(['Connection: content-length', 'Content-Length: 5'], 'hello'),
    'content that looks like a request': post(['Content-Length: 36'], 'GET /smuggled HTTP/1.1\r\nHost: b\r\n\r\nx'.slice(0, 36)),
  }),
  ...cases('refused', {
    'Content-Length twice, the same': post(['Content-Length: 5', 'Content-Length: 5'], 'hello'),
    'Content-Length twice, 5 and 0': post(['Content-Length: 5', 'Content-Length: 0'], 'hello'),
    'Content-Length twice, 0 and 5': post(['Content-Length: 0', 'Content-Length: 5'], 'hello'),
    'Content-Length twice, 5 and 05': post(['Content-Length: 5', 'Content-Length: 05'], 'hello'),
    'Content-Length twice, 5 and nothing': post(['Content-Length: 5', 'Content-Length:'], 'hello'),
    'Content-Length twice, in another case': post(['Content-Length: 5', 'X: y', 'content-length: 0'], 'hello'),
    'Content-Length thrice': post(['Content-Length: 5', 'Content-Length: 5', 'Content-Length: 6'], 'hello'),
    'space before the colon of Content-Length': raw('Content-Length : 5'),
    'tab before the colon of Content-Length': raw('Content-Length\t: 5'),
    'NUL in Content-Length': raw('Content-\0Length: 5'),
    'NUL after Content-Length': raw('Content-Length\0: 5'),
    'VT before Content-Length': raw('\x0bContent-Length: 5'),
    'space before Content-Length, first header': request('POST /a HTTP/1.1', [' Content-Length: 5', 'Host: a'], 'hello'),
    'space before Content-Length': post(['X: y', ' Content-Length: 5'], 'hello'),
    'Content-Length behind bare LF': post(['X: y\nContent-Length: 5'], 'hello'),
    'Content-Length behind bare CR': post(['X: y\rContent-Length: 5'], 'hello'),
    'Content-Length folded': post(['Content-Length:', ' 5'], 'hello'),
    'Content-Length continued': post(['Content-Length: 5', ' 0'], 'hello'),
    'Content-Length ended by LF': post(['Content-Length: 5\nX: y'], 'hello'),
    'Content-Length without a colon': post(['Content-Length 5'], 'hello'),
    Content_Length: raw('Content_Length: 5'),
  }),
  ...cases('passed', { 'more content than its length': `${post(['Content-Length: 2'], 'hello')}${get([])}` }, { alone: true }),
];
