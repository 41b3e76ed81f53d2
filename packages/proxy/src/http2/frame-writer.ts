import type { TurnWriter } from '../net/turn-writer.ts';
import { Flag, FRAME_HEADER_BYTES, FrameType } from './frame.ts';

/** Writes frames into a TurnWriter. */
export class FrameWriter {
  private readonly writer: TurnWriter;
  private blockStart: number;
  /** Frames since the peer last took all that was written; of these PING, SETTINGS and RST_STREAM. */
  unsent: number;
  unsentControl: number;
  /** DATA frames ever. */
  dataFrames: number;

  constructor(writer: TurnWriter) {
    this.writer = writer;
    this.blockStart = 0;
    this.unsent = 0;
    this.unsentControl = 0;
    this.dataFrames = 0;
  }

  /** A frame's header, with room for `payload` bytes after it in one piece. */
  header(length: number, type: number, flags: number, id: number, payload: number): void {
    const writer = this.writer;
    this.unsent++;
    writer.reserve(FRAME_HEADER_BYTES + payload);
    putHeader(writer.buffer, writer.position, length, type, flags, id);
    writer.position += FRAME_HEADER_BYTES;
  }

  data(id: number, buffer: Buffer, start: number, end: number, fin: boolean): void {
    this.dataFrames++;
    this.header(end - start, FrameType.DATA, fin ? Flag.END_STREAM : 0, id, 0);
    if (end > start) this.writer.bytes(buffer, start, end);
  }

  /** A copy of content that the windows have no room for. */
  keep(buffer: Buffer, start: number, end: number): Buffer {
    return this.writer.keep(buffer, start, end);
  }

  uint32(value: number): void {
    const { buffer, position } = this.writer;
    buffer[position] = value >>> 24;
    buffer[position + 1] = value >>> 16;
    buffer[position + 2] = value >>> 8;
    buffer[position + 3] = value;
    this.writer.position = position + 4;
  }

  settings(values: readonly (readonly [id: number, value: number])[]): void {
    this.header(values.length * 6, FrameType.SETTINGS, 0, 0, values.length * 6);
    for (const [id, value] of values) {
      this.writer.buffer[this.writer.position++] = id >>> 8;
      this.writer.buffer[this.writer.position++] = id;
      this.uint32(value);
    }
  }

  settingsAck(): void {
    this.unsentControl++;
    this.header(0, FrameType.SETTINGS, Flag.ACK, 0, 0);
  }

  /** `opaque`: 8 bytes from `start`. */
  ping(ack: boolean, opaque: Buffer, start: number): void {
    this.unsentControl++;
    this.header(8, FrameType.PING, ack ? Flag.ACK : 0, 0, 8);
    this.writer.bytes(opaque, start, start + 8);
  }

  windowUpdate(id: number, increment: number): void {
    this.header(4, FrameType.WINDOW_UPDATE, 0, id, 4);
    this.uint32(increment);
  }

  rstStream(id: number, code: number): void {
    this.unsentControl++;
    this.header(4, FrameType.RST_STREAM, 0, id, 4);
    this.uint32(code);
  }

  goaway(lastId: number, code: number, detail: string): void {
    this.header(8 + detail.length, FrameType.GOAWAY, 0, 0, 8 + detail.length);
    this.uint32(lastId);
    this.uint32(code);
    this.writer.latin1(detail);
  }

  /** Room for a header block of at most `bytes`, in one piece; its fields are written at the writer's position. */
  beginBlock(bytes: number): void {
    const writer = this.writer;
    writer.reserve(FRAME_HEADER_BYTES + bytes);
    this.blockStart = writer.position;
    writer.position += FRAME_HEADER_BYTES;
  }

  /** Makes the block a HEADERS frame, with CONTINUATION frames where it is larger than the peer's frames. */
  endBlock(id: number, fin: boolean, maxFrameBytes: number): void {
    const writer = this.writer;
    const start = this.blockStart;
    const length = writer.position - start - FRAME_HEADER_BYTES;
    const flags = fin ? Flag.END_STREAM : 0;
    this.unsent++;
    if (length <= maxFrameBytes) {
      putHeader(writer.buffer, start, length, FrameType.HEADERS, flags | Flag.END_HEADERS, id);
      return;
    }
    const block = Buffer.from(writer.buffer.subarray(start + FRAME_HEADER_BYTES, writer.position));
    writer.position = start;
    for (let p = 0; p < length; p += maxFrameBytes) {
      const end = Math.min(length, p + maxFrameBytes);
      this.header(end - p, p === 0 ? FrameType.HEADERS : FrameType.CONTINUATION, (p === 0 ? flags : 0) | (end === length ? Flag.END_HEADERS : 0), id, 0);
      writer.bytes(block, p, end);
    }
  }
}

function putHeader(buffer: Buffer, p: number, length: number, type: number, flags: number, id: number): void {
  buffer[p] = length >>> 16;
  buffer[p + 1] = length >>> 8;
  buffer[p + 2] = length;
  buffer[p + 3] = type;
  buffer[p + 4] = flags;
  buffer[p + 5] = id >>> 24;
  buffer[p + 6] = id >>> 16;
  buffer[p + 7] = id >>> 8;
  buffer[p + 8] = id;
}
