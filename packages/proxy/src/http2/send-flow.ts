import type { Budget } from './budget.ts';
import { INITIAL_MAX_FRAME_BYTES, INITIAL_WINDOW_BYTES, MAX_WINDOW_BYTES } from './frame.ts';
import type { FrameWriter } from './frame-writer.ts';
import type { Http2Stream } from './stream.ts';

/** WINDOW_UPDATE frames that a peer may send for each DATA frame of ours: Go's gives back every 4 KiB, stream and connection. */
const UPDATES_PER_DATA_FRAME = 10;

/** What a SendFlow tells its connection. */
export interface SendFlowEvents {
  /** Content and what follows it are out: trailers, or the end. */
  onPendingSent(stream: Http2Stream): void;
}

/** The peer's windows (RFC 9113 section 5.2): what they do not let out waits here, a copy. */
export class SendFlow {
  maxFrameBytes: number;
  initialStreamWindow: number;
  private window: number;
  /** Streams that only the connection's window keeps waiting, in turn. */
  private waiting: Http2Stream[];
  private readonly frames: FrameWriter;
  private readonly control: Budget;
  private readonly events: SendFlowEvents;

  constructor(frames: FrameWriter, control: Budget, events: SendFlowEvents) {
    this.maxFrameBytes = INITIAL_MAX_FRAME_BYTES;
    this.initialStreamWindow = INITIAL_WINDOW_BYTES;
    this.window = INITIAL_WINDOW_BYTES;
    this.waiting = [];
    this.frames = frames;
    this.control = control;
    this.events = events;
  }

  /** True: all is out, with its `fin`. Else the rest waits. */
  send(stream: Http2Stream, buffer: Buffer, start: number, end: number, fin: boolean): boolean {
    let p = start;
    if (stream.pending === null) {
      if (start === end) {
        if (fin) this.frames.data(stream.id, buffer, start, end, true);
        return true;
      }
      p = this.out(stream, buffer, start, end, fin);
      if (p === end) return true;
      stream.pending = [];
      stream.pendingOffset = 0;
    }
    if (p < end) stream.pending.push(this.frames.keep(buffer, p, end));
    stream.pendingFin = fin;
    this.wait(stream);
    return false;
  }

  /** False: the window would exceed its largest size. */
  connectionCredit(increment: number): boolean {
    this.window += increment;
    if (this.window > MAX_WINDOW_BYTES) return false;
    while (this.window > 0 && this.waiting.length > 0) {
      const streams = this.waiting;
      this.waiting = [];
      for (const stream of streams) {
        stream.waiting = false;
        if (!stream.over) this.release(stream, this.maxFrameBytes);
      }
    }
    return true;
  }

  /** False: the window would exceed its largest size. A negative increment comes with SETTINGS. */
  streamCredit(stream: Http2Stream, increment: number): boolean {
    stream.sendWindow += increment;
    if (stream.sendWindow > MAX_WINDOW_BYTES) return false;
    if (stream.pending !== null && !stream.waiting) this.release(stream, Number.MAX_SAFE_INTEGER);
    return true;
  }

  /** SETTINGS_INITIAL_WINDOW_SIZE, for the streams that are open too. False: as above. */
  setInitialWindow(bytes: number, streams: ReadonlyMap<number, Http2Stream>): boolean {
    const change = bytes - this.initialStreamWindow;
    this.initialStreamWindow = bytes;
    if (change === 0) return true;
    for (const stream of [...streams.values()]) if (!this.streamCredit(stream, change)) return false;
    return true;
  }

  /** Up to `most` bytes of what waits. */
  private release(stream: Http2Stream, most: number): void {
    const pending = stream.pending!;
    let left = most;
    let done = 0;
    while (done < pending.length && left > 0) {
      const chunk = pending[done]!;
      const start = stream.pendingOffset;
      const end = Math.min(chunk.length, start + left);
      const last = done === pending.length - 1 && end === chunk.length;
      const p = this.out(stream, chunk, start, end, last && stream.pendingFin);
      left -= p - start;
      if (p < chunk.length) {
        stream.pendingOffset = p;
        if (p < end) break;
      } else {
        stream.pendingOffset = 0;
        done++;
      }
    }
    if (done < pending.length) {
      if (done > 0) stream.pending = pending.slice(done);
      this.wait(stream);
      return;
    }
    stream.pending = null;
    this.events.onPendingSent(stream);
  }

  /** As much as the windows let out; returns how far. */
  private out(stream: Http2Stream, buffer: Buffer, start: number, end: number, fin: boolean): number {
    let p = start;
    while (p < end) {
      const length = Math.min(end - p, this.maxFrameBytes, this.window, stream.sendWindow);
      if (length <= 0) break;
      this.window -= length;
      stream.sendWindow -= length;
      this.frames.data(stream.id, buffer, p, p + length, fin && p + length === end);
      this.control.give(UPDATES_PER_DATA_FRAME);
      p += length;
    }
    return p;
  }

  private wait(stream: Http2Stream): void {
    if (stream.waiting || stream.sendWindow <= 0) return;
    stream.waiting = true;
    this.waiting.push(stream);
  }
}
