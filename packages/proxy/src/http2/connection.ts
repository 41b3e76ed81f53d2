import type { ResetReason } from '../http/message.ts';
import type { Transport } from '../http/transport.ts';
import type { TurnWriter } from '../net/turn-writer.ts';
import type { ConnectionFault } from './connection-fault.ts';
import { ConnectionStreams } from './connection-streams.ts';
import { ErrorCode, errorCodeName } from './error-code.ts';
import { FieldSection } from './field-section.ts';
import { Flag, FrameType, INITIAL_WINDOW_BYTES, uint31, uint32 } from './frame.ts';
import { FrameLimits } from './frame-limits.ts';
import { FrameReader, type FrameSink } from './frame-reader.ts';
import { checkFrame, frameTypeName } from './frame-rules.ts';
import { HeaderBlock } from './header-block.ts';
import { HpackDecoder } from './hpack-decoder.ts';
import type { KeepAlive, KeptAlive } from './keep-alive.ts';
import type { Http2Options } from './options.ts';
import { PeerSettings } from './peer-settings.ts';
import { PROBE_PING } from './receive-flow.ts';
import type { Http2Stream } from './stream.ts';

const NO_BYTES = Buffer.alloc(0);
const KEEP_ALIVE_PING = Buffer.from('keepaliv', 'latin1');

/** What both sides of HTTP/2 share (RFC 9113): frames as they come in, settings, limits, and the end of the connection. */
export abstract class Http2Connection extends ConnectionStreams implements FrameSink, KeptAlive {
  /** Of the owner, which has a timer; null: none. */
  keepAlive: KeepAlive | null;
  protected readonly section: FieldSection;
  protected draining: boolean;
  protected closed: boolean;
  protected readonly peer: PeerSettings;
  private readonly reader: FrameReader;
  private readonly decoder: HpackDecoder;
  /** Of the DATA frame being read: its stream, null to drop the content. */
  private dataStream: Http2Stream | null;
  private dataFin: boolean;
  /** Until content of it has come. */
  private dataPadded: boolean;
  private readonly block: HeaderBlock;
  private readonly limits: FrameLimits | null;
  private heard: boolean;

  constructor(transport: Transport, writer: TurnWriter, options: Http2Options, server: boolean) {
    super(transport, writer, options);
    this.section = new FieldSection(options);
    this.peer = new PeerSettings(options, server, this.encoder, this.sendFlow);
    this.draining = false;
    this.closed = false;
    this.reader = new FrameReader(this, options.maxFrameBytes, server);
    this.decoder = new HpackDecoder(options.names, options.decoderTableBytes);
    this.dataStream = null;
    this.dataFin = false;
    this.dataPadded = false;
    this.block = new HeaderBlock(options);
    this.limits = options.frameLimits === null ? null : new FrameLimits(options.frameLimits);
    this.heard = false;
    this.keepAlive = null;
  }

  /** `section` holds the fields of a block for `id`. */
  protected abstract onSection(id: number, fin: boolean, selfDependent: boolean): void;
  /** Has a stream of this id been, in either direction? */
  protected abstract isIdle(id: number): boolean;
  /** A frame for a stream that is no more: true where it is an error of the stream. */
  protected abstract isLate(id: number): boolean;
  protected abstract onGoaway(lastId: number, code: number): void;
  protected abstract onPingAck(): void;
  protected abstract onSettings(): void;
  protected abstract onShut(detail: string): void;
  /** Highest stream of the peer that was looked at. */
  protected abstract readonly lastPeerId: number;
  /** Streams ever, of whoever opens them. */
  protected abstract readonly openedStreams: number;

  /** A header block has begun and is not whole. */
  get headPending(): boolean {
    return this.block.id !== 0;
  }

  sendKeepAlive(): void {
    this.frames.ping(false, KEEP_ALIVE_PING, 0);
  }

  takeHeard(): boolean {
    const { heard } = this;
    this.heard = false;
    return heard;
  }

  receive(buffer: Buffer, start: number, end: number): void {
    this.heard = true;
    this.reader.receive(buffer, start, end);
  }

  receiveEnd(): void {
    this.writer.end();
    this.shut('ConnectionTermination', 'the peer ended the connection');
  }

  transportClosed(detail: string): void {
    this.shut('ConnectionTermination', detail);
  }

