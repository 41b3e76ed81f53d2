import type { Transport } from '../http/transport.ts';
import type { BufferGrowth } from '../memory/buffer-growth.ts';

/** Slab that a connection begins with: most answers of a turn fit, and an idle one holds none. */
export const SMALL_SLAB_BYTES = 16 * 1024;
/** Slab for a connection that filled a small one in the same turn. */
export const LARGE_SLAB_BYTES = 64 * 1024;
/** Free slabs that a turn keeps, at most 1 MiB and 2 MiB: small ones for as many connections as write in one turn of a busy proxy. */
export const MAX_FREE_SMALL_SLABS = 64;
export const MAX_FREE_LARGE_SLABS = 32;
/** Requests under way up to which what is written for one leaves at once: there is hardly another whose message could share a record or a call. */
export const MAX_QUIET_STREAMS = 2;
/** More than this is a body's, of which more is coming: it waits for the end of the turn. */
const SOON_BYTES = 4 * 1024;
/** Unsent bytes of a transport from which its codec is told to stop. */
export const HIGH_WATER_BYTES = 128 * 1024;

const NO_SLAB = Buffer.alloc(0);

/** The free slabs of a process. */
export class Slabs {
  private readonly small: Buffer[];
  private readonly large: Buffer[];
  private readonly growth: BufferGrowth | null;

  /** `growth` is told of each slab that is made. */
  constructor(growth: BufferGrowth | null = null) {
    this.small = [];
    this.large = [];
    this.growth = growth;
  }

  take(large: boolean): Buffer {
    const free = large ? this.large.pop() : this.small.pop();
    return free === undefined ? this.make(large ? LARGE_SLAB_BYTES : SMALL_SLAB_BYTES) : free;
  }

  /** One of another size, which nobody gives back. */
  make(bytes: number): Buffer {
    if (this.growth !== null) this.growth.took(bytes);
    return Buffer.allocUnsafeSlow(bytes);
  }

  /** So much that was written has not left: a transport with TLS has a copy of it. */
  stalled(bytes: number): void {
    if (this.growth !== null) this.growth.took(bytes);
  }

  /** A copy of bytes that have to wait. */
  copy(source: Buffer, start: number, end: number): Buffer {
    if (this.growth !== null) this.growth.took(end - start);
    return Buffer.from(source.subarray(start, end));
  }

  give(slab: Buffer): void {
    if (slab.length === SMALL_SLAB_BYTES) {
      if (this.small.length < MAX_FREE_SMALL_SLABS) this.small.push(slab);
    } else if (slab.length === LARGE_SLAB_BYTES && this.large.length < MAX_FREE_LARGE_SLABS) this.large.push(slab);
  }
}

/**
 * One turn of the event loop for all connections of a proxy: what they write in it leaves at its end. `schedule` is
 * `setImmediate`, which runs after all sockets that were readable have been read. `soon`, if there is one, runs after the
 * call of Node's that brought what was read: where few requests are under way, nobody waits for the other sockets.
 */
export class Turn {
  readonly slabs: Slabs;
  /** Requests under way. */
  streams: number;
  private readonly schedule: (run: () => void) => void;
  private readonly soon: ((run: () => void) => void) | null;
  private readonly run: () => void;
  private readonly runSoon: () => void;
  private readonly onFault: (error: unknown) => void;
  private scheduled: boolean;
  private scheduledSoon: boolean;
  private due: TurnWriter[];
  private dueSoon: TurnWriter[];
  private spare: TurnWriter[];

  /** `onFault`: what a write throws; the other connections of the turn write all the same. */
  constructor(
    schedule: (run: () => void) => void,
    onFault: (error: unknown) => void = rethrow,
    slabs: Slabs = new Slabs(),
    soon: ((run: () => void) => void) | null = null,
  ) {
    this.slabs = slabs;
    this.streams = 0;
    this.schedule = schedule;
    this.soon = soon;
    this.onFault = onFault;
    this.run = () => this.end();
    this.runSoon = () => this.endSoon();
    this.scheduled = false;
    this.scheduledSoon = false;
    this.due = [];
    this.dueSoon = [];
    this.spare = [];
  }

  add(writer: TurnWriter): void {
    if (this.soon === null || this.streams > MAX_QUIET_STREAMS) {
      this.addLate(writer);
      return;
    }
    this.dueSoon.push(writer);
    if (this.scheduledSoon) return;
    this.scheduledSoon = true;
    this.soon(this.runSoon);
  }

  /** At the end of the turn, however few requests are under way. */
  addLate(writer: TurnWriter): void {
    this.due.push(writer);
    if (this.scheduled) return;
    this.scheduled = true;
    this.schedule(this.run);
  }

  private endSoon(): void {
    this.scheduledSoon = false;
    const due = this.dueSoon;
    this.dueSoon = this.spare;
    this.spare = due;
    for (let i = 0; i < due.length; i++) {
      const writer = due[i]!;
      if (writer.brief) this.endTurnOf(writer);
      else this.addLate(writer);
    }
    due.length = 0;
  }

  private end(): void {
    const due = this.due;
    this.due = this.spare;
    this.spare = due;
    this.scheduled = false;
    for (let i = 0; i < due.length; i++) this.endTurnOf(due[i]!);
    due.length = 0;
  }

  private endTurnOf(writer: TurnWriter): void {
    try {
      writer.endTurn();
    } catch (error) {
      this.onFault(error);
    }
  }
}

function rethrow(error: unknown): never {
  throw error;
}

/**
 * Joins what a connection writes within a turn into one `write`. `buffer` and `position` are for codecs: reserve first,
 * then write at `position` and move it.
 */
