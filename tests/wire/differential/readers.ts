/**
 * HTTP/1 as different programs read it. `rfc` is RFC 9112; each of the others has one habit that a real server has or had.
 * What a proxy passes on has one meaning where all of them read the same messages in it.
 */
export interface Reader {
  readonly name: string;
  /** What ends a line of the head and of chunked content. */
  readonly lineEnd: 'crlf' | 'lf' | 'cr';
  /** Splits a start line in three. */
  readonly startLine: (line: string) => readonly [string, string, string];
  /** Lower case, or undefined for a line that is not taken. */
  readonly headerName: (name: string) => string | undefined;
  /** What a line that begins with white space is. */
  readonly fold: 'join' | 'skip' | 'header';
  readonly length: (values: readonly string[]) => number;
  readonly chunked: (values: readonly string[]) => boolean;
  /** Which counts where a message has both. */
  readonly both: 'coding' | 'length';
  readonly chunkSize: (text: string) => number;
  /** What follows the data of a chunk. */
  readonly chunkEnd: 'crlf' | 'lf' | 'two bytes' | 'none';
  readonly host: 'first' | 'last' | 'target';
}

export interface Message {
  /** "GET /path" or "200". */
  readonly start: string;
  /** Of a request. */
  readonly host: string;
  readonly body: string;
  /** Where it ends in the text. */
  readonly end: number;
  readonly headers: readonly (readonly [name: string, value: string])[];
}

export interface Reading {
  readonly messages: readonly Message[];
  /** What the text ends in: nothing, an unfinished head or content, or something that cannot be read. */
  readonly rest: 'nothing' | 'head' | 'content' | 'nonsense';
}

const strictNumber = (text: string): number => (/^[0-9]{1,15}$/.test(text) ? Number(text) : Number.NaN);
const strictSize = (text: string): number => (/^[0-9a-f]{1,13}$/i.test(text) ? Number.parseInt(text, 16) : Number.NaN);
const same = (values: readonly string[]): number => (new Set(values).size === 1 ? strictNumber(values[0]!) : Number.NaN);
const one = (read: (text: string) => number) => (values: readonly string[]) => read(values[0]!);

