/** What a codec needs of a byte stream. `net.Socket` and `tls.TLSSocket` are such. */
export interface Transport {
  /** `false`: over the high-water mark; the owner calls `transportDrained` on the codec when that is past. */
  write(chunk: Uint8Array): boolean;
  /** Bytes given to `write` that have not left yet. 0 says that no chunk is referenced any more. */
  readonly writableLength: number;
  /** Ends the sending half after what was written. */
  end(): void;
  /** Ends both halves at once. */
  destroy(): void;
  pause(): void;
  resume(): void;
}
