import type { HeaderList, ResetReason, ResponseHead } from '../http/message.ts';
import type { Transport } from '../http/transport.ts';
import type { TurnWriter } from '../net/turn-writer.ts';
import { Budget } from './budget.ts';
import { resetCode } from './error-code.ts';
import { FrameWriter } from './frame-writer.ts';
import { responseBytes, trailersBytes, writeResponse, writeTrailers } from './head-encoder.ts';
import { HpackEncoder } from './hpack-encoder.ts';
import type { Http2Options } from './options.ts';
import { ReceiveFlow } from './receive-flow.ts';
import { SendFlow, type SendFlowEvents } from './send-flow.ts';
import type { Http2Stream } from './stream.ts';

/** The streams of a connection: what is sent on them, and how they end. */
export abstract class ConnectionStreams implements SendFlowEvents {
  protected readonly transport: Transport;
  protected readonly writer: TurnWriter;
  protected readonly options: Http2Options;
  protected readonly streams: Map<number, Http2Stream>;
  protected readonly frames: FrameWriter;
  protected readonly encoder: HpackEncoder;
  protected readonly sendFlow: SendFlow;
  protected readonly receiveFlow: ReceiveFlow;
  protected readonly resets: Budget;
  protected readonly control: Budget;
  /** Some message is whole but for the peer's window. */
  protected endsPending: boolean;

  constructor(transport: Transport, writer: TurnWriter, options: Http2Options) {
    this.transport = transport;
    this.writer = writer;
    this.options = options;
    this.streams = new Map();
    this.frames = new FrameWriter(writer);
    this.encoder = new HpackEncoder(writer, options.encoderTableBytes);
    this.resets = new Budget(options.maxResetBurst, options.resetsPerSecond, options.nowMs);
    this.control = new Budget(options.maxControlBurst, options.controlFramesPerSecond, options.nowMs);
    this.sendFlow = new SendFlow(this.frames, this.control, this);
    this.receiveFlow = new ReceiveFlow(this.frames, options);
    this.endsPending = false;
  }

  /** The stream's last event in this direction was sent. */
  protected abstract onLocalEnd(stream: Http2Stream): void;
  /** The stream's last event in that direction is about to be given. */
  protected abstract onRemoteEnd(stream: Http2Stream): void;
  /** A stream has gone, and its last event was given. */
  protected abstract onStreamGone(): void;

  get activeStreams(): number {
    return this.streams.size;
  }

  transportDrained(): void {
    this.writer.drained();
    // All that was written is through: a peer that is slow, and one that never reads, are two things.
    this.frames.unsent = this.frames.unsentControl = 0;
    for (const stream of this.streams.values()) {
      if (this.writer.blocked) return;
      if (stream.stopped && stream.pending === null) {
        stream.stopped = false;
        stream.events.onDrain();
      }
    }
  }

  sendInformational(stream: Http2Stream, head: ResponseHead): void {
    if (stream.over || stream.responded) return;
    this.writeResponseHead(stream, head, false);
  }

  sendResponse(stream: Http2Stream, head: ResponseHead, fin: boolean): boolean {
    if (stream.over || stream.responded) return true;
    stream.responded = true;
    stream.tunnel = head.tunnel && stream.asksTunnel;
    stream.contentless = stream.method === 'HEAD' || head.status === 204 || head.status === 304;
    this.writeResponseHead(stream, head, fin);
    if (fin) this.localEnd(stream);
    return !this.writer.blocked || stop(stream);
  }

  sendBody(stream: Http2Stream, buffer: Buffer, start: number, end: number, fin: boolean): boolean {
    if (stream.over || stream.localClosed || stream.pendingFin) return true;
    if (stream.contentless) {
      if (!fin) return true;
      end = start;
    }
    if (!this.sendFlow.send(stream, buffer, start, end, fin)) {
      if (fin) this.endsPending = true;
      return stop(stream);
    }
    if (fin) this.localEnd(stream);
    return !this.writer.blocked || stop(stream);
  }

  sendTrailers(stream: Http2Stream, trailers: HeaderList): void {
    if (stream.over || stream.localClosed || stream.pendingFin || stream.pendingTrailers !== null) return;
    if (stream.pending !== null) {
      stream.pendingTrailers = trailers;
      this.endsPending = true;
    } else this.writeTrailers(stream, trailers);
  }

  /** By the engine: nothing is called back on this stream. */
  resetStream(stream: Http2Stream, reason: ResetReason): void {
    if (stream.over) return;
    this.frames.rstStream(stream.id, resetCode(reason));
    this.remove(stream);
    this.onStreamGone();
  }

  resumed(stream: Http2Stream): void {
    if (!stream.over) this.receiveFlow.resumed(stream);
  }

  onPendingSent(stream: Http2Stream): void {
    if (stream.pendingTrailers !== null) this.writeTrailers(stream, stream.pendingTrailers);
    else if (stream.pendingFin) this.localEnd(stream);
    if (stream.over || stream.localClosed || !stream.stopped || this.writer.blocked) return;
    stream.stopped = false;
    stream.events.onDrain();
  }

  /** Marks the remote half as closed. The stream is over where that was the last of it. */
  protected remoteEnd(stream: Http2Stream): void {
    stream.remoteClosed = true;
    if (stream.localClosed) this.finish(stream);
    else this.onRemoteEnd(stream);
  }

  protected localEnd(stream: Http2Stream): void {
    stream.localClosed = true;
    if (stream.remoteClosed) {
      this.finish(stream);
      this.onStreamGone();
    } else this.onLocalEnd(stream);
  }

  /** The stream ended as it should. */
  protected finish(stream: Http2Stream): void {
    this.resets.give(1);
    this.remove(stream);
  }

  protected remove(stream: Http2Stream): void {
    stream.over = true;
    stream.pending = null;
    stream.pendingTrailers = null;
    this.streams.delete(stream.id);
    if (stream.held > 0) this.receiveFlow.release(stream);
  }

  private writeResponseHead(stream: Http2Stream, head: ResponseHead, fin: boolean): void {
    this.frames.beginBlock(responseBytes(head));
    writeResponse(this.encoder, head);
    this.frames.endBlock(stream.id, fin, this.sendFlow.maxFrameBytes);
  }

  private writeTrailers(stream: Http2Stream, trailers: HeaderList): void {
    stream.pendingTrailers = null;
    this.frames.beginBlock(trailersBytes(trailers));
    writeTrailers(this.encoder, trailers);
    this.frames.endBlock(stream.id, true, this.sendFlow.maxFrameBytes);
    this.localEnd(stream);
  }
}

function stop(stream: Http2Stream): false {
  stream.stopped = true;
  return false;
}
