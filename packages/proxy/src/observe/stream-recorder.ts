import type { ActiveStream } from '../engine/active-stream.ts';

/** Told of each stream that is over: metrics, access log, spans. */
export interface StreamRecorder {
  record(stream: ActiveStream): void;
}
