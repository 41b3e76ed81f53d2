import type { Transport } from '../http/transport.ts';
import { type ByteSink, SILENT } from './byte-sink.ts';

/** Unread bytes of one direction from which its writer is told to stop. */
const HIGH_WATER_BYTES = 128 * 1024;

/**
 * One end of a byte stream inside the process. What one end writes the other receives in a later microtask, as with a
 * socket: neither side is called from within its own call.
 */
export class MemoryTransport implements Transport {
  sink: ByteSink = SILENT;
  /** The other end. */
  peer!: MemoryTransport;
  #chunks: Buffer[] = [];
  #bytes = 0;
  #ended = false;
  #endDelivered = false;
  #paused = false;
  #closed = false;
  #full = false;
  #scheduled = false;

  /** Bytes on the way to the other end. */
  get writableLength(): number {
    return this.peer.#bytes;
  }

  write(chunk: Uint8Array): boolean {
    const peer = this.peer;
    if (this.#closed || peer.#closed || peer.#ended) return true;
    // The writer's slab is its own again as soon as nothing is said to be on the way, so the bytes are copied.
    const copy = Buffer.from(chunk);
    peer.#chunks.push(copy);
    peer.#bytes += copy.length;
    peer.#schedule();
    if (peer.#bytes < HIGH_WATER_BYTES) return true;
    this.#full = true;
    return false;
  }

  end(): void {
    this.peer.#ended = true;
    this.peer.#schedule();
  }

  destroy(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#chunks = [];
    this.#bytes = 0;
    queueMicrotask(() => this.sink.transportClosed(''));
    this.peer.#ended = true;
    this.peer.#schedule();
  }

  pause(): void {
    this.#paused = true;
  }

  resume(): void {
    this.#paused = false;
    this.#schedule();
  }

  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    queueMicrotask(() => {
      this.#scheduled = false;
      this.#deliver();
    });
  }

  #deliver(): void {
    while (!this.#paused && !this.#closed) {
      const chunk = this.#chunks.shift();
      if (chunk === undefined) break;
      this.#bytes -= chunk.length;
      this.sink.receive(chunk, 0, chunk.length);
    }
    const peer = this.peer;
    if (peer.#full && this.#bytes < HIGH_WATER_BYTES / 2) {
      peer.#full = false;
      queueMicrotask(() => {
        if (!peer.#closed) peer.sink.transportDrained();
      });
    }
    if (this.#closed || this.#paused || this.#chunks.length > 0 || !this.#ended) return;
    if (!this.#endDelivered) {
      this.#endDelivered = true;
      this.sink.receiveEnd();
    }
    // Both halves are over: or the other end is gone for good.
    if (peer.#closed || peer.#endDelivered) {
      if (this.#closed) return;
      this.#closed = true;
      this.sink.transportClosed('');
    }
    if (this.#closed && !peer.#closed) peer.#schedule();
  }
}

/** Two ends that are joined. */
export function memoryPair(): [MemoryTransport, MemoryTransport] {
  const a = new MemoryTransport();
  const b = new MemoryTransport();
  a.peer = b;
  b.peer = a;
  return [a, b];
}