const rfc: Reader = {
  name: 'RFC 9112',
  lineEnd: 'crlf',
  startLine: (line) => {
    const parts = line.split(' ');
    return [parts[0]!, parts[1] ?? '', parts.slice(2).join(' ')];
  },
  headerName: (name) => (/^[!#$%&'*+\-.^_`|~0-9a-z]+$/i.test(name) ? name.toLowerCase() : undefined),
  fold: 'join',
  length: same,
  chunked: (values) => values.join(',').toLowerCase() === 'chunked',
  both: 'coding',
  chunkSize: (text) => strictSize(text.split(';')[0]!),
  chunkEnd: 'crlf',
  host: 'target',
};

/** As C's strtoul with its base guessed: octal after 0, hexadecimal after 0x. */
function guessedBase(text: string): number {
  const [, sign, digits = ''] = /^\s*([+-]?)(0x[0-9a-f]+|[0-9]+)/i.exec(text) ?? [];
  if (digits === '') return Number.NaN;
  const value = /^0[0-7]+$/.test(digits) ? Number.parseInt(digits, 8) : Number(digits);
  return sign === '-' ? -value : value;
}

const wrapped = (bits: bigint, read: (text: string) => bigint | undefined) => (text: string) => {
  const value = read(text);
  return value === undefined ? Number.NaN : Number(BigInt.asUintN(Number(bits), value));
};
const bigDecimal = (text: string) => (/^[0-9]+$/.test(text) ? BigInt(text) : undefined);
const bigHex = (text: string) => (/^[0-9a-f]+/i.test(text) ? BigInt(`0x${/^[0-9a-f]+/i.exec(text)![0]}`) : undefined);
// As Python's str.split has it, and NUL.
const anySpace = /[\s\x00\x1c-\x1f\x85\xa0]+/;
const trimmed = (name: string) => name.replace(/^[\x00-\x20\x7f]+|[\x00-\x20\x7f]+$/g, '').toLowerCase();

const habits: readonly Partial<Reader>[] = [
  {},
  { name: 'LF ends a line', lineEnd: 'lf' },
  { name: 'CR ends a line', lineEnd: 'cr' },
  { name: 'any white space splits a start line', startLine: (line) => threeOf(line.trim().split(anySpace)) },
  { name: 'the last space of a start line splits it', startLine: (line) => lastSplit(line) },
  { name: 'a line that begins with a space is a header', fold: 'header' },
  { name: 'a line that begins with a space is skipped', fold: 'skip' },
  { name: 'white space around a header name is nothing', headerName: trimmed },
  { name: 'a header name ends at white space', headerName: (name) => name.split(anySpace)[0]!.toLowerCase() },
  { name: '_ is - in a header name', headerName: (name) => rfc.headerName(name)?.replaceAll('_', '-') },
  { name: 'the first Content-Length counts', length: one(strictNumber) },
  { name: 'the last Content-Length counts', length: (values) => strictNumber(values.at(-1)!) },
  { name: 'Content-Length beats Transfer-Encoding', both: 'length' },
  { name: 'Content-Length as parseInt reads it', length: one((text) => Number.parseInt(text, 10)) },
  { name: 'Content-Length as Number reads it', length: one(Number) },
  { name: 'Content-Length in a base that is guessed', length: one(guessedBase) },
  { name: 'the last of a list in Content-Length', length: (values) => strictNumber(values.join(',').split(',').at(-1)!.trim()) },
  // At 64 bits: a length beyond 32 is content of more than 4 GiB.
  { name: 'Content-Length wraps at 64 bits', length: one(wrapped(64n, bigDecimal)) },
  { name: 'chunked anywhere in Transfer-Encoding', chunked: (values) => /chunked/i.test(values.join(',')) },
  { name: 'any Transfer-Encoding is chunked', chunked: () => true },
  { name: 'the first Transfer-Encoding counts', chunked: (values) => values[0]!.toLowerCase() === 'chunked' },
  { name: 'the last Transfer-Encoding counts', chunked: (values) => values.at(-1)!.toLowerCase() === 'chunked' },
  { name: 'the last coding counts', chunked: (values) => values.join(',').split(',').at(-1)!.trim().toLowerCase() === 'chunked' },
  { name: 'Transfer-Encoding in lower case alone', chunked: (values) => values.join(',') === 'chunked', both: 'length' },
  { name: 'a chunk size as parseInt reads it', chunkSize: (text) => Number.parseInt(text, 16) },
  { name: 'a chunk size in a base that is guessed', chunkSize: (text) => Number.parseInt(text.trim().replace(/^[+-]?0x/i, ''), 16) },
  { name: 'a chunk size wraps at 32 bits', chunkSize: wrapped(32n, bigHex) },
  { name: 'a chunk size wraps at 64 bits', chunkSize: wrapped(64n, bigHex) },
  { name: 'two bytes end a chunk, whatever they are', chunkEnd: 'two bytes' },
  { name: 'LF ends a chunk', chunkEnd: 'lf' },
  { name: 'nothing need end a chunk', chunkEnd: 'none' },
  { name: 'the first Host counts', host: 'first' },
  { name: 'the last Host counts', host: 'last' },
];

export const readers: readonly Reader[] = habits.map((habit) => ({ ...rfc, ...habit }));

function threeOf(parts: readonly string[]): readonly [string, string, string] {
  return [parts[0] ?? '', parts[1] ?? '', parts.slice(2).join(' ')];
}

function lastSplit(line: string): readonly [string, string, string] {
  if (line.startsWith('HTTP/')) return rfc.startLine(line);
  const first = line.indexOf(' ');
  const last = line.lastIndexOf(' ');
  return [line.slice(0, first), line.slice(first + 1, last), line.slice(last + 1)];
}

interface Cursor {
  readonly text: string;
  readonly reader: Reader;
  at: number;
}

/** undefined: there is no whole line. */
function nextLine(cursor: Cursor): string | undefined {
  const { text, at, reader } = cursor;
  if (reader.lineEnd === 'crlf') {
    const end = text.indexOf('\r\n', at);
    if (end < 0) return undefined;
    cursor.at = end + 2;
    return text.slice(at, end);
  }
  const found = (reader.lineEnd === 'lf' ? /\r*\n/g : /\r?\n|\r/g) as RegExp;
  found.lastIndex = at;
  const match = found.exec(text);
  if (match === null) return undefined;
  cursor.at = match.index + match[0].length;
  return text.slice(at, match.index);
}

interface Head {
  readonly start: readonly [string, string, string];
  readonly headers: (readonly [string, string])[];
}

function readHead(cursor: Cursor): Head | 'more' {
  let line = nextLine(cursor);
  while (line === '') line = nextLine(cursor);
  if (line === undefined) return 'more';
  const headers: (readonly [string, string])[] = [];
  const { reader } = cursor;
  const start = reader.startLine(line);
  for (;;) {
    line = nextLine(cursor);
    if (line === undefined) return 'more';
    if (line === '') return { start, headers };
    const folded = /^[ \t]/.test(line);
    if (folded && reader.fold === 'skip') continue;
    const last = headers.at(-1);
    if (folded && reader.fold === 'join' && last !== undefined) {
      headers[headers.length - 1] = [last[0], `${last[1]} ${line.trim()}`];
      continue;
    }
    const colon = line.indexOf(':');
    const name = colon < 0 ? undefined : reader.headerName(folded ? line.slice(0, colon).trim() : line.slice(0, colon));
    if (name !== undefined) headers.push([name, line.slice(colon + 1).replace(/^[ \t]+|[ \t]+$/g, '')]);
  }
}

function readChunks(cursor: Cursor): { readonly body: string } | 'more' | undefined {
  let body = '';
  const { text, reader } = cursor;
  for (;;) {
    const line = nextLine(cursor);
    if (line === undefined) return 'more';
    const size = reader.chunkSize(line);
    if (!(size >= 0)) return undefined;
    if (size === 0) break;
    if (cursor.at + size > text.length) return 'more';
    body += text.slice(cursor.at, cursor.at + size);
    cursor.at += size;
    if (reader.chunkEnd === 'none') {
      const after = /\r?\n?/y;
      after.lastIndex = cursor.at;
      cursor.at += after.exec(text)![0].length;
    } else if (reader.chunkEnd === 'two bytes') cursor.at += 2;
    else if (cursor.at >= text.length) return 'more';
    else {
      const end = nextLine(cursor);
      if (end === undefined) return 'more';
      if (end !== '' && reader.chunkEnd === 'crlf') return undefined;
    }
  }
  for (;;) {
    const line = nextLine(cursor);
    if (line === undefined) return 'more';
    if (line === '') return { body };
  }
}

/** `undefined` for content that nothing delimits. */
function contentLength(head: Head, reader: Reader): number | 'chunked' | undefined {
  const codings = head.headers.flatMap(([name, value]) => (name === 'transfer-encoding' ? [value] : []));
  const lengths = head.headers.flatMap(([name, value]) => (name === 'content-length' ? [value] : []));
  const coded = codings.length > 0 && reader.chunked(codings);
  if (coded && (lengths.length === 0 || reader.both === 'coding')) return 'chunked';
  if (lengths.length > 0) return reader.length(lengths);
  return codings.length > 0 ? Number.NaN : undefined;
}

function hostOf(head: Head, reader: Reader): string {
  const hosts = head.headers.flatMap(([name, value]) => (name === 'host' ? [value] : []));
  const target = /^https?:\/\/([^/?#]*)/i.exec(head.start[1]);
  if (reader.host === 'target' && target !== null) return target[1]!;
  return (reader.host === 'last' ? hosts.at(-1) : hosts[0]) ?? '';
}

/** All the requests in a text. */
export function readRequests(text: string, reader: Reader): Reading {
  return readAll(text, reader, (head) => ({
    length: contentLength(head, reader) ?? 0,
    start: `${head.start[0]} ${head.start[1]}`,
    host: hostOf(head, reader),
  }));
}

/** All the responses in a text, to requests of these methods; the last one ends with the text where nothing delimits it. */
export function readResponses(text: string, reader: Reader, methods: readonly string[]): Reading {
  let answered = 0;
  return readAll(text, reader, (head) => {
    const status = head.start[1];
    if (!/^HTTP\/1\.[01]$/.test(head.start[0]) || !/^[0-9]{3}$/.test(status)) return undefined;
    const method = status.startsWith('1') ? '' : methods[answered++];
    const empty = status.startsWith('1') || status === '204' || status === '304' || method === 'HEAD';
    return { length: empty ? 0 : (contentLength(head, reader) ?? 'rest'), start: status, host: '' };
  });
}

interface Begin {
  readonly length: number | 'chunked' | 'rest';
  readonly start: string;
  readonly host: string;
}

function readAll(text: string, reader: Reader, begin: (head: Head) => Begin | undefined): Reading {
  const cursor: Cursor = { text, reader, at: 0 };
  const messages: Message[] = [];
  while (cursor.at < text.length) {
    const head = readHead(cursor);
    if (head === 'more') return { messages, rest: 'head' };
    const begun = begin(head);
    if (begun === undefined) return { messages, rest: 'nonsense' };
    const { length, start, host } = begun;
    let body = '';
    if (length === 'chunked') {
      const read = readChunks(cursor);
      if (read === 'more') return { messages, rest: 'content' };
      if (read === undefined) return { messages, rest: 'nonsense' };
      body = read.body;
    } else {
      const bytes = length === 'rest' ? text.length - cursor.at : length;
      if (!(bytes >= 0)) return { messages, rest: 'nonsense' };
      if (cursor.at + bytes > text.length) return { messages, rest: 'content' };
      body = text.slice(cursor.at, cursor.at + bytes);
      cursor.at += bytes;
    }
    messages.push({ start, host, body, end: cursor.at, headers: head.headers });
  }
  return { messages, rest: 'nothing' };
}

/** What a reading says of where messages begin and end, who they are for and what is in them. */
function meaning({ messages, rest }: Reading): string {
  return JSON.stringify([messages.map(({ start, host, body, end }) => [start, host, body, end]), rest]);
}

/** The habits by which a text is read otherwise than by the RFC. */
export function otherwise(read: (reader: Reader) => Reading): string[] {
  const expected = meaning(read(rfc));
  return readers.flatMap((reader) => (meaning(read(reader)) === expected ? [] : [reader.name]));
}

export function readByRfc(read: (reader: Reader) => Reading): Reading {
  return read(rfc);
}
