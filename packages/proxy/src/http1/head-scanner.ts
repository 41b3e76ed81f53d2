import { FIELD_BYTES, TOKEN_BYTE } from '../http/field-bytes.ts';
import type { HeaderName, HeaderNames } from '../http/header-names.ts';
import type { Http1Options } from './options.ts';

/** What a scan came to. */
export const Scan = { MORE: 0, DONE: 1, BAD: 2 } as const;

/** Where a scan stands: the byte that comes next. */
const Phase = { START_LINE: 0, START_LINE_LF: 1, LINE: 2, NAME: 3, OWS: 4, VALUE: 5, VALUE_LF: 6, END_LF: 7 } as const;

const TAB = 9;
const SPACE = 32;
const DEL = 127;
const CR = 13;
const LF = 10;
const COLON = 58;
/**
 * Finds the lines of a head or of trailers in one pass over the bytes and refuses every byte that RFC 9112 does not
 * allow where it stands: bare CR and LF, line folding, space before a colon, NUL and other controls. Goes on where it
 * stopped when a head comes in pieces, so that no byte is looked at twice.
 */
export class HeadScanner {
  /** Of each field: start and end of its name and of its value (with trailing space), counted from the head's first byte. */
  readonly offsets: number[];
  /** Of each field: its name, null where it came in pieces and must be read from the text. */
  readonly found: (HeaderName | null)[];
  /** Fields found. */
  count: number;
  /** Bytes of the head so far. */
  length: number;
  startLineEnd: number;
  /** Of a BAD scan: the status to answer and what was wrong. */
  status: number;
  error: string;
  private phase: number;
  private mark: number;
  private maxBytes: number;
  private readonly options: Http1Options;
  private readonly names: HeaderNames;

  constructor(options: Http1Options) {
    this.offsets = [];
    this.found = [];
    this.count = 0;
    this.length = 0;
    this.startLineEnd = 0;
    this.status = 0;
    this.error = '';
    this.phase = Phase.START_LINE;
    this.mark = 0;
    this.maxBytes = options.maxHeadBytes;
    this.options = options;
    this.names = options.names;
  }

  beginHead(): void {
    this.count = 0;
    this.length = 0;
    this.startLineEnd = 0;
    this.phase = Phase.START_LINE;
    this.maxBytes = this.options.maxHeadBytes;
  }

  beginTrailers(): void {
    this.beginHead();
    this.phase = Phase.LINE;
    this.maxBytes = this.options.maxTrailerBytes;
  }

  /** Goes on with the bytes from `start`; `length` grows by those that belong to the head. */
  scan(buffer: Buffer, start: number, end: number): number {
    const base = this.length - start;
    const offsets = this.offsets;
    let phase = this.phase;
    let p = start;
    // Each phase falls into the next, so that a line that is here whole takes one pass.
    while (p < end) {
      if (phase === Phase.START_LINE) {
        while (p < end && buffer[p]! >= SPACE && buffer[p] !== DEL) p++;
        if (p + base > this.options.maxStartLineBytes) return this.bad(414, 'start line too long');
        if (p === end) break;
        if (buffer[p] !== CR) return this.bad(400, 'invalid character in the start line');
        this.startLineEnd = p + base;
        p++;
        phase = Phase.START_LINE_LF;
        continue;
      }
      if (phase === Phase.START_LINE_LF) {
        if (buffer[p] !== LF) return this.bad(400, 'CR without LF');
        p++;
        phase = Phase.LINE;
        continue;
      }
      if (phase === Phase.END_LF) {
        if (buffer[p] !== LF) return this.bad(400, 'CR without LF');
        p++;
        this.length = p + base;
        return this.length > this.maxBytes ? this.bad(431, 'header section too large') : Scan.DONE;
      }
      if (phase === Phase.LINE) {
        if (buffer[p] === CR) {
          p++;
          phase = Phase.END_LF;
          continue;
        }
        this.mark = p + base;
        phase = Phase.NAME;
      }
      if (phase === Phase.NAME) {
        while (p < end && (FIELD_BYTES[buffer[p]!]! & TOKEN_BYTE) !== 0) p++;
        if (p === end) break;
        if (buffer[p] !== COLON) return this.bad(400, 'invalid character in a header name');
        if (p + base === this.mark) return this.bad(400, 'empty header name');
        const i = this.count * 4;
        offsets[i] = this.mark;
        offsets[i + 1] = p + base;
        const nameStart = this.mark - base;
        this.found[this.count] = nameStart >= start ? this.names.find(buffer, nameStart, p) : null;
        p++;
        phase = Phase.OWS;
      }
      if (phase === Phase.OWS) {
        while (p < end && (buffer[p] === SPACE || buffer[p] === TAB)) p++;
        if (p === end) break;
        this.mark = p + base;
        phase = Phase.VALUE;
      }
      if (phase === Phase.VALUE) {
        // Compared rather than looked up: most bytes of a head are of values (bench/codec/http1.mjs).
        while (p < end) {
          const byte = buffer[p]!;
          if (byte < SPACE ? byte !== TAB : byte === DEL) break;
          p++;
        }
        if (p === end) break;
        if (buffer[p] !== CR) return this.bad(400, 'invalid character in a header value');
        const i = this.count * 4;
        offsets[i + 2] = this.mark;
        offsets[i + 3] = p + base;
        p++;
        phase = Phase.VALUE_LF;
        if (p === end) break;
      }
      // VALUE_LF: the only phase that is left.
      if (buffer[p] !== LF) return this.bad(400, 'CR without LF');
      p++;
      if (++this.count > this.options.maxHeaderCount) return this.bad(431, 'too many header lines');
      phase = Phase.LINE;
    }
    this.phase = phase;
    this.length = p + base;
    return this.length > this.maxBytes ? this.bad(431, 'header section too large') : Scan.MORE;
  }

  private bad(status: number, error: string): number {
    this.status = status;
    this.error = error;
    return Scan.BAD;
  }
}
