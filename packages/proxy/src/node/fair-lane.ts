import type net from 'node:net';
import type { Transport } from '../http/transport.ts';
import { type ByteSink, SILENT } from '../net/byte-sink.ts';
import type { Accept, Gate, Lane } from '../net/lane.ts';
import type { FairShare, Waiting } from './fair-loop.ts';

/** What a TLS handshake takes of the loop where nobody is called (two signatures, key exchange, a chain), ms, on a slow machine. */
const HANDSHAKE_MS = 0.7;

/** Lets the sockets of one workload in as its share of the loop allows. */
export class FairGate implements Gate {
  readonly #share: FairShare;
  readonly #shared: Buffer;

  /** `shared`: what all reads of plain sockets land in, to be copied where it must be kept. */
  constructor(share: FairShare, shared: Buffer) {
    this.#share = share;
    this.#shared = shared;
  }

  lane(socket: net.Socket): Lane {
    return new FairLane(socket, this.#share, this.#shared);
  }

  accept(accept: Accept): Accept {
    const share = this.#share;
    return (socket) => {
      if (!share.open) {
        share.wait(new Arrival(socket, () => socket.destroyed || accept(socket)));
        return;
      }
      share.enter();
      try {
        accept(socket);
      } finally {
        share.leave();
      }
    };
  }

  handshake(socket: net.Socket, begin: () => void): void {
    const share = this.#share;
    const work = (): void => {
      share.assume(HANDSHAKE_MS);
      begin();
    };
    if (share.open) work();
    else share.wait(new Arrival(socket, work));
  }

  run(run: () => void): void {
    this.#share.enter();
    try {
      run();
    } finally {
      this.#share.leave();
    }
  }
}

/** A connection that came, or whose handshake was to begin, in a round in which its workload had no more to spend. Nothing is read of it. */
class Arrival implements Waiting {
  readonly #socket: net.Socket;
  readonly #begin: () => void;

  constructor(socket: net.Socket, begin: () => void) {
    this.#socket = socket;
    this.#begin = begin;
    // It may go away meanwhile.
    socket.on('error', () => {});
  }

  proceed(): boolean {
    this.#begin();
    return false;
  }

  abandon(): void {
    this.#socket.destroy();
  }
}

/**
 * Stands between a socket and what serves it, on both ways: accounts what is received, and where the workload has no more to spend, stops the socket until
 * it has; what has been read already, at most a buffer's full, is kept.
 */
class FairLane implements Lane, Waiting {
  readonly transport: Transport = this;
  readonly #socket: net.Socket;
  readonly #share: FairShare;
  readonly #shared: Buffer;
  #sink: ByteSink = SILENT;
  /** Asked for by what serves it. */
  #paused = false;
  #held: Buffer[] = [];
  #queued = false;

  constructor(socket: net.Socket, share: FairShare, shared: Buffer) {
    this.#socket = socket;
    this.#share = share;
    this.#shared = shared;
  }

  into(sink: ByteSink): ByteSink {
    this.#sink = sink;
    return this;
  }

  write(chunk: Uint8Array): boolean {
    return this.#socket.write(chunk);
  }

  get writableLength(): number {
    return this.#socket.writableLength;
  }

  end(): void {
    this.#socket.end();
  }

  destroy(): void {
    this.#socket.destroy();
  }

  pause(): void {
    this.#paused = true;
    this.#socket.pause();
  }

  resume(): void {
    this.#paused = false;
    if (this.#held.length > 0) this.#queue();
    else if (!this.#queued) this.#socket.resume();
  }

  receive(buffer: Buffer, start: number, end: number): void {
    const share = this.#share;
    if (this.#held.length > 0 || !share.open) {
      this.#held.push(buffer === this.#shared ? Buffer.from(buffer.subarray(start, end)) : buffer.subarray(start, end));
      this.#socket.pause();
      if (!this.#paused) this.#queue();
      return;
    }
    share.enter();
    this.#sink.receive(buffer, start, end);
    share.leaveRead();
    if (share.open || this.#paused || this.#socket.destroyed) return;
    this.#socket.pause();
    this.#queue();
  }

  receiveEnd(): void {
    this.#share.enter();
    this.#deliver();
    this.#sink.receiveEnd();
    this.#share.leave();
  }

  transportClosed(detail: string): void {
    this.#share.enter();
    this.#deliver();
    this.#sink.transportClosed(detail);
    this.#share.leave();
  }

  transportDrained(): void {
    this.#share.enter();
    this.#sink.transportDrained();
    this.#share.leave();
  }

  proceed(): boolean {
    this.#queued = false;
    if (this.#paused) return false;
    this.#deliver();
    if (this.#paused || this.#socket.destroyed) return false;
    this.#socket.resume();
    return true;
  }

  abandon(): void {
    this.#held = [];
  }

  #queue(): void {
    if (this.#queued) return;
    this.#queued = true;
    this.#share.wait(this);
  }

  #deliver(): void {
    while (this.#held.length > 0) {
      const chunk = this.#held.shift()!;
      this.#sink.receive(chunk, 0, chunk.length);
    }
  }
}
