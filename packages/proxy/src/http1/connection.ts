import type { StreamEvents } from '../http/message.ts';
import type { Transport } from '../http/transport.ts';
import type { TurnWriter } from '../net/turn-writer.ts';
import { Chunk, ChunkDecoder } from './chunk-decoder.ts';
import { HeadDecoder } from './head-decoder.ts';
import { Framing, HeadEncoder } from './head-encoder.ts';
import { Scan } from './head-scanner.ts';
import type { Http1Options } from './options.ts';

/** What the next received byte is. */
export const Reading = {
  /** Before or inside a head. */
  HEAD: 0,
  LENGTH: 1,
  CHUNKS: 2,
  TRAILERS: 3,
  UNTIL_CLOSE: 4,
  TUNNEL: 5,
  /** The message is over, the next one must wait. */
  HELD: 6,
  /** Dropped: the connection has been ended from here. */
  CLOSED: 7,
} as const;

export const NO_BYTES = Buffer.alloc(0);
const CR = 13;
const LF = 10;
const ZERO = 48;
const HEX = '0123456789abcdef';

/** What both sides of HTTP/1 share: reading bytes into one message after the other, and writing content. */
export abstract class Http1Connection {
  protected readonly transport: Transport;
  protected readonly writer: TurnWriter;
  protected readonly options: Http1Options;
  protected readonly decoder: HeadDecoder;
  protected readonly encoder: HeadEncoder;
  protected readonly chunks: ChunkDecoder;
  protected reading: number;
  /** Receives what is read; null drops it. */
  protected sink: StreamEvents | null;
  /** `receive` is on the stack. */
  protected receiving: boolean;
  /** Of the `receive` under way: bytes follow those that were just read. */
  protected moreBytes: boolean;
  /** Start of a head that has not come whole, or bytes of further requests. */
  protected carry: Buffer;
  protected carryLength: number;
  protected framing: number;
  protected draining: boolean;
  /** Of content with a length: bytes still to come. */
  private remaining: number;
  private bodyBytes: number;
  /** Of content with a length: bytes still to be sent. */
  private unsent: number;
  /** Of the head or the trailers just scanned. */
  private text: string;

  constructor(transport: Transport, writer: TurnWriter, options: Http1Options) {
    this.transport = transport;
    this.writer = writer;
    this.options = options;
    this.decoder = new HeadDecoder(options);
    this.encoder = new HeadEncoder();
    this.chunks = new ChunkDecoder(options);
    this.reading = Reading.HEAD;
    this.sink = null;
    this.receiving = false;
    this.moreBytes = false;
    this.carry = NO_BYTES;
    this.carryLength = 0;
    this.framing = Framing.NONE;
    this.draining = false;
    this.remaining = 0;
    this.bodyBytes = 0;
    this.unsent = 0;
    this.text = '';
  }

  /** A whole head is here. `reading` must be set for what follows (by `readBody`, or `HELD`, `HEAD`, `TUNNEL`). */
  protected abstract onHead(text: string): void;
  /** The received message is whole, and its last event about to be given. Moves `reading` on. */
  protected abstract onMessageRead(): void;
  /** After that event. */
  protected abstract onMessageDelivered(): void;
  protected abstract onProtocolError(status: number, detail: string): void;
  /** Bytes before a head that may be skipped: returns how many, -1 to refuse. */
  protected abstract skipBeforeHead(buffer: Buffer, start: number, end: number): number;

  get unsentBytes(): number {
    return this.transport.writableLength;
  }

