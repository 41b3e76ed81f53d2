import type { Slabs } from '../net/turn-writer.ts';

/** Request content kept until a connection is there, and after that for a retry. Slices are copied: their source is shared. */
export class BodyBuffer {
  readonly #slabs: Slabs;
  readonly chunks: Buffer[] = [];
  bytes = 0;

  constructor(slabs: Slabs) {
    this.#slabs = slabs;
  }

  add(buffer: Buffer, start: number, end: number): void {
    if (end === start) return;
    this.chunks.push(this.#slabs.copy(buffer, start, end));
    this.bytes += end - start;
  }
}
