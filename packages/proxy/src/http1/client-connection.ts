import type {
  ClientConnection,
  ClientConnectionEvents,
  ClientStream,
  HeaderList,
  RequestHead,
  ResetReason,
  ResponseEvents,
  ResponseHead,
} from '../http/message.ts';
import type { Transport } from '../http/transport.ts';
import type { TurnWriter } from '../net/turn-writer.ts';
import { Http1Connection, NO_BYTES, Reading } from './connection.ts';
import { Framing, requestFraming } from './head-encoder.ts';
import type { Http1Options } from './options.ts';

const SPLIT_HEAD = 'a head with a line break inside a line';

class Http1ClientStream implements ClientStream {
  events: ResponseEvents;
  readonly method: string;
  readonly protocol: string;
  requestDone: boolean;
  informational: number;
  /** Asked for, then made. */
  tunnel: boolean;
  /** What was sent before that: an upstream that declines would take it for its next request. */
  early: Buffer[] | null;
  tunnelRead: boolean;
  private readonly connection: Http1ClientConnection;

  constructor(connection: Http1ClientConnection, head: RequestHead, fin: boolean, events: ResponseEvents) {
    this.events = events;
    this.method = head.method;
    this.protocol = head.protocol;
    this.requestDone = fin;
    this.informational = 0;
    this.tunnel = false;
    this.early = null;
    this.tunnelRead = false;
    this.connection = connection;
  }

  sendBody(buffer: Buffer, start: number, end: number, fin: boolean): boolean {
    return this.connection.sendBody(this, buffer, start, end, fin);
  }

  sendTrailers(trailers: HeaderList): void {
    this.connection.sendTrailers(this, trailers);
  }

  reset(_reason: ResetReason): void {
    this.connection.reset(this);
  }

  pause(): void {
    this.connection.pauseStream(this, true);
  }

  resume(): void {
    this.connection.pauseStream(this, false);
  }

  get bufferedBytes(): number {
    return this.connection.unsentBytes;
  }
}

/**
 * Client side of HTTP/1.1 on one connection: one request at a time, never pipelined. Bytes that nobody asked for end
 * the connection, so that no answer is ever given to another request.
 */
export class Http1ClientConnection extends Http1Connection implements ClientConnection {
  private readonly events: ClientConnectionEvents;
  private stream: Http1ClientStream | null;
  private closed: boolean;
  private paused: boolean;

  constructor(transport: Transport, writer: TurnWriter, events: ClientConnectionEvents, options: Http1Options) {
    super(transport, writer, options);
    this.events = events;
    this.stream = null;
    this.closed = false;
    this.paused = false;
  }

  get activeStreams(): number {
    return this.stream === null ? 0 : 1;
  }

  get capacity(): number {
    return this.stream === null && !this.closed && !this.draining ? 1 : 0;
  }

  request(head: RequestHead, fin: boolean, events: ResponseEvents): ClientStream {
    if (this.capacity === 0) throw new Error('request on an HTTP/1 connection without capacity');
    const framing = requestFraming(head, fin);
    const stream = new Http1ClientStream(this, head, fin && framing !== Framing.TUNNEL, events);
    const length = fin ? 0 : head.bodyLength;
    if (!this.writeHead(head, framing, length)) {
      // Nothing was sent, so that the connection is as it was. Later, since nobody has the stream yet.
      queueMicrotask(() => events.onReset('ProtocolError', SPLIT_HEAD));
      return stream;
    }
    // The last stream may have left a pause behind, where this request is made from within its end.
    this.setPaused(false);
    this.stream = stream;
    this.sink = events;
    this.expectHead();
    this.startContent(framing, length);
    return stream;
  }

  private writeHead(head: RequestHead, framing: number, length: number): boolean {
    const { encoder } = this;
    const target = head.method === 'CONNECT' ? head.authority : head.path || '/';
    encoder.begin(head.method + ' ' + target + ' HTTP/1.1');
    encoder.line('Host', head.authority);
    encoder.fields(head.headers, framing, length);
    if (head.protocol !== '') {
      encoder.line('Connection', 'Upgrade');
      encoder.line('Upgrade', head.protocol);
    }
    if (head.expectContinue) encoder.line('Expect', '100-continue');
    return encoder.write(this.writer);
  }

  receiveEnd(): void {
    if (this.closed) return;
    const stream = this.stream;
    if (stream === null) {
      this.writer.end();
      this.shut('');
    } else if (this.reading === Reading.UNTIL_CLOSE) this.finish(NO_BYTES, 0, 0, false);
    else if (stream.tunnel) {
      if (stream.tunnelRead) return;
      stream.tunnelRead = true;
      stream.events.onBody(NO_BYTES, 0, 0, true);
      this.endTunnel(stream);
    } else this.abort(stream, this.cutReason(), 'the upstream ended before its response');
  }

  transportClosed(detail: string): void {
    if (this.closed) return;
    const stream = this.stream;
    const reason = this.cutReason();
    this.stream = null;
    this.shut(detail, stream, reason);
  }

  transportDrained(): void {
    this.writer.drained();
    this.stream?.events.onDrain();
  }

  drain(): void {
    this.draining = true;
    if (this.stream !== null || this.closed) return;
    this.writer.end();
    this.shut('');
  }

