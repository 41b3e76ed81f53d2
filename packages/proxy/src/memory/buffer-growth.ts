/**
 * Tells whoever looks after memory that buffers have taken a good piece of it. A burst of uploads that nobody reads takes some 200 MB a second: in
 * a small container all is gone between two looks that go by time.
 */
export class BufferGrowth {
  readonly #stepBytes: number;
  readonly #watchers = new Set<() => void>();
  #bytes = 0;
  /** How often that much was taken. */
  steps = 0;

  /** `stepBytes`: how much is a good piece. */
  constructor(stepBytes: number) {
    this.#stepBytes = stepBytes;
  }

  /** A buffer of so many bytes was made. */
  took(bytes: number): void {
    this.#bytes += bytes;
    if (this.#bytes < this.#stepBytes) return;
    this.#bytes = 0;
    this.steps++;
    for (const watcher of this.#watchers) watcher();
  }

  /** `watcher` is called within the call that made the buffer: it may only note that. The function returned ends it. */
  watch(watcher: () => void): () => void {
    this.#watchers.add(watcher);
    return () => this.#watchers.delete(watcher);
  }
}
