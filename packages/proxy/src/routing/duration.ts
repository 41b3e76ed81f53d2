import type { Duration } from '@bufbuild/protobuf/wkt';

/** google.protobuf.Duration in ms (fractions kept); `absentMs` where there is none. */
export function durationMs(duration: Duration | undefined, absentMs: number): number {
  return duration === undefined ? absentMs : Number(duration.seconds) * 1000 + duration.nanos / 1e6;
}