export class TurnWriter {
  buffer: Buffer;
  position: number;
  /** The transport is full: stop until its codec's `transportDrained`. */
  blocked: boolean;
  private start: number;
  private due: boolean;
  private settling: boolean;
  private closed: boolean;
  private large: boolean;
  private turnBytes: number;
  /** Bytes given to the transport, ever. */
  private written: number;
  /** Full slabs that the transport still reads from, oldest first, */
  private readonly inFlight: Buffer[];
  /** and what `written` was after each one's last byte. */
  private readonly inFlightEnds: number[];
  private readonly turn: Turn;
  private readonly transport: Transport;
  private readonly highWaterBytes: number;

  /** `bufferLimitBytes` of the connection (per_connection_buffer_limit_bytes): the codec is told to stop from there, or earlier. */
  constructor(turn: Turn, transport: Transport, bufferLimitBytes: number = HIGH_WATER_BYTES) {
    this.buffer = NO_SLAB;
    this.position = 0;
    this.blocked = false;
    this.start = 0;
    this.due = false;
    this.settling = false;
    this.closed = false;
    this.large = false;
    this.turnBytes = 0;
    this.written = 0;
    this.inFlight = [];
    this.inFlightEnds = [];
    this.turn = turn;
    this.transport = transport;
    this.highWaterBytes = Math.min(HIGH_WATER_BYTES, bufferLimitBytes);
  }

  /** Makes room for `bytes` in one piece. */
  reserve(bytes: number): void {
    if (!this.due) this.beginTurn();
    if (this.position + bytes > this.buffer.length) this.grow(bytes);
  }

  latin1(text: string): void {
    this.reserve(text.length);
    this.position += this.buffer.latin1Write(text, this.position);
  }

  /** Copies: what is received is only valid during the call. */
  bytes(source: Buffer, start: number, end: number): void {
    if (!this.due) this.beginTurn();
    let from = start;
    while (from < end) {
      if (this.position === this.buffer.length) this.grow(1);
      const to = Math.min(end, from + this.buffer.length - this.position);
      source.copy(this.buffer, this.position, from, to);
      this.position += to - from;
      from = to;
    }
  }

  /** A copy of what cannot be written yet. */
  keep(source: Buffer, start: number, end: number): Buffer {
    return this.turn.slabs.copy(source, start, end);
  }

  /** Sends what is there, without waiting for the end of the turn. */
  flush(): void {
    if (this.position === this.start) return;
    const chunk = this.buffer.subarray(this.start, this.position);
    this.turnBytes += chunk.length;
    this.start = this.position;
    if (this.closed) return;
    this.written += chunk.length;
    if (!this.transport.write(chunk) && this.transport.writableLength >= this.highWaterBytes) this.blocked = true;
  }

  /** It has little to send, and has sent nothing that the transport still holds. */
  get brief(): boolean {
    return this.turnBytes === 0 && this.position - this.start <= SOON_BYTES;
  }

  endTurn(): void {
    this.due = false;
    this.flush();
    if (this.transport.writableLength === 0) {
      this.release();
      return;
    }
    if (this.closed) {
      this.abandon();
      return;
    }
    // TLS says one turn later that a chunk is through: look once more, so that an idle connection holds no slab.
    if (this.settling) {
      this.settling = false;
      this.turn.slabs.stalled(this.transport.writableLength);
      return;
    }
    this.settling = true;
    this.due = true;
    this.turn.addLate(this);
  }

  /** The transport's 'drain'. */
  drained(): void {
    this.blocked = false;
    if (!this.due && this.transport.writableLength === 0) this.release();
  }

  /** Sends what is there and ends the transport's sending half. Later writes are dropped. */
  end(): void {
    if (this.closed) return;
    this.flush();
    this.closed = true;
    this.transport.end();
  }

  /** Ends the transport at once; what was written in this turn still goes to it. */
  destroy(): void {
    if (!this.closed) this.flush();
    this.closed = true;
    this.transport.destroy();
  }

  private beginTurn(): void {
    this.due = true;
    this.turn.add(this);
    if (this.position === 0 || this.transport.writableLength !== 0) return;
    this.start = 0;
    this.position = 0;
    this.reclaim();
  }

  /** Slabs that the transport is through with go back: it lets go of what it was given in order. */
  private reclaim(): void {
    const through = this.written - this.transport.writableLength;
    while (this.inFlight.length > 0 && this.inFlightEnds[0]! <= through) {
      this.inFlightEnds.shift();
      this.turn.slabs.give(this.inFlight.shift()!);
    }
  }

  private release(): void {
    this.large = this.turnBytes > SMALL_SLAB_BYTES;
    this.turnBytes = 0;
    this.settling = false;
    if (this.buffer !== NO_SLAB) this.turn.slabs.give(this.buffer);
    this.buffer = NO_SLAB;
    this.start = 0;
    this.position = 0;
    this.reclaim();
  }

  /** Nobody will say when the transport lets go of its slabs: the collector takes them, and no other connection. */
  private abandon(): void {
    this.settling = false;
    this.buffer = NO_SLAB;
    this.start = 0;
    this.position = 0;
    this.inFlight.length = this.inFlightEnds.length = 0;
  }

  private grow(bytes: number): void {
    this.flush();
    if (this.buffer !== NO_SLAB) {
      this.inFlight.push(this.buffer);
      this.inFlightEnds.push(this.written);
      this.large = true;
      this.reclaim();
    }
    const size = this.large ? LARGE_SLAB_BYTES : SMALL_SLAB_BYTES;
    this.buffer = bytes > size ? (bytes > LARGE_SLAB_BYTES ? this.turn.slabs.make(bytes) : this.turn.slabs.take(true)) : this.turn.slabs.take(this.large);
    this.start = 0;
    this.position = 0;
  }
}
