const NO_BYTES = Buffer.alloc(0);

/** A header block that comes in pieces: HEADERS and its CONTINUATION frames. */
export class HeaderBlock {
  /** 0: none is under way. */
  id: number;
  fin: boolean;
  bytes: number;
  continuations: number;
  private buffer: Buffer;

  constructor() {
    this.id = 0;
    this.fin = false;
    this.bytes = 0;
    this.continuations = 0;
    this.buffer = NO_BYTES;
  }

  begin(id: number, fin: boolean): void {
    this.id = id;
    this.fin = fin;
    this.bytes = 0;
    this.continuations = 0;
  }

  add(buffer: Buffer, start: number, end: number): void {
    const bytes = this.bytes + end - start;
    if (bytes > this.buffer.length) {
      const grown = Buffer.allocUnsafeSlow(Math.max(bytes, this.buffer.length * 2));
      this.buffer.copy(grown, 0, 0, this.bytes);
      this.buffer = grown;
    }
    buffer.copy(this.buffer, this.bytes, start, end);
    this.bytes = bytes;
  }

  /** The whole of it; what comes next begins anew. */
  take(): Buffer {
    const whole = this.buffer.subarray(0, this.bytes);
    this.id = 0;
    this.buffer = NO_BYTES;
    return whole;
  }
}
