/** As Envoy: in so many classes by powers of two, the largest first, and so many streams at a time. */
const CLASSES = 8;
const MOST_AT_ONCE = 50;

export interface BufferingStream {
  /** What is kept for it: content that its receiver has not taken. */
  readonly bufferedBytes: number;
  shed(): void;
}

/**
 * Those to be reset at a state of the action in (0, 1]: the further it goes, the more of the classes from the largest down. `minBytes`: streams
 * that hold less are in none.
 */
export function streamsToReset<Stream extends BufferingStream>(streams: Iterable<Stream>, state: number, minBytes: number): Stream[] {
  const lowest = Math.max(0, CLASSES - 1 - Math.floor(state * CLASSES));
  const found: { readonly stream: Stream; readonly bytes: number }[] = [];
  for (const stream of streams) {
    const bytes = stream.bufferedBytes;
    if (bytes < minBytes) continue;
    const index = Math.min(CLASSES - 1, Math.floor(Math.log2(bytes / minBytes)));
    if (index >= lowest) found.push({ stream, bytes });
  }
  found.sort((one, other) => other.bytes - one.bytes);
  return found.slice(0, MOST_AT_ONCE).map(({ stream }) => stream);
}
