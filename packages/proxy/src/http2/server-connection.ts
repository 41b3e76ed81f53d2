import { type RequestHead, ResponseHead, type ServerConnection, type ServerConnectionEvents } from '../http/message.ts';
import { NO_EVENTS } from '../http/no-events.ts';
import type { Transport } from '../http/transport.ts';
import type { TurnWriter } from '../net/turn-writer.ts';
import { Http2Connection } from './connection.ts';
import { ErrorCode } from './error-code.ts';
import { MAX_STREAM_ID, Setting } from './frame.ts';
import type { Http2Options } from './options.ts';
import { Http2Stream } from './stream.ts';

/** Ids of streams that have gone, remembered to tell a late frame from a wrong one. */
const MAX_REMEMBERED_STREAMS = 1024;

const NO_BYTES = Buffer.alloc(0);
const DRAIN_PING = Buffer.from('outdrain', 'latin1');

/**
 * Server side of HTTP/2 on one connection, prior knowledge or ALPN. After `onClose` the transport's sending half has
 * been ended; the owner gives the peer a while to read before it destroys the transport.
 */
export class Http2ServerConnection extends Http2Connection implements ServerConnection {
  private readonly events: ServerConnectionEvents;
  private lastId: number;
  /** Streams beyond are refused: the last that a final GOAWAY named. */
  private lastAccepted: number;
  /** A ring of ids; negative: reset by us, so that the peer may still be sending. */
  private readonly gone: number[];
  private goneCount: number;

  constructor(transport: Transport, writer: TurnWriter, events: ServerConnectionEvents, options: Http2Options) {
    super(transport, writer, options, true);
    this.events = events;
    this.lastId = 0;
    this.lastAccepted = MAX_STREAM_ID;
    this.gone = [];
    this.goneCount = 0;
    this.writeSettings([
      [Setting.HEADER_TABLE_SIZE, options.decoderTableBytes],
      [Setting.MAX_CONCURRENT_STREAMS, options.maxConcurrentStreams],
      [Setting.INITIAL_WINDOW_SIZE, options.streamWindowBytes],
      [Setting.MAX_FRAME_SIZE, options.maxFrameBytes],
      [Setting.MAX_HEADER_LIST_SIZE, options.maxHeaderListBytes],
      [Setting.ENABLE_CONNECT_PROTOCOL, 1],
    ]);
  }

  /** Two steps (RFC 9113 section 6.8): what the peer has sent before it read the first GOAWAY is still served. */
  drain(): void {
    if (this.draining || this.closed) return;
    this.draining = true;
    this.frames.goaway(MAX_STREAM_ID, ErrorCode.NO_ERROR, '');
    this.frames.ping(false, DRAIN_PING, 0);
  }

  protected override get lastPeerId(): number {
    return this.lastId;
  }

  protected override get isClient(): boolean {
    return false;
  }

  protected override get openedStreams(): number {
    return (this.lastId + 1) >>> 1;
  }

  protected override isIdle(id: number): boolean {
    return id > this.lastId || id % 2 === 0;
  }

  protected override isLate(id: number): boolean {
    return !this.gone.includes(-id);
  }

  protected override onSection(id: number, fin: boolean, selfDependent: boolean): void {
    const stream = this.streams.get(id);
    if (stream !== undefined) {
      this.receiveTrailers(stream, fin);
      return;
    }
    if (id % 2 === 0) {
      this.fail(ErrorCode.PROTOCOL_ERROR, 'stream of an even number');
      return;
    }
    if (id <= this.lastId) {
      if (this.gone.includes(-id)) return;
      this.fail(this.gone.includes(id) ? ErrorCode.STREAM_CLOSED : ErrorCode.PROTOCOL_ERROR, 'HEADERS on a stream that is no more');
      return;
    }
    if (this.tooMuchUnsent()) return;
    this.lastId = id;
    if (id > this.lastAccepted || this.streams.size >= this.options.maxConcurrentStreams) {
      this.refuse(id, ErrorCode.REFUSED_STREAM, 'stream refused');
      return;
    }
    if (selfDependent) {
      this.refuse(id, ErrorCode.PROTOCOL_ERROR, 'stream that depends on itself');
      return;
    }
    if (this.section.tooLarge) {
      this.answerTooLarge(id, fin);
      return;
    }
    const head = this.section.request(fin);
    if (head === null) {
      this.remember(-id);
      this.malformed(id, undefined, this.section.error);
      return;
    }
    const opened = this.open(id, head.method, head);
    opened.remoteClosed = fin;
    if (!fin) opened.expected = head.bodyLength;
    this.events.onRequest(opened, head, fin && !opened.asksTunnel);
    // A tunnel has no head that ends it: its own half does.
    if (fin && opened.asksTunnel && !opened.over) opened.events.onBody(NO_BYTES, 0, 0, true);
  }

