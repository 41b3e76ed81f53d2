import type { Transport } from '../transport.ts';

/** A transport that keeps what is written to it. A full one takes bytes all the same, and says so, as a socket does. */
export class Wire implements Transport {
  /** All that has left, latin1. */
  text = '';
  ended = false;
  destroyed = false;
  paused = false;
  /** While true nothing leaves. */
  full = false;
  #unsent: Buffer[] = [];

  write(chunk: Uint8Array): boolean {
    if (this.destroyed) return true;
    this.#unsent.push(Buffer.from(chunk.buffer, chunk.byteOffset, chunk.length));
    if (this.full) return false;
    this.drain();
    return true;
  }

  /** Lets out what waits; the bytes are read only now, as a kernel would. */
  drain(): void {
    this.full = false;
    for (const chunk of this.#unsent) this.text += chunk.latin1Slice(0, chunk.length);
    this.#unsent = [];
  }

  /** Lets out the first of what was written, and stays full. */
  drainOne(): void {
    const chunk = this.#unsent.shift();
    if (chunk !== undefined) this.text += chunk.latin1Slice(0, chunk.length);
  }

  get writableLength(): number {
    return this.#unsent.reduce((sum, chunk) => sum + chunk.length, 0);
  }

  end(): void {
    this.ended = true;
  }

  destroy(): void {
    this.destroyed = true;
  }

  pause(): void {
    this.paused = true;
  }

  resume(): void {
    this.paused = false;
  }

  /** What has left since the last call. */
  take(): string {
    const text = this.text;
    this.text = '';
    return text;
  }
}