  sendBody(stream: Http1ClientStream, buffer: Buffer, start: number, end: number, fin: boolean): boolean {
    if (this.stream !== stream || stream.requestDone) return true;
    if (this.framing === Framing.TUNNEL && !stream.tunnel) {
      stream.early ??= [];
      if (start < end) stream.early.push(Buffer.from(buffer.subarray(start, end)));
      stream.requestDone = fin;
      return false;
    }
    if (!this.writeContent(buffer, start, end, fin)) {
      this.abort(stream, 'ProtocolError', 'content of a request differs from its length');
      return true;
    }
    if (fin) {
      stream.requestDone = true;
      if (stream.tunnel) {
        this.writer.end();
        this.endTunnel(stream);
      }
    }
    return !this.writer.blocked;
  }

  /** Only chunked content can carry trailers; otherwise they are dropped (RFC 9110 section 6.5.1). */
  sendTrailers(stream: Http1ClientStream, trailers: HeaderList): void {
    if (this.stream !== stream || stream.requestDone || this.framing === Framing.TUNNEL) return;
    if (this.framing === Framing.CHUNKED) {
      this.encoder.begin('0');
      this.encoder.fields(trailers, Framing.EMPTY, 0);
      if (!this.encoder.write(this.writer)) {
        this.abort(stream, 'ProtocolError', SPLIT_HEAD);
        return;
      }
    } else if (!this.writeContent(NO_BYTES, 0, 0, true)) {
      this.abort(stream, 'ProtocolError', 'content of a request differs from its length');
      return;
    }
    stream.requestDone = true;
  }

  reset(stream: Http1ClientStream): void {
    if (this.stream !== stream) return;
    this.stream = null;
    this.writer.destroy();
    this.shut('reset');
  }

  pauseStream(stream: Http1ClientStream, paused: boolean): void {
    if (this.stream === stream) this.setPaused(paused);
  }

  protected override skipBeforeHead(_buffer: Buffer, _start: number, _end: number): number {
    if (this.stream !== null) return 0;
    this.onProtocolError(502, 'bytes that no request has asked for');
    return -1;
  }

  protected override onHead(text: string): void {
    const stream = this.stream!;
    const head = this.decoder.response(text, stream.method);
    if (head === null) this.onProtocolError(this.decoder.status, this.decoder.error);
    else if (head.status < 200 && head.status !== 101) this.onInformational(stream, head);
    else if (head.tunnel) this.onTunnel(stream, head);
    else {
      // A tunnel that was declined: nothing of the request follows.
      if (this.framing === Framing.TUNNEL) {
        stream.requestDone = true;
        stream.early = null;
      }
      if (head.bodyLength === 0 && !this.decoder.chunked) {
        this.onMessageRead();
        stream.events.onResponse(head, true);
        this.onMessageDelivered();
      } else {
        this.readBody(head.bodyLength);
        stream.events.onResponse(head, false);
      }
    }
  }

  protected override onMessageRead(): void {
    const stream = this.stream!;
    this.stream = null;
    this.sink = null;
    if (this.decoder.keepAlive && stream.requestDone && !this.draining && !this.moreBytes) this.expectHead();
    else {
      this.draining = true;
      this.reading = Reading.CLOSED;
    }
  }

  protected override onMessageDelivered(): void {
    if (this.closed) return;
    if (this.reading === Reading.CLOSED) {
      this.writer.destroy();
      this.shut('');
      return;
    }
    // The last event may have begun the next request, with a pause of its own.
    if (this.stream === null) this.setPaused(false);
    this.events.onCapacity();
  }

  protected override onProtocolError(_status: number, detail: string): void {
    const stream = this.stream;
    this.stream = null;
    this.writer.destroy();
    this.shut(detail, stream, 'ProtocolError');
  }

  private onInformational(stream: Http1ClientStream, head: ResponseHead): void {
    if (++stream.informational > this.options.maxInformational) {
      this.onProtocolError(502, 'too many informational responses');
      return;
    }
    this.expectHead();
    stream.events.onInformational(head);
  }

  private onTunnel(stream: Http1ClientStream, head: ResponseHead): void {
    if (head.status === 101 && stream.protocol === '') {
      this.onProtocolError(502, '101 without an upgrade asked for');
      return;
    }
    stream.tunnel = true;
    this.reading = Reading.TUNNEL;
    this.events.onDraining();
    const early = stream.early;
    stream.early = null;
    if (early !== null) for (const chunk of early) this.writer.bytes(chunk, 0, chunk.length);
    const ended = stream.requestDone;
    stream.events.onResponse(head, false);
    if (this.stream !== stream) return;
    if (ended) this.writer.end();
    else if (early !== null) stream.events.onDrain();
  }

  private endTunnel(stream: Http1ClientStream): void {
    if (this.stream !== stream || !stream.tunnelRead || !stream.requestDone) return;
    this.stream = null;
    this.shut('');
  }

  /** Whether any byte of the response has come decides if the request may be sent again. */
  private cutReason(): ResetReason {
    return this.reading === Reading.HEAD && this.decoder.scanner.length === 0 ? 'ConnectionTermination' : 'ProtocolError';
  }

  private setPaused(paused: boolean): void {
    if (paused === this.paused || this.closed) return;
    this.paused = paused;
    if (paused) this.transport.pause();
    else this.transport.resume();
  }

  private abort(stream: Http1ClientStream, reason: ResetReason, detail: string): void {
    this.stream = null;
    this.writer.destroy();
    this.shut(detail, stream, reason);
  }

  private shut(detail: string, stream: Http1ClientStream | null = null, reason: ResetReason = 'ConnectionTermination'): void {
    if (this.closed) return;
    this.closed = true;
    this.reading = Reading.CLOSED;
    this.sink = null;
    this.dropCarry();
    if (this.paused) this.transport.resume();
    stream?.events.onReset(reason, detail);
    this.events.onClose(detail);
  }
}