  /** A response that ends before its request ends the exchange (RFC 9113 section 8.1). */
  protected override onLocalEnd(stream: Http2Stream): void {
    if (stream.tunnel) return;
    this.frames.rstStream(stream.id, ErrorCode.NO_ERROR);
    this.finish(stream);
    this.onStreamGone();
  }

  protected override onRemoteEnd(_stream: Http2Stream): void {}

  protected override onGoaway(_lastId: number, _code: number): void {
    this.drain();
  }

  /** The peer has not answered the first GOAWAY's PING: it will not say when it has read it. */
  endDrain(): void {
    if (!this.closed) this.onPingAck();
  }

  get awaitsWindow(): boolean {
    return this.endsPending;
  }

  resetStalled(): boolean {
    let left = false;
    for (const stream of [...this.streams.values()]) {
      if (stream.pending === null || !(stream.pendingFin || stream.pendingTrailers !== null)) continue;
      // Changes with every byte that leaves.
      const at = stream.pending.length * 2 ** 32 + stream.pendingOffset;
      if (stream.sweptAt === at) {
        this.resetStream(stream, 'LocalReset');
        continue;
      }
      stream.sweptAt = at;
      left = true;
    }
    this.endsPending = left;
    return left;
  }

  /** A header block that does not come to its end would hold the connection for good. */
  timeoutHead(): void {
    this.fail(ErrorCode.ENHANCE_YOUR_CALM, 'header block not whole in time');
  }

  protected override onPingAck(): void {
    if (!this.draining || this.lastAccepted !== MAX_STREAM_ID) return;
    this.lastAccepted = this.lastId;
    this.frames.goaway(this.lastId, ErrorCode.NO_ERROR, '');
    this.onStreamGone();
  }

  protected override onSettings(): void {}

  protected override remove(stream: Http2Stream): void {
    this.remember(stream.remoteClosed ? stream.id : -stream.id);
    super.remove(stream);
  }

  protected override onStreamGone(): void {
    if (this.closed || this.lastAccepted === MAX_STREAM_ID || this.streams.size > 0) return;
    this.writer.end();
    this.shut('ConnectionTermination', '');
  }

  protected override onShut(detail: string): void {
    this.events.onClose(detail);
  }

  private open(id: number, method: string, head: RequestHead | null): Http2Stream {
    const asksTunnel = head !== null && (head.protocol !== '' || method === 'CONNECT');
    const stream = new Http2Stream(this, id, NO_EVENTS, method, asksTunnel, this.sendFlow.initialStreamWindow, this.receiveFlow.streamWindowBytes);
    this.streams.set(id, stream);
    return stream;
  }

  private refuse(id: number, code: number, detail: string): void {
    this.remember(-id);
    this.streamError(id, undefined, code, detail);
  }

  private answerTooLarge(id: number, fin: boolean): void {
    const stream = this.open(id, '', null);
    stream.remoteClosed = fin;
    const head = new ResponseHead();
    head.status = 431;
    head.headers = ['proxy-status', this.options.proxyName + '; error=http_request_error; details="header section too large"'];
    this.sendResponse(stream, head, true);
    this.countReset('too many streams in error');
  }

  private remember(id: number): void {
    this.gone[this.goneCount++ % MAX_REMEMBERED_STREAMS] = id;
  }
}
