import type { HeaderList, RequestHead, ResponseHead } from '../http/message.ts';
import type { TurnWriter } from '../net/turn-writer.ts';

const NUL = 0;
const LF = 10;
const CR = 13;

/**
 * How the content of a message is delimited (RFC 9112 section 6). NONE: it has none here, but may say the length of what
 * is not sent (HEAD, 304); EMPTY: it cannot have any (1xx, 204).
 */
export const Framing = { NONE: 0, LENGTH: 1, CHUNKED: 2, UNTIL_CLOSE: 3, TUNNEL: 4, EMPTY: 5 } as const;

const REASONS: ReadonlyMap<number, string> = new Map([
  [100, 'Continue'],
  [101, 'Switching Protocols'],
  [102, 'Processing'],
  [103, 'Early Hints'],
  [200, 'OK'],
  [201, 'Created'],
  [202, 'Accepted'],
  [203, 'Non-Authoritative Information'],
  [204, 'No Content'],
  [205, 'Reset Content'],
  [206, 'Partial Content'],
  [207, 'Multi-Status'],
  [208, 'Already Reported'],
  [226, 'IM Used'],
  [300, 'Multiple Choices'],
  [301, 'Moved Permanently'],
  [302, 'Found'],
  [303, 'See Other'],
  [304, 'Not Modified'],
  [305, 'Use Proxy'],
  [307, 'Temporary Redirect'],
  [308, 'Permanent Redirect'],
  [400, 'Bad Request'],
  [401, 'Unauthorized'],
  [402, 'Payment Required'],
  [403, 'Forbidden'],
  [404, 'Not Found'],
  [405, 'Method Not Allowed'],
  [406, 'Not Acceptable'],
  [407, 'Proxy Authentication Required'],
  [408, 'Request Timeout'],
  [409, 'Conflict'],
  [410, 'Gone'],
  [411, 'Length Required'],
  [412, 'Precondition Failed'],
  [413, 'Content Too Large'],
  [414, 'URI Too Long'],
  [415, 'Unsupported Media Type'],
  [416, 'Range Not Satisfiable'],
  [417, 'Expectation Failed'],
  [421, 'Misdirected Request'],
  [422, 'Unprocessable Content'],
  [423, 'Locked'],
  [424, 'Failed Dependency'],
  [425, 'Too Early'],
  [426, 'Upgrade Required'],
  [428, 'Precondition Required'],
  [429, 'Too Many Requests'],
  [431, 'Request Header Fields Too Large'],
  [451, 'Unavailable For Legal Reasons'],
  [500, 'Internal Server Error'],
  [501, 'Not Implemented'],
  [502, 'Bad Gateway'],
  [503, 'Service Unavailable'],
  [504, 'Gateway Timeout'],
  [505, 'HTTP Version Not Supported'],
  [507, 'Insufficient Storage'],
  [508, 'Loop Detected'],
  [511, 'Network Authentication Required'],
]);

/** The standard reason phrase, '' where there is none. */
export function reasonPhrase(status: number): string {
  return REASONS.get(status) ?? '';
}

/**
 * Puts a head together and writes it: one line for each that was given, or nothing at all. What a peer sent has been
 * looked at when it came; this holds for whatever else gets into a head, too (bench/codec/http1.mjs: 0.2 us a head).
 */
export class HeadEncoder {
  private text: string;
  private lines: number;

  constructor() {
    this.text = '';
    this.lines = 0;
  }

  begin(startLine: string): void {
    this.text = startLine + '\r\n';
    this.lines = 1;
  }

  line(name: string, value: string): void {
    this.text += name + ': ' + value + '\r\n';
    this.lines++;
  }

  /** Header lines without a length that `framing` contradicts, and with the one that it asks for. */
  fields(headers: HeaderList, framing: number, length: number): void {
    let text = this.text;
    let lines = this.lines;
    let lengthSaid = false;
    for (let i = 0; i < headers.length; i += 2) {
      const name = headers[i]!;
      if (name.length === 14 && isContentLength(name)) {
        if (lengthSaid || !lengthStays(framing, length, headers[i + 1]!)) continue;
        lengthSaid = true;
      } else if (name.length === 2 && name.toLowerCase() === 'te') {
        text += 'Connection: TE\r\n';
        lines++;
      }
      // Concatenation and one latin1Write beat a write per piece.
      text += name + ': ' + headers[i + 1]! + '\r\n';
      lines++;
    }
    if (framing === Framing.CHUNKED) {
      text += 'Transfer-Encoding: chunked\r\n';
      lines++;
    } else if (framing === Framing.LENGTH && !lengthSaid) {
      text += 'Content-Length: ' + length + '\r\n';
      lines++;
    }
    this.text = text;
    this.lines = lines;
  }

  /** False: something in it would have been a line of its own; nothing is written. */
  write(writer: TurnWriter): boolean {
    const text = this.text + '\r\n';
    this.text = '';
    writer.latin1(text);
    const { buffer, position } = writer;
    const start = position - text.length;
    let returns = 0;
    let feeds = 0;
    for (let p = start; p < position; p++) {
      const byte = buffer[p]!;
      if (byte > CR) continue;
      if (byte === CR) returns++;
      else if (byte === LF) feeds++;
      else if (byte === NUL) feeds = -position;
    }
    if (returns === this.lines + 1 && feeds === this.lines + 1) return true;
    writer.position = start;
    return false;
  }
}

function isContentLength(name: string): boolean {
  return name === 'Content-Length' || name === 'content-length' || name.toLowerCase() === 'content-length';
}

function lengthStays(framing: number, length: number, said: string): boolean {
  if (framing === Framing.LENGTH) return +said === length;
  return framing === Framing.NONE;
}

/** How a request's content leaves. `fin`: there is none. */
export function requestFraming(head: RequestHead, fin: boolean): number {
  if (head.method === 'CONNECT' || head.protocol !== '') return Framing.TUNNEL;
  if (fin || head.bodyLength === 0) {
    // RFC 9110 section 8.6: where content is expected its absence is said.
    return head.method === 'POST' || head.method === 'PUT' || head.method === 'PATCH' || hasContentLength(head.headers) ? Framing.LENGTH : Framing.NONE;
  }
  return head.bodyLength > 0 ? Framing.LENGTH : Framing.CHUNKED;
}

/** How a response's content leaves to a request of `method` and `version`. */
export function responseFraming(head: ResponseHead, fin: boolean, method: string, version: number): number {
  if (head.tunnel) return Framing.TUNNEL;
  if (head.status === 204) return Framing.EMPTY;
  if (method === 'HEAD' || head.status === 304) return Framing.NONE;
  if (fin || head.bodyLength >= 0) return Framing.LENGTH;
  return version === 10 ? Framing.UNTIL_CLOSE : Framing.CHUNKED;
}

function hasContentLength(headers: HeaderList): boolean {
  for (let i = 0; i < headers.length; i += 2) if (headers[i]!.length === 14 && isContentLength(headers[i]!)) return true;
  return false;
}