  receive(buffer: Buffer, start: number, end: number): void {
    const outer = this.receiving;
    this.receiving = true;
    let p = start;
    while (p < end) {
      switch (this.reading) {
        case Reading.HEAD:
          p = this.readHead(buffer, p, end);
          break;
        case Reading.LENGTH:
          p = this.readLength(buffer, p, end);
          break;
        case Reading.CHUNKS:
          p = this.readChunk(buffer, p, end);
          break;
        case Reading.TRAILERS:
          p = this.readTrailers(buffer, p, end);
          break;
        case Reading.UNTIL_CLOSE:
        case Reading.TUNNEL:
          if (this.countBody(end - p)) this.sink?.onBody(buffer, p, end, false);
          p = end;
          break;
        case Reading.HELD:
          this.keep(buffer, p, end);
          p = end;
          break;
        default:
          p = end;
      }
    }
    this.receiving = outer;
  }

  /** Sets up for content of `length` (-1: chunked, or all until the end). */
  protected readBody(length: number): void {
    this.bodyBytes = 0;
    if (length >= 0) {
      this.remaining = length;
      this.reading = Reading.LENGTH;
    } else if (this.decoder.chunked) {
      this.chunks.begin();
      this.reading = Reading.CHUNKS;
    } else this.reading = Reading.UNTIL_CLOSE;
  }

  protected expectHead(): void {
    this.reading = Reading.HEAD;
    this.decoder.scanner.beginHead();
  }

  /** Bytes that the message under way will still bring; -1 is not known. */
  protected get unread(): number {
    return this.reading === Reading.LENGTH ? this.remaining : -1;
  }

  protected keep(buffer: Buffer, start: number, end: number): void {
    const length = this.carryLength + end - start;
    if (length > this.carry.length) {
      const grown = Buffer.allocUnsafeSlow(Math.max(length, this.carry.length * 2, 1024));
      this.carry.copy(grown, 0, 0, this.carryLength);
      this.carry = grown;
    }
    buffer.copy(this.carry, this.carryLength, start, end);
    this.carryLength = length;
  }

  protected dropCarry(): void {
    this.carry = NO_BYTES;
    this.carryLength = 0;
  }

  protected startContent(framing: number, length: number): void {
    this.framing = framing;
    this.unsent = framing === Framing.LENGTH ? length : 0;
  }

  /** Writes content in the framing of the message. False: more than its length was given. */
  protected writeContent(buffer: Buffer, start: number, end: number, fin: boolean): boolean {
    const length = end - start;
    if (this.framing === Framing.CHUNKED) {
      if (length > 0) {
        writeChunkSize(this.writer, length);
        this.writer.bytes(buffer, start, end);
        this.writer.latin1(fin ? '\r\n0\r\n\r\n' : '\r\n');
      } else if (fin) this.writer.latin1('0\r\n\r\n');
      return true;
    }
    if (this.framing === Framing.NONE || this.framing === Framing.EMPTY) return true;
    if (this.framing === Framing.LENGTH) {
      this.unsent -= length;
      if (this.unsent < 0 || (fin && this.unsent > 0)) return false;
    }
    if (length > 0) this.writer.bytes(buffer, start, end);
    return true;
  }

  private readHead(buffer: Buffer, start: number, end: number): number {
    const scanner = this.decoder.scanner;
    let p = start;
    if (scanner.length === 0) {
      const skipped = this.skipBeforeHead(buffer, p, end);
      if (skipped < 0) return end;
      p += skipped;
      if (p === end) return end;
    }
    const next = this.scan(buffer, p, end);
    if (next < 0) return end;
    const text = this.text;
    this.text = '';
    this.moreBytes = next < end;
    this.onHead(text);
    return next;
  }

  /** Position after a whole head or trailers, their text in `text`; -1: not whole yet, or refused. */
  private scan(buffer: Buffer, start: number, end: number): number {
    const scanner = this.decoder.scanner;
    const before = scanner.length;
    const result = scanner.scan(buffer, start, end);
    if (result === Scan.BAD) {
      this.dropCarry();
      this.onProtocolError(scanner.status, scanner.error);
      return -1;
    }
    if (result === Scan.MORE) {
      this.keep(buffer, start, end);
      return -1;
    }
    const next = start + scanner.length - before;
    if (this.carryLength === 0) this.text = buffer.latin1Slice(start, next);
    else {
      this.keep(buffer, start, next);
      this.text = this.carry.latin1Slice(0, this.carryLength);
      this.dropCarry();
    }
    scanner.length = 0;
    return next;
  }

