import type { ClientConnection, ClientConnectionEvents, ClientStream, RequestHead, ResponseEvents } from '../http/message.ts';
import type { Transport } from '../http/transport.ts';
import type { TurnWriter } from '../net/turn-writer.ts';
import { Http2Connection } from './connection.ts';
import { ErrorCode } from './error-code.ts';
import { CLIENT_PREFACE, MAX_STREAM_ID, Setting } from './frame.ts';
import { requestBytes, writeRequest } from './head-encoder.ts';
import type { Http2Options } from './options.ts';
import { Http2Stream } from './stream.ts';

/** Client side of HTTP/2 on one connection, prior knowledge or ALPN. */
export class Http2ClientConnection extends Http2Connection implements ClientConnection {
  private readonly events: ClientConnectionEvents;
  private nextId: number;

  constructor(transport: Transport, writer: TurnWriter, events: ClientConnectionEvents, options: Http2Options) {
    super(transport, writer, options, false);
    this.events = events;
    this.nextId = 1;
    writer.latin1(CLIENT_PREFACE);
    this.writeSettings([
      [Setting.HEADER_TABLE_SIZE, options.decoderTableBytes],
      [Setting.ENABLE_PUSH, 0],
      [Setting.INITIAL_WINDOW_SIZE, options.streamWindowBytes],
      [Setting.MAX_FRAME_SIZE, options.maxFrameBytes],
      [Setting.MAX_HEADER_LIST_SIZE, options.maxHeaderListBytes],
    ]);
  }

  get capacity(): number {
    return this.closed || this.draining ? 0 : Math.max(0, this.peer.maxStreams - this.streams.size);
  }

  /** The peer takes upgrades (RFC 8441). False before its SETTINGS are here. */
  get allowsUpgrade(): boolean {
    return this.peer.connectProtocol;
  }

  request(head: RequestHead, fin: boolean, events: ResponseEvents): ClientStream {
    if (this.capacity === 0) throw new Error('request on an HTTP/2 connection without capacity');
    const asksTunnel = head.protocol !== '' || head.method === 'CONNECT';
    const id = this.nextId;
    this.nextId += 2;
    const stream = new Http2Stream(this, id, events, head.method, asksTunnel, this.sendFlow.initialStreamWindow, this.receiveFlow.streamWindowBytes);
    this.streams.set(id, stream);
    const last = fin && !asksTunnel;
    this.frames.beginBlock(requestBytes(head));
    writeRequest(this.encoder, head);
    this.frames.endBlock(id, last, this.sendFlow.maxFrameBytes);
    if (last) stream.localClosed = true;
    if (this.nextId > MAX_STREAM_ID) this.startDraining();
    return stream;
  }

  drain(): void {
    this.startDraining();
    this.onStreamGone();
  }

  protected override get lastPeerId(): number {
    return 0;
  }

  protected override get isClient(): boolean {
    return true;
  }

  protected override get openedStreams(): number {
    return this.nextId >>> 1;
  }

  protected override isIdle(id: number): boolean {
    return id >= this.nextId || id % 2 === 0;
  }

  /** What comes after our reset was sent before the peer knew of it. */
  protected override isLate(_id: number): boolean {
    return false;
  }

  protected override onSection(id: number, fin: boolean, _selfDependent: boolean): void {
    const stream = this.streams.get(id);
    if (stream === undefined) {
      if (this.isIdle(id)) this.fail(ErrorCode.PROTOCOL_ERROR, 'HEADERS on an idle stream');
      return;
    }
    if (stream.responded) {
      this.receiveTrailers(stream, fin);
      return;
    }
    if (this.section.tooLarge) {
      this.streamError(id, stream, ErrorCode.PROTOCOL_ERROR, 'header section too large');
      return;
    }
    const head = this.section.response(fin, stream.method, stream.asksTunnel);
    if (head === null) {
      this.malformed(id, stream, this.section.error);
      return;
    }
    if (head.status < 200) {
      if (++stream.informational > this.options.maxInformational) {
        this.streamError(id, stream, ErrorCode.ENHANCE_YOUR_CALM, 'too many informational responses');
        return;
      }
      stream.events.onInformational(head);
      return;
    }
    stream.responded = true;
    stream.tunnel = head.tunnel;
    if (fin) {
      this.remoteEnd(stream);
      stream.events.onResponse(head, true);
      if (stream.over) this.onStreamGone();
    } else {
      stream.expected = head.bodyLength;
      stream.events.onResponse(head, false);
    }
  }

  protected override onLocalEnd(_stream: Http2Stream): void {}

  /** A response that ends before its request ends the exchange. */
  protected override onRemoteEnd(stream: Http2Stream): void {
    if (stream.tunnel) return;
    this.frames.rstStream(stream.id, ErrorCode.NO_ERROR);
    this.finish(stream);
  }

  protected override onGoaway(lastId: number, _code: number): void {
    this.startDraining();
    for (const stream of [...this.streams.values()]) {
      if (stream.id <= lastId || stream.over) continue;
      this.remove(stream);
      stream.events.onReset('RemoteRefusedStream', 'GOAWAY');
    }
    this.onStreamGone();
  }

  protected override onPingAck(): void {}

  protected override onSettings(): void {
    this.events.onCapacity();
  }

  protected override onStreamGone(): void {
    if (this.closed) return;
    if (!this.draining) this.events.onCapacity();
    else if (this.streams.size === 0) {
      this.frames.goaway(0, ErrorCode.NO_ERROR, '');
      this.writer.end();
      this.shut('ConnectionTermination', '');
    }
  }

  protected override onShut(detail: string): void {
    this.events.onClose(detail);
  }

  private startDraining(): void {
    if (this.draining) return;
    this.draining = true;
    this.events.onDraining();
  }
}
