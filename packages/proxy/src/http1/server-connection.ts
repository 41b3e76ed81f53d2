import type {
  HeaderList,
  RequestHead,
  ResetReason,
  ResponseHead,
  ServerConnection,
  ServerConnectionEvents,
  ServerStream,
  StreamEvents,
} from '../http/message.ts';
import { NO_EVENTS } from '../http/no-events.ts';
import type { Transport } from '../http/transport.ts';
import type { TurnWriter } from '../net/turn-writer.ts';
import { Http1Connection, NO_BYTES, Reading } from './connection.ts';
import { Framing, reasonPhrase, responseFraming } from './head-encoder.ts';
import type { Http1Options } from './options.ts';

const SPLIT_HEAD = 'a head with a line break inside a line';
/** Empty lines skipped before a request line (RFC 9112 section 2.2 asks for at least one). */
const MAX_LEADING_EMPTY_LINES = 4;

class Http1ServerStream implements ServerStream {
  events: StreamEvents;
  readonly method: string;
  readonly version: number;
  readonly protocol: string;
  readonly keepAlive: boolean;
  readonly expectContinue: boolean;
  continued: boolean;
  requestDone: boolean;
  responseStarted: boolean;
  /** The connection ends with this exchange. */
  last: boolean;
  tunnel: boolean;
  tunnelSent: boolean;
  tunnelRead: boolean;
  private readonly connection: Http1ServerConnection;

  constructor(connection: Http1ServerConnection, head: RequestHead, keepAlive: boolean) {
    this.events = NO_EVENTS;
    this.method = head.method;
    this.version = head.version;
    this.protocol = head.protocol;
    this.keepAlive = keepAlive;
    this.expectContinue = head.expectContinue;
    this.continued = false;
    this.requestDone = head.bodyLength === 0;
    this.responseStarted = false;
    this.last = false;
    this.tunnel = false;
    this.tunnelSent = false;
    this.tunnelRead = false;
    this.connection = connection;
  }

  get asksTunnel(): boolean {
    return this.protocol !== '' || this.method === 'CONNECT';
  }

  sendInformational(head: ResponseHead): void {
    this.connection.sendInformational(this, head);
  }

