import { BandwidthProbe } from './bandwidth-probe.ts';
import { Setting } from './frame.ts';
import type { FrameWriter } from './frame-writer.ts';
import type { Http2Options } from './options.ts';
import type { Http2Stream } from './stream.ts';

/** Its first byte tells it from other PINGs. */
export const PROBE_PING = Buffer.from('bandwdth', 'latin1');

/**
 * Our receive windows (RFC 9113 section 5.2). Given back at half, so that small bodies cost no WINDOW_UPDATE at all. A
 * paused stream keeps its own window; the connection's is kept too once paused streams hold more than a bound.
 */
export class ReceiveFlow {
  private readonly frames: FrameWriter;
  private readonly options: Http2Options;
  private window: number;
  private unacknowledged: number;
  /** Bytes received for streams that are paused now, and of these not given back to the connection. */
  private held: number;
  private withheld: number;
  private readonly probe: BandwidthProbe;

  constructor(frames: FrameWriter, options: Http2Options) {
    this.frames = frames;
    this.options = options;
    this.window = options.connectionWindowBytes;
    this.unacknowledged = 0;
    this.held = 0;
    this.withheld = 0;
    this.probe = new BandwidthProbe(options.streamWindowBytes, Math.min(options.maxStreamWindowBytes, options.connectionWindowBytes));
  }

  /** Of a new stream. */
  get streamWindowBytes(): number {
    return this.probe.windowBytes;
  }

  /** The peer has answered our PING: all windows grow where they held it up. */
  probeAnswered(streams: Iterable<Http2Stream>): void {
    const growth = this.probe.answered();
    if (growth === 0) return;
    this.frames.settings([[Setting.INITIAL_WINDOW_SIZE, this.probe.windowBytes]]);
    // More than the peer knows of, until it has read that.
    for (const stream of streams) stream.receiveWindow += growth;
  }

  /** False: beyond the connection's window. */
  takeConnection(length: number): boolean {
    if (length > this.window) return false;
    this.window -= length;
    if (this.probe.received(length)) this.frames.ping(false, PROBE_PING, 0);
    return true;
  }

  /** False: beyond the stream's window. Otherwise gives back as far as it may. */
  takeStream(stream: Http2Stream, length: number, fin: boolean): boolean {
    if (length > stream.receiveWindow) {
      this.give(length);
      return false;
    }
    stream.receiveWindow -= length;
    stream.unacknowledged += length;
    if (stream.paused) {
      stream.held += length;
      this.held += length;
      if (this.held > this.options.maxHeldBytes) {
        this.withheld += length;
        return true;
      }
    } else if (!fin) this.giveStream(stream);
    this.give(length);
    return true;
  }

  /** Of the connection, at once or coalesced. */
  give(length: number): void {
    this.unacknowledged += length;
    if (this.unacknowledged < this.options.connectionWindowBytes / 2) return;
    this.window += this.unacknowledged;
    this.frames.windowUpdate(0, this.unacknowledged);
    this.unacknowledged = 0;
  }

  resumed(stream: Http2Stream): void {
    this.release(stream);
    if (!stream.remoteClosed) this.giveStream(stream);
  }

  /** The stream is over, or reads again: nothing is held for it. */
  release(stream: Http2Stream): void {
    this.held -= stream.held;
    stream.held = 0;
    if (this.withheld === 0 || this.held > this.options.maxHeldBytes) return;
    const length = this.withheld;
    this.withheld = 0;
    this.give(length);
  }

  private giveStream(stream: Http2Stream): void {
    if (stream.unacknowledged < this.probe.windowBytes / 2) return;
    stream.receiveWindow += stream.unacknowledged;
    this.frames.windowUpdate(stream.id, stream.unacknowledged);
    stream.unacknowledged = 0;
  }
}
