import type { ActiveStream } from '../engine/active-stream.ts';

/** Told of each stream: metrics, access log, spans, samples. */
export interface StreamRecorder {
  /** Its head is whole and as it came; nothing is decided. */
  begin(stream: ActiveStream): void;
  /** It is over. */
  record(stream: ActiveStream): void;
}
