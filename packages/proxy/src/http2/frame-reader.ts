import { ErrorCode } from './error-code.ts';
import { CLIENT_PREFACE, Flag, FRAME_HEADER_BYTES, FrameType } from './frame.ts';

/** Receives what a FrameReader reads. */
export interface FrameSink {
  /** A DATA frame begins; `length` with padding. What follows is its content, up to and with `last`. */
  onDataFrame(id: number, flags: number, length: number): void;
  onDataBytes(buffer: Buffer, start: number, end: number, last: boolean): void;
  /** Any other frame, whole. */
  onFrame(type: number, flags: number, id: number, buffer: Buffer, start: number, end: number): void;
  /** An error of the connection. */
  fail(code: number, detail: string): void;
}

const Phase = { PREFACE: 0, HEADER: 1, PAYLOAD: 2, PAD_LENGTH: 3, DATA: 4, PADDING: 5, STOPPED: 6 } as const;

const NO_BYTES = Buffer.alloc(0);

/**
 * Cuts received bytes into frames. Content of DATA is handed on as it comes, without a copy; another frame is copied
 * only where it comes in pieces.
 */
export class FrameReader {
  private readonly sink: FrameSink;
  private readonly maxFrameBytes: number;
  private phase: number;
  private prefaceRead: number;
  private readonly header: Buffer;
  private headerRead: number;
  private length: number;
  private type: number;
  private flags: number;
  private id: number;
  private partial: Buffer;
  private partialRead: number;
  /** Of a DATA frame: bytes of content and of padding to come. */
  private content: number;
  private padding: number;

  constructor(sink: FrameSink, maxFrameBytes: number, expectPreface: boolean) {
    this.sink = sink;
    this.maxFrameBytes = maxFrameBytes;
    this.phase = expectPreface ? Phase.PREFACE : Phase.HEADER;
    this.prefaceRead = 0;
    this.header = Buffer.alloc(FRAME_HEADER_BYTES);
    this.headerRead = 0;
    this.length = 0;
    this.type = 0;
    this.flags = 0;
    this.id = 0;
    this.partial = NO_BYTES;
    this.partialRead = 0;
    this.content = 0;
    this.padding = 0;
  }

  /** Drops what is still to come. */
  stop(): void {
    this.phase = Phase.STOPPED;
    this.partial = NO_BYTES;
  }

  receive(buffer: Buffer, start: number, end: number): void {
    let p = start;
    while (p < end) {
      switch (this.phase) {
        case Phase.HEADER:
          p = this.readHeader(buffer, p, end);
          break;
        case Phase.PAYLOAD:
          p = this.readPayload(buffer, p, end);
          break;
        case Phase.DATA:
          p = this.readData(buffer, p, end);
          break;
        case Phase.PAD_LENGTH:
          this.padding = buffer[p++]!;
          this.content = this.length - 1 - this.padding;
          if (this.content < 0) this.sink.fail(ErrorCode.PROTOCOL_ERROR, 'padding longer than its frame');
          else this.beginContent(buffer);
          break;
        case Phase.PADDING: {
          const skipped = Math.min(this.padding, end - p);
          this.padding -= skipped;
          p += skipped;
          if (this.padding === 0) this.phase = Phase.HEADER;
          break;
        }
        case Phase.PREFACE:
          p = this.readPreface(buffer, p, end);
          break;
        default:
          return;
      }
    }
  }

  private readHeader(buffer: Buffer, start: number, end: number): number {
    let from = buffer;
    let p = start;
    let next = start + FRAME_HEADER_BYTES;
    if (this.headerRead > 0 || next > end) {
      next = Math.min(end, start + FRAME_HEADER_BYTES - this.headerRead);
      buffer.copy(this.header, this.headerRead, start, next);
      this.headerRead += next - start;
      if (this.headerRead < FRAME_HEADER_BYTES) return next;
      this.headerRead = 0;
      from = this.header;
      p = 0;
    }
    const length = (from[p]! << 16) | (from[p + 1]! << 8) | from[p + 2]!;
    const type = from[p + 3]!;
    const flags = from[p + 4]!;
    const id = ((from[p + 5]! & 0x7f) << 24) | (from[p + 6]! << 16) | (from[p + 7]! << 8) | from[p + 8]!;
    if (length > this.maxFrameBytes) {
      this.sink.fail(ErrorCode.FRAME_SIZE_ERROR, 'frame larger than SETTINGS_MAX_FRAME_SIZE');
      return end;
    }
    this.length = length;
    if (type === FrameType.DATA) {
      this.sink.onDataFrame(id, flags, length);
      if (this.phase === Phase.STOPPED) return end;
      if ((flags & Flag.PADDED) !== 0) {
        if (length === 0) {
          this.sink.fail(ErrorCode.FRAME_SIZE_ERROR, 'padded DATA frame without pad length');
          return end;
        }
        this.phase = Phase.PAD_LENGTH;
        return next;
      }
      this.content = length;
      this.padding = 0;
      this.beginContent(buffer);
      return next;
    }
    if (end - next >= length) {
      this.sink.onFrame(type, flags, id, buffer, next, next + length);
      return next + length;
    }
    this.type = type;
    this.flags = flags;
    this.id = id;
    this.partial = Buffer.allocUnsafeSlow(length);
    this.partialRead = 0;
    this.phase = Phase.PAYLOAD;
    return next;
  }

  private readPayload(buffer: Buffer, start: number, end: number): number {
    const next = Math.min(end, start + this.length - this.partialRead);
    buffer.copy(this.partial, this.partialRead, start, next);
    this.partialRead += next - start;
    if (this.partialRead === this.length) {
      const payload = this.partial;
      this.partial = NO_BYTES;
      this.phase = Phase.HEADER;
      this.sink.onFrame(this.type, this.flags, this.id, payload, 0, this.length);
    }
    return next;
  }

  private beginContent(buffer: Buffer): void {
    this.phase = Phase.DATA;
    if (this.content > 0) return;
    this.phase = this.padding > 0 ? Phase.PADDING : Phase.HEADER;
    this.sink.onDataBytes(buffer, 0, 0, true);
  }

  private readData(buffer: Buffer, start: number, end: number): number {
    const next = Math.min(end, start + this.content);
    this.content -= next - start;
    if (this.content === 0) this.phase = this.padding > 0 ? Phase.PADDING : Phase.HEADER;
    this.sink.onDataBytes(buffer, start, next, this.content === 0);
    return next;
  }

  private readPreface(buffer: Buffer, start: number, end: number): number {
    let p = start;
    while (p < end && this.prefaceRead < CLIENT_PREFACE.length) {
      if (buffer[p++] !== CLIENT_PREFACE.charCodeAt(this.prefaceRead++)) {
        this.sink.fail(ErrorCode.PROTOCOL_ERROR, 'no HTTP/2 connection preface');
        return end;
      }
    }
    if (this.prefaceRead === CLIENT_PREFACE.length) this.phase = Phase.HEADER;
    return p;
  }
}
