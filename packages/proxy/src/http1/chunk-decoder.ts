import type { Http1Options } from './options.ts';

/** What a step of the chunk decoder came to. */
export const Chunk = { MORE: 0, DATA: 1, LAST: 2, BAD: 3 } as const;

const Phase = { SIZE: 0, EXTENSION_OR_LF: 1, EXTENSION: 2, SIZE_LF: 3, DATA: 4, DATA_CR: 5, DATA_LF: 6 } as const;

/** Hex digits of a chunk size, leading zeros counted: below 2^52. */
const MAX_SIZE_DIGITS = 13;

const CR = 13;
const LF = 10;

/** Chunked transfer coding (RFC 9112 section 7.1) without its trailers. */
export class ChunkDecoder {
  /** Next byte to read, after a step. */
  position: number;
  /** Of DATA: the content is from here to `position`. */
  dataStart: number;
  /** Bytes of the current chunk still to come. */
  remaining: number;
  error: string;
  private phase: number;
  private digits: number;
  private extensionBytes: number;
  private readonly maxExtensionBytes: number;

  constructor(options: Http1Options) {
    this.position = 0;
    this.dataStart = 0;
    this.remaining = 0;
    this.error = '';
    this.phase = Phase.SIZE;
    this.digits = 0;
    this.extensionBytes = 0;
    this.maxExtensionBytes = options.maxChunkExtensionBytes;
  }

  begin(): void {
    this.phase = Phase.SIZE;
    this.remaining = 0;
    this.digits = 0;
    this.extensionBytes = 0;
  }

  /** Reads up to and with one piece of content. After LAST the trailers follow. */
  step(buffer: Buffer, start: number, end: number): number {
    let p = start;
    while (p < end) {
      const byte = buffer[p]!;
      switch (this.phase) {
        case Phase.SIZE: {
          const digit = hexDigit(byte);
          if (digit >= 0) {
            if (++this.digits > MAX_SIZE_DIGITS) return this.bad('chunk size too large');
            this.remaining = this.remaining * 16 + digit;
            p++;
          } else if (this.digits === 0) return this.bad('invalid chunk size');
          else this.phase = Phase.EXTENSION_OR_LF;
          break;
        }
        case Phase.EXTENSION_OR_LF:
          if (byte === CR) this.phase = Phase.SIZE_LF;
          else if (byte === 59) this.phase = Phase.EXTENSION;
          else return this.bad('invalid chunk size');
          p++;
          break;
        case Phase.EXTENSION:
          if (byte === CR) this.phase = Phase.SIZE_LF;
          else if ((byte < 32 && byte !== 9) || byte === 127) return this.bad('invalid character in a chunk extension');
          else if (++this.extensionBytes > this.maxExtensionBytes) return this.bad('chunk extensions too large');
          p++;
          break;
        case Phase.SIZE_LF:
          if (byte !== LF) return this.bad('CR without LF after a chunk size');
          p++;
          this.digits = 0;
          if (this.remaining === 0) {
            this.position = p;
            this.phase = Phase.SIZE;
            return Chunk.LAST;
          }
          this.phase = Phase.DATA;
          break;
        case Phase.DATA: {
          const taken = Math.min(this.remaining, end - p);
          this.dataStart = p;
          this.position = p + taken;
          this.remaining -= taken;
          if (this.remaining === 0) this.phase = Phase.DATA_CR;
          return Chunk.DATA;
        }
        case Phase.DATA_CR:
          if (byte !== CR) return this.bad('chunk longer than its size');
          this.phase = Phase.DATA_LF;
          p++;
          break;
        default:
          if (byte !== LF) return this.bad('CR without LF after a chunk');
          this.phase = Phase.SIZE;
          p++;
      }
    }
    this.position = p;
    return Chunk.MORE;
  }

  private bad(error: string): number {
    this.error = error;
    return Chunk.BAD;
  }
}

function hexDigit(byte: number): number {
  if (byte >= 48 && byte <= 57) return byte - 48;
  const lower = byte | 32;
  return lower >= 97 && lower <= 102 ? lower - 87 : -1;
}