  onDataFrame(id: number, flags: number, length: number): void {
    this.dataStream = null;
    this.dataFin = (flags & Flag.END_STREAM) !== 0;
    if (!this.peer.received || this.block.id !== 0) {
      this.fail(ErrorCode.PROTOCOL_ERROR, 'DATA frame out of order');
      return;
    }
    if (this.limits !== null && !this.withinLimits(FrameType.DATA, flags, length)) return;
    if (!this.receiveFlow.takeConnection(length)) {
      this.fail(ErrorCode.FLOW_CONTROL_ERROR, 'DATA beyond the connection window');
      return;
    }
    const stream = this.streams.get(id);
    if (stream === undefined) {
      if (id === 0 || this.isIdle(id)) {
        this.fail(ErrorCode.PROTOCOL_ERROR, 'DATA on an idle stream');
        return;
      }
      this.receiveFlow.give(length);
      if (this.isLate(id)) this.streamError(id, undefined, ErrorCode.STREAM_CLOSED, 'DATA on a closed stream');
      return;
    }
    this.dataPadded = (flags & Flag.PADDED) !== 0;
    if (length > 0 && !this.dataPadded) this.control.give(1);
    else if (!this.dataFin && !this.control.take()) {
      this.fail(ErrorCode.ENHANCE_YOUR_CALM, 'too many empty DATA frames');
      return;
    }
    if (stream.remoteClosed) {
      this.receiveFlow.give(length);
      this.streamError(id, stream, ErrorCode.STREAM_CLOSED, 'DATA after the end of the stream');
    } else if (this.isClient && !stream.responded) {
      this.receiveFlow.give(length);
      this.streamError(id, stream, ErrorCode.PROTOCOL_ERROR, 'DATA before the response');
    } else if (!this.receiveFlow.takeStream(stream, length, this.dataFin)) {
      this.streamError(id, stream, ErrorCode.FLOW_CONTROL_ERROR, 'DATA beyond the stream window');
    } else this.dataStream = stream;
  }

  onDataBytes(buffer: Buffer, start: number, end: number, last: boolean): void {
    const stream = this.dataStream;
    if (stream === null || stream.over) return;
    const fin = last && this.dataFin;
    if (this.dataPadded && start < end) {
      // What it cost for its padding, and what content gives back.
      this.dataPadded = false;
      this.control.give(2);
    }
    if (stream.expected >= 0) {
      stream.expected -= end - start;
      if (stream.expected < 0 || (fin && stream.expected > 0)) {
        this.malformed(stream.id, stream, 'content differs from content-length');
        return;
      }
    }
    if (fin) {
      this.remoteEnd(stream);
      stream.events.onBody(buffer, start, end, true);
      if (stream.over) this.onStreamGone();
    } else if (start < end) stream.events.onBody(buffer, start, end, false);
  }

  onFrame(type: number, flags: number, id: number, buffer: Buffer, start: number, end: number): void {
    const code = checkFrame(type, flags, id, end - start);
    if (code !== ErrorCode.NO_ERROR) this.fail(code, 'invalid ' + frameTypeName(type) + ' frame');
    else if (!this.peer.received && (type !== FrameType.SETTINGS || (flags & Flag.ACK) !== 0)) this.fail(ErrorCode.PROTOCOL_ERROR, 'no SETTINGS frame first');
    else if ((this.block.id !== 0) !== (type === FrameType.CONTINUATION) || (this.block.id !== 0 && this.block.id !== id)) {
      this.fail(ErrorCode.PROTOCOL_ERROR, 'header block interrupted');
    } else if (this.limits !== null && !this.withinLimits(type, flags, end - start)) return;
    else if (type === FrameType.HEADERS) this.onHeaderFrame(id, this.block.headers(flags, id, buffer, start, end));
    else if (type === FrameType.CONTINUATION) this.onHeaderFrame(id, this.block.continuation(flags, buffer, start, end));
    else if (type === FrameType.RST_STREAM) this.onRstStream(id, uint32(buffer, start));
    else if (!this.control.take()) this.fail(ErrorCode.ENHANCE_YOUR_CALM, 'too many control frames');
    else if (type === FrameType.GOAWAY) this.onGoaway(uint31(buffer, start), uint32(buffer, start + 4));
    else if (type === FrameType.WINDOW_UPDATE) this.onWindowUpdate(id, uint31(buffer, start));
    else if (type === FrameType.SETTINGS) this.readSettings(flags, buffer, start, end);
    else if (type === FrameType.PING) {
      if ((flags & Flag.ACK) === 0) {
        if (!this.tooMuchUnsent()) this.frames.ping(true, buffer, start);
      } else if (buffer[start] === PROBE_PING[0]) this.receiveFlow.probeAnswered(this.streams.values());
      else if (buffer[start] === KEEP_ALIVE_PING[0]) this.keepAlive?.onAck();
      else this.onPingAck();
    } else if (type === FrameType.PRIORITY) {
      if (end - start !== 5) this.streamError(id, this.streams.get(id), ErrorCode.FRAME_SIZE_ERROR, 'PRIORITY of a wrong size');
      else if (uint31(buffer, start) === id) this.streamError(id, this.streams.get(id), ErrorCode.PROTOCOL_ERROR, 'stream that depends on itself');
    }
  }