  sendResponse(head: ResponseHead, fin: boolean): boolean {
    return this.connection.sendResponse(this, head, fin);
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
 * Server side of HTTP/1.0 and 1.1 on one connection. One request at a time; those pipelined behind it wait as bytes.
 *
 * After `onClose` the transport's sending half has been ended (or the transport destroyed); the owner gives the peer a
 * while to read the last answer before it destroys the transport.
 */
export class Http1ServerConnection extends Http1Connection implements ServerConnection {
  private readonly events: ServerConnectionEvents;
  private stream: Http1ServerStream | null;
  private peerEnded: boolean;
  private closed: boolean;
  private streamPaused: boolean;
  private pipelinePaused: boolean;
  /** The next request waits until the peer has read more of the answers. */
  private awaitsDrain: boolean;
  private emptyLines: number;
  private emptyLineCr: boolean;

  constructor(transport: Transport, writer: TurnWriter, events: ServerConnectionEvents, options: Http1Options) {
    super(transport, writer, options);
    this.events = events;
    this.stream = null;
    this.peerEnded = false;
    this.closed = false;
    this.streamPaused = false;
    this.pipelinePaused = false;
    this.awaitsDrain = false;
    this.emptyLines = 0;
    this.emptyLineCr = false;
  }

  get activeStreams(): number {
    return this.stream === null ? 0 : 1;
  }

  receiveEnd(): void {
    if (this.closed) return;
    this.peerEnded = true;
    const stream = this.stream;
    if (this.awaitsDrain) return;
    if (stream === null) {
      const partial = this.carryLength > 0 || this.reading !== Reading.HEAD;
      this.writer.end();
      this.shut(partial ? 'the peer ended inside a request' : '');
    } else if (stream.tunnel) this.endTunnelRead(stream);
    else if (!stream.requestDone && !stream.asksTunnel) this.abort(stream, 'RemoteReset', 'the peer ended inside a request');
  }

  transportClosed(detail: string): void {
    if (this.closed) return;
    const stream = this.stream;
    this.stream = null;
    this.shut(detail, stream, 'RemoteReset');
  }

  transportDrained(): void {
    this.writer.drained();
    if (!this.awaitsDrain) this.stream?.events.onDrain();
    else if (!this.closed) {
      this.awaitsDrain = false;
      this.next();
    }
  }

  drain(): void {
    this.draining = true;
    if (this.stream !== null || this.closed || this.decoder.scanner.length > 0) return;
    this.writer.end();
    this.shut('');
  }

  /** A request line or header has begun and is not whole. */
  get headPending(): boolean {
    return this.reading === Reading.HEAD && (this.decoder.scanner.length > 0 || this.emptyLineCr) && !this.closed;
  }

  /** What the peer does not take is the transport's. */
  get awaitsWindow(): boolean {
    return false;
  }

  resetStalled(): boolean {
    return false;
  }

  /** Such a head would hold the connection for good. */
  timeoutHead(): void {
    this.onProtocolError(408, 'request header timeout');
  }

  endDrain(): void {
    if (this.headPending) this.timeoutHead();
  }

  sendInformational(stream: Http1ServerStream, head: ResponseHead): void {
    if (this.stream !== stream || stream.responseStarted || stream.version === 10) return;
    if (head.status === 100) stream.continued = true;
    this.encoder.begin('HTTP/1.1 ' + head.status + ' ' + (head.reason || reasonPhrase(head.status)));
    this.encoder.fields(head.headers, Framing.EMPTY, 0);
    if (!this.encoder.write(this.writer)) this.abort(stream, 'ProtocolError', SPLIT_HEAD);
  }

  sendResponse(stream: Http1ServerStream, head: ResponseHead, fin: boolean): boolean {
    if (this.stream !== stream || stream.responseStarted) return true;
    stream.responseStarted = true;
    const framing = responseFraming(head, fin, stream.method, stream.version);
    if (framing === Framing.TUNNEL) {
      this.startTunnel(stream, head, fin);
      return !this.writer.blocked;
    }
    if (stream.asksTunnel) stream.requestDone = true;
    const more = this.moreRequests;
    stream.last =
      this.draining ||
      (this.peerEnded && !more) ||
      // What was sent for a tunnel that is declined must not be read as a request; for CONNECT it may still be on its way.
      (stream.asksTunnel && (more || stream.method === 'CONNECT')) ||
      !stream.keepAlive ||
      framing === Framing.UNTIL_CLOSE ||
      // Nobody knows whether the content will still come (RFC 9110 section 10.1.1).
      (stream.expectContinue && !stream.continued && !stream.requestDone) ||
      (!stream.requestDone && this.unread > this.options.maxDiscardedBytes);
    const length = fin ? 0 : head.bodyLength;
    this.startContent(framing, length);
    const { encoder } = this;
    encoder.begin('HTTP/1.1 ' + head.status + ' ' + (head.reason || reasonPhrase(head.status)));
    encoder.fields(head.headers, framing, length);
    if (stream.last) encoder.line('Connection', 'close');
    else if (stream.version === 10) encoder.line('Connection', 'keep-alive');
    if (!encoder.write(this.writer)) this.abort(stream, 'ProtocolError', SPLIT_HEAD);
    else if (fin) this.endResponse(stream);
    return !this.writer.blocked;
  }

  sendBody(stream: Http1ServerStream, buffer: Buffer, start: number, end: number, fin: boolean): boolean {
    if (this.stream !== stream || !stream.responseStarted || stream.tunnelSent) return true;
    if (!this.writeContent(buffer, start, end, fin)) {
      this.abort(stream, 'ProtocolError', 'content of a response differs from its length');
      return true;
    }
    if (fin) {
      if (stream.tunnel) this.endTunnelSend(stream);
      else this.endResponse(stream);
    }
    return !this.writer.blocked;
  }

  /** Only chunked content can carry trailers; otherwise they are dropped (RFC 9110 section 6.5.1). */
  sendTrailers(stream: Http1ServerStream, trailers: HeaderList): void {
    if (this.stream !== stream || !stream.responseStarted || stream.tunnel) return;
    if (this.framing === Framing.CHUNKED) {
      this.encoder.begin('0');
      this.encoder.fields(trailers, Framing.EMPTY, 0);
      if (!this.encoder.write(this.writer)) {
        this.abort(stream, 'ProtocolError', SPLIT_HEAD);
        return;
      }
    } else if (!this.writeContent(NO_BYTES, 0, 0, true)) {
      this.abort(stream, 'ProtocolError', 'content of a response differs from its length');
      return;
    }
    this.endResponse(stream);
  }

  reset(stream: Http1ServerStream): void {
    if (this.stream !== stream) return;
    this.stream = null;
    this.writer.destroy();
    this.shut('reset');
  }

  pauseStream(stream: Http1ServerStream, paused: boolean): void {
    if (this.stream === stream) this.setPaused(paused, this.pipelinePaused);
  }

  protected override skipBeforeHead(buffer: Buffer, start: number, end: number): number {
    let p = start;
    while (p < end) {
      const byte = buffer[p]!;
      if (this.emptyLineCr) {
        if (byte !== 10) return this.refuseLine('CR without LF before a request');
        this.emptyLineCr = false;
        if (++this.emptyLines > MAX_LEADING_EMPTY_LINES) return this.refuseLine('too many empty lines before a request');
      } else if (byte === 13) this.emptyLineCr = true;
      else break;
      p++;
    }
    return p - start;
  }

  protected override onHead(text: string): void {
    this.emptyLines = 0;
    const head = this.decoder.request(text);
    if (head === null) {
      this.onProtocolError(this.decoder.status, this.decoder.error);
      return;
    }
    const stream = new Http1ServerStream(this, head, this.decoder.keepAlive);
    this.stream = stream;
    const fin = stream.requestDone;
    if (fin || stream.asksTunnel) this.reading = Reading.HELD;
    else this.readBody(head.bodyLength);
    this.events.onRequest(stream, head, fin);
    if (this.stream === stream) this.sink = stream.events;
  }

  protected override onMessageRead(): void {
    this.reading = Reading.HELD;
    if (this.stream !== null) this.stream.requestDone = true;
  }

  protected override onMessageDelivered(): void {
    // The rest of a request whose answer has gone out.
    if (this.stream === null && this.reading === Reading.HELD) this.next();
  }

  protected override onProtocolError(status: number, detail: string): void {
    const stream = this.stream;
    if (stream === null ? this.reading === Reading.HEAD : !stream.responseStarted) {
      this.stream = null;
      this.writer.latin1(
        'HTTP/1.1 ' +
          status +
          ' ' +
          reasonPhrase(status) +
          '\r\nProxy-Status: ' +
          this.options.proxyName +
          '; error=http_request_error; details="' +
          detail.replace(/["\\]/g, '\\$&') +
          '"\r\nContent-Length: 0\r\nConnection: close\r\n\r\n',
      );
      this.writer.end();
      this.shut(detail, stream, 'ProtocolError');
    } else if (stream !== null) this.abort(stream, 'ProtocolError', detail);
    else {
      this.writer.end();
      this.shut(detail);
    }
  }

  protected override keep(buffer: Buffer, start: number, end: number): void {
    super.keep(buffer, start, end);
    if (this.reading === Reading.HELD && this.carryLength > this.options.maxPipelinedBytes) this.setPaused(this.streamPaused, true);
  }

  private refuseLine(detail: string): number {
    this.onProtocolError(400, detail);
    return -1;
  }

  private startTunnel(stream: Http1ServerStream, head: ResponseHead, fin: boolean): void {
    stream.tunnel = true;
    const upgrade = stream.protocol !== '';
    const status = upgrade ? 101 : head.status;
    const { encoder } = this;
    encoder.begin('HTTP/1.1 ' + status + ' ' + ((status === head.status && head.reason) || reasonPhrase(status)));
    encoder.fields(head.headers, Framing.TUNNEL, 0);
    if (upgrade) {
      encoder.line('Connection', 'Upgrade');
      encoder.line('Upgrade', head.protocol || stream.protocol);
    }
    this.startContent(Framing.TUNNEL, 0);
    if (!encoder.write(this.writer)) {
      this.abort(stream, 'ProtocolError', SPLIT_HEAD);
      return;
    }
    this.reading = Reading.TUNNEL;
    this.sink = stream.events;
    if (!this.receiving) this.releaseHeld();
    if (this.peerEnded) this.endTunnelRead(stream);
    if (fin) this.endTunnelSend(stream);
  }

  private endTunnelRead(stream: Http1ServerStream): void {
    if (stream.tunnelRead) return;
    stream.tunnelRead = true;
    stream.events.onBody(NO_BYTES, 0, 0, true);
    this.endTunnel(stream);
  }

  private endTunnelSend(stream: Http1ServerStream): void {
    stream.tunnelSent = true;
    this.writer.end();
    this.endTunnel(stream);
  }

  private endTunnel(stream: Http1ServerStream): void {
    if (this.stream !== stream || !stream.tunnelRead || !stream.tunnelSent) return;
    this.stream = null;
    this.shut('');
  }

  private endResponse(stream: Http1ServerStream): void {
    this.stream = null;
    this.setPaused(false, this.pipelinePaused);
    if (stream.last) {
      this.writer.end();
      this.shut('');
    } else if (stream.requestDone) this.next();
    else this.discardRest();
  }

  /** Bytes of further requests are here. */
  private get moreRequests(): boolean {
    return this.carryLength > 0 || (this.receiving && this.moreBytes);
  }

  /** The exchange is over: on to the next request, of which bytes may be here. */
  private next(): void {
    this.sink = null;
    if (this.writer.blocked) {
      // A peer that asks and does not read would have its answers pile up here.
      this.awaitsDrain = true;
      this.reading = Reading.HELD;
      return;
    }
    this.expectHead();
    if (!this.receiving) this.releaseHeld();
    if (this.closed || this.stream !== null || this.awaitsDrain) return;
    if ((this.peerEnded && !this.moreRequests) || (this.draining && this.decoder.scanner.length === 0)) {
      this.writer.end();
      this.shut('');
    }
  }

  private releaseHeld(): void {
    const held = this.carry;
    const length = this.carryLength;
    if (length === 0) return;
    this.dropCarry();
    this.setPaused(this.streamPaused, false);
    this.receive(held, 0, length);
  }

  private setPaused(stream: boolean, pipeline: boolean): void {
    const before = this.streamPaused || this.pipelinePaused;
    this.streamPaused = stream;
    this.pipelinePaused = pipeline;
    const now = stream || pipeline;
    if (now === before || this.closed) return;
    if (now) this.transport.pause();
    else this.transport.resume();
  }

  /** Ends the exchange and the connection with it, cutting off what was sent. */
  private abort(stream: Http1ServerStream, reason: ResetReason, detail: string): void {
    this.stream = null;
    this.writer.destroy();
    this.shut(detail, stream, reason);
  }

  private shut(detail: string, stream: Http1ServerStream | null = null, reason: ResetReason = 'RemoteReset'): void {
    if (this.closed) return;
    this.closed = true;
    this.reading = Reading.CLOSED;
    this.sink = null;
    this.dropCarry();
    if (this.streamPaused || this.pipelinePaused) this.transport.resume();
    stream?.events.onReset(reason, detail);
    this.events.onClose(detail);
  }
}
