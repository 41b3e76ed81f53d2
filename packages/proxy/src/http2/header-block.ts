import { type ConnectionFault, protocolFault } from './connection-fault.ts';
import { ErrorCode } from './error-code.ts';
import { Flag, uint31 } from './frame.ts';
import type { Http2Options } from './options.ts';

const NO_BYTES = Buffer.alloc(0);

/** A header block in its frames: HEADERS and, where it comes in pieces, CONTINUATION (RFC 9113 sections 6.2 and 6.10). */
export class HeaderBlock {
  /** Stream of a block that is not whole yet; 0: none is under way. */
  id: number;
  /** The block is the last of its stream. */
  fin: boolean;
  /** Its stream is said to depend on itself. */
  selfDependent: boolean;
  /** Where the whole of it is in what `take` gives. */
  start: number;
  end: number;
  private readonly options: Http2Options;
  private buffer: Buffer;
  private continuations: number;
  /** Of one that comes in pieces, so far. */
  private pieces: Buffer;
  private bytes: number;

  constructor(options: Http2Options) {
    this.id = 0;
    this.fin = false;
    this.selfDependent = false;
    this.start = 0;
    this.end = 0;
    this.options = options;
    this.buffer = NO_BYTES;
    this.continuations = 0;
    this.pieces = NO_BYTES;
    this.bytes = 0;
  }

  /** The payload of a HEADERS frame. The block is whole where `id` is 0 then. */
  headers(flags: number, id: number, buffer: Buffer, start: number, end: number): ConnectionFault | null {
    let from = start;
    let to = end;
    if ((flags & Flag.PADDED) !== 0) {
      if (from >= to) return { code: ErrorCode.FRAME_SIZE_ERROR, detail: 'padded HEADERS frame without pad length' };
      to -= buffer[from++]!;
    }
    this.selfDependent = false;
    if ((flags & Flag.PRIORITY) !== 0) {
      if (from + 5 > end) return { code: ErrorCode.FRAME_SIZE_ERROR, detail: 'HEADERS of a wrong size' };
      this.selfDependent = uint31(buffer, from) === id;
      from += 5;
    }
    if (from > to) return protocolFault('padding longer than its frame');
    this.fin = (flags & Flag.END_STREAM) !== 0;
    if ((flags & Flag.END_HEADERS) !== 0) {
      this.buffer = buffer;
      this.start = from;
      this.end = to;
      return null;
    }
    this.id = id;
    this.bytes = 0;
    this.continuations = 0;
    this.add(buffer, from, to);
    return null;
  }

  /** The payload of a CONTINUATION frame. The block is whole where `id` is 0 then. */
  continuation(flags: number, buffer: Buffer, start: number, end: number): ConnectionFault | null {
    const { options } = this;
    if (++this.continuations > options.maxContinuationFrames) return { code: ErrorCode.ENHANCE_YOUR_CALM, detail: 'too many CONTINUATION frames' };
    // Beyond that its table could not be kept in step without holding it all.
    if (this.bytes + end - start > options.maxHeaderListBytes) return { code: ErrorCode.ENHANCE_YOUR_CALM, detail: 'header block too large' };
    this.add(buffer, start, end);
    if ((flags & Flag.END_HEADERS) === 0) return null;
    this.id = 0;
    this.buffer = this.pieces;
    this.start = 0;
    this.end = this.bytes;
    this.pieces = NO_BYTES;
    return null;
  }

  /** What the whole block is in. Once: it is kept no longer. */
  take(): Buffer {
    const { buffer } = this;
    this.buffer = NO_BYTES;
    return buffer;
  }

  private add(buffer: Buffer, start: number, end: number): void {
    const bytes = this.bytes + end - start;
    if (bytes > this.pieces.length) {
      const grown = Buffer.allocUnsafeSlow(Math.max(bytes, this.pieces.length * 2));
      this.pieces.copy(grown, 0, 0, this.bytes);
      this.pieces = grown;
    }
    buffer.copy(this.pieces, this.bytes, start, end);
    this.bytes = bytes;
  }
}