  /** An error of the connection: GOAWAY, and nothing more. */
  fail(code: number, detail: string): void {
    if (this.closed) return;
    this.frames.goaway(this.lastPeerId, code, detail);
    this.writer.end();
    this.shut('ProtocolError', errorCodeName(code) + ': ' + detail);
  }

  /** False: the connection is over. */
  private withinLimits(type: number, flags: number, length: number): boolean {
    if (this.limits!.allows(type, flags, length, this.openedStreams, this.frames.dataFrames)) return true;
    this.fail(ErrorCode.ENHANCE_YOUR_CALM, 'too many ' + frameTypeName(type) + ' frames');
    return false;
  }

  /** A message that RFC 9113 section 8.1.1 calls malformed. */
  protected malformed(id: number, stream: Http2Stream | undefined, detail: string): void {
    if (this.options.malformedEndsConnection) this.fail(ErrorCode.PROTOCOL_ERROR, detail);
    else this.streamError(id, stream, ErrorCode.PROTOCOL_ERROR, detail);
  }

  /** An error of one stream, which counts against the peer: it must not make us reset without end. */
  protected streamError(id: number, stream: Http2Stream | undefined, code: number, detail: string): void {
    this.frames.rstStream(id, code);
    if (stream !== undefined && !stream.over) {
      this.remove(stream);
      stream.events.onReset('ProtocolError', errorCodeName(code) + ': ' + detail);
      this.onStreamGone();
    }
    this.countReset('too many streams in error');
  }

  /** A server's client may make it begin and drop work without end; a client asked for each stream itself. False: the connection is over. */
  protected countReset(detail: string): boolean {
    if (this.isClient || this.resets.take()) return true;
    this.fail(ErrorCode.ENHANCE_YOUR_CALM, detail);
    return false;
  }

  /** A peer that asks and does not read would have the answers pile up here. True: the connection is over. */
  protected tooMuchUnsent(): boolean {
    const { frames, options } = this;
    if (!this.writer.blocked) {
      frames.unsent = frames.unsentControl = 0;
      return false;
    }
    if (
      this.transport.writableLength <= options.maxUnsentBytes &&
      frames.unsent <= options.maxOutboundFrames &&
      frames.unsentControl <= options.maxOutboundControlFrames
    )
      return false;
    this.fail(ErrorCode.ENHANCE_YOUR_CALM, 'the peer does not read');
    return true;
  }

  /** Trailers of a stream that is open, from `section`. */
  protected receiveTrailers(stream: Http2Stream, fin: boolean): void {
    const trailers = this.section.tooLarge ? null : this.section.trailers();
    if (stream.remoteClosed) this.streamError(stream.id, stream, ErrorCode.STREAM_CLOSED, 'HEADERS after the end of the stream');
    else if (this.isClient ? stream.tunnel : stream.asksTunnel) this.streamError(stream.id, stream, ErrorCode.PROTOCOL_ERROR, 'HEADERS in a tunnel');
    else if (!fin) this.streamError(stream.id, stream, ErrorCode.PROTOCOL_ERROR, 'trailers that do not end the stream');
    else if (trailers === null) this.malformed(stream.id, stream, this.section.error || 'trailers too large');
    else if (stream.expected > 0) this.malformed(stream.id, stream, 'content differs from content-length');
    else {
      this.remoteEnd(stream);
      if (trailers.length === 0) stream.events.onBody(NO_BYTES, 0, 0, true);
      else stream.events.onTrailers(trailers);
      if (stream.over) this.onStreamGone();
    }
  }