  private readLength(buffer: Buffer, start: number, end: number): number {
    const next = start + Math.min(this.remaining, end - start);
    this.remaining -= next - start;
    if (this.remaining === 0) this.finish(buffer, start, next, next < end);
    else if (this.countBody(next - start)) this.sink?.onBody(buffer, start, next, false);
    return next;
  }

  private readChunk(buffer: Buffer, start: number, end: number): number {
    const chunks = this.chunks;
    const result = chunks.step(buffer, start, end);
    if (result === Chunk.BAD) {
      this.onProtocolError(400, chunks.error);
      return end;
    }
    if (result === Chunk.LAST) {
      this.decoder.scanner.beginTrailers();
      this.reading = Reading.TRAILERS;
      return chunks.position;
    }
    if (result === Chunk.MORE) return end;
    const next = chunks.position;
    if (!this.countBody(next - chunks.dataStart)) return end;
    // The usual end of a message comes with its last chunk: one event instead of two.
    if (chunks.remaining === 0 && end - next >= 7 && isLastChunk(buffer, next)) {
      this.finish(buffer, chunks.dataStart, next, next + 7 < end);
      return next + 7;
    }
    this.sink?.onBody(buffer, chunks.dataStart, next, false);
    return next;
  }

  private readTrailers(buffer: Buffer, start: number, end: number): number {
    const next = this.scan(buffer, start, end);
    if (next < 0) return end;
    const trailers = this.decoder.trailers(this.text);
    this.text = '';
    if (trailers === null) this.onProtocolError(this.decoder.status, this.decoder.error);
    else if (trailers.length === 0) this.finish(NO_BYTES, 0, 0, next < end);
    else {
      const sink = this.sink;
      this.moreBytes = next < end;
      this.onMessageRead();
      sink?.onTrailers(trailers);
      this.onMessageDelivered();
    }
    return next;
  }

  protected finish(buffer: Buffer, start: number, end: number, moreBytes: boolean): void {
    const sink = this.sink;
    this.moreBytes = moreBytes;
    this.onMessageRead();
    sink?.onBody(buffer, start, end, true);
    this.onMessageDelivered();
  }

  /** Bounds content of unknown length; what is dropped has a bound of its own. */
  private countBody(bytes: number): boolean {
    if (this.reading === Reading.TUNNEL) return true;
    this.bodyBytes += bytes;
    if (this.sink === null) {
      if (this.bodyBytes <= this.options.maxDiscardedBytes) return true;
      this.onProtocolError(413, 'too much content after the answer');
      return false;
    }
    if (this.bodyBytes <= this.options.maxBodyBytes) return true;
    this.onProtocolError(413, 'content too large');
    return false;
  }

  /** What is read from here on is dropped, up to `maxDiscardedBytes`. */
  protected discardRest(): void {
    this.sink = null;
    this.bodyBytes = 0;
  }
}

function isLastChunk(buffer: Buffer, p: number): boolean {
  return (
    buffer[p] === CR &&
    buffer[p + 1] === LF &&
    buffer[p + 2] === ZERO &&
    buffer[p + 3] === CR &&
    buffer[p + 4] === LF &&
    buffer[p + 5] === CR &&
    buffer[p + 6] === LF
  );
}

function writeChunkSize(writer: TurnWriter, length: number): void {
  writer.reserve(10);
  let shift = 28;
  while (shift > 0 && length >>> shift === 0) shift -= 4;
  for (; shift >= 0; shift -= 4) writer.buffer[writer.position++] = HEX.charCodeAt((length >>> shift) & 15);
  writer.buffer[writer.position++] = CR;
  writer.buffer[writer.position++] = LF;
}
