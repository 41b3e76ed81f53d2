declare global {
  /** Node's own, without the look at the encoding's name that `toString` and `write` begin with. */
  interface Buffer<TArrayBuffer extends ArrayBufferLike = ArrayBufferLike> {
    latin1Slice(start: number, end: number): string;
    latin1Write(text: string, offset: number): number;
  }
}

export {};