  protected shut(reason: ResetReason, detail: string): void {
    if (this.closed) return;
    this.closed = true;
    this.reader.stop();
    const streams = [...this.streams.values()];
    this.streams.clear();
    for (const stream of streams) {
      stream.over = true;
      stream.pending = null;
      stream.events.onReset(reason, detail);
    }
    this.onShut(detail);
  }

  /** `stream`: of the frame, and of a block that is whole. */
  private onHeaderFrame(stream: number, fault: ConnectionFault | null): void {
    const { block } = this;
    if (fault !== null) {
      this.fail(fault.code, fault.detail);
      return;
    }
    if (block.id !== 0) return;
    this.control.give(1);
    this.section.begin();
    if (!this.decoder.decode(block.take(), block.start, block.end, this.section)) {
      this.fail(ErrorCode.COMPRESSION_ERROR, 'header block cannot be decoded');
      return;
    }
    if (this.section.isBomb) {
      this.fail(ErrorCode.ENHANCE_YOUR_CALM, 'header section far too large');
      return;
    }
    this.onSection(stream, block.fin, block.selfDependent);
  }

  private onWindowUpdate(id: number, increment: number): void {
    if (id === 0) {
      if (increment === 0) this.fail(ErrorCode.PROTOCOL_ERROR, 'WINDOW_UPDATE of 0');
      else if (!this.sendFlow.connectionCredit(increment)) this.fail(ErrorCode.FLOW_CONTROL_ERROR, 'connection window too large');
      return;
    }
    const stream = this.streams.get(id);
    if (stream === undefined) {
      if (this.isIdle(id)) this.fail(ErrorCode.PROTOCOL_ERROR, 'WINDOW_UPDATE on an idle stream');
    } else if (increment === 0) this.streamError(id, stream, ErrorCode.PROTOCOL_ERROR, 'WINDOW_UPDATE of 0');
    else if (!this.sendFlow.streamCredit(stream, increment)) this.streamError(id, stream, ErrorCode.FLOW_CONTROL_ERROR, 'stream window too large');
  }

  private onRstStream(id: number, code: number): void {
    if (this.isIdle(id)) {
      this.fail(ErrorCode.PROTOCOL_ERROR, 'RST_STREAM on an idle stream');
      return;
    }
    if (!this.countReset('too many streams reset')) return;
    const stream = this.streams.get(id);
    if (stream === undefined) return;
    stream.remoteClosed = true;
    this.remove(stream);
    stream.events.onReset(code === ErrorCode.REFUSED_STREAM ? 'RemoteRefusedStream' : 'RemoteReset', errorCodeName(code));
    this.onStreamGone();
  }

  private readSettings(flags: number, buffer: Buffer, start: number, end: number): void {
    if ((flags & Flag.ACK) !== 0) {
      this.decoder.acknowledged();
      return;
    }
    const fault = this.peer.read(buffer, start, end);
    if (fault !== null) {
      this.fail(fault.code, fault.detail);
      return;
    }
    // Before anything that the new values let out: until it has this the peer counts with the old ones.
    this.frames.settingsAck();
    // Once for the frame: it may say this thousands of times, and each would be a walk over all streams.
    if (!this.sendFlow.setInitialWindow(this.peer.initialWindowBytes, this.streams)) this.fail(ErrorCode.FLOW_CONTROL_ERROR, 'stream window too large');
    if (!this.closed) this.onSettings();
  }

  protected abstract readonly isClient: boolean;

  /** Our SETTINGS and the connection's window, first of all. */
  protected writeSettings(values: readonly (readonly [id: number, value: number])[]): void {
    this.frames.settings(this.options.customSettings.length === 0 ? values : [...values, ...this.options.customSettings]);
    if (this.options.connectionWindowBytes > INITIAL_WINDOW_BYTES) this.frames.windowUpdate(0, this.options.connectionWindowBytes - INITIAL_WINDOW_BYTES);
  }
}
