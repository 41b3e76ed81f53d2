/**
 * How much a peer sends in one round trip, asked by PING while it sends much: a window that is not well above that holds
 * it up. A connection that carries little asks nothing.
 */
export class BandwidthProbe {
  /** What the window should be; it only grows. */
  windowBytes: number;
  private readonly maxBytes: number;
  private asked: boolean;
  /** Since the last answer, and since the question. */
  private bytes: number;

  constructor(windowBytes: number, maxBytes: number) {
    this.windowBytes = windowBytes;
    this.maxBytes = maxBytes;
    this.asked = false;
    this.bytes = 0;
  }

  /** True: ask now. */
  received(length: number): boolean {
    this.bytes += length;
    if (this.asked || this.windowBytes >= this.maxBytes || this.bytes < this.windowBytes / 2) return false;
    this.asked = true;
    this.bytes = 0;
    return true;
  }

  /** By how much the window has grown. */
  answered(): number {
    if (!this.asked) return 0;
    const { bytes, windowBytes } = this;
    this.asked = false;
    this.bytes = 0;
    // Two thirds of a window in one round trip: the sender has surely waited.
    if (bytes * 3 < windowBytes * 2) return 0;
    this.windowBytes = Math.min(this.maxBytes, Math.max(bytes, windowBytes) * 2);
    return this.windowBytes - windowBytes;
  }
}
