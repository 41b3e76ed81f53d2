import type { Duration } from '@bufbuild/protobuf/wkt';
import { durationMs, type Resource } from '@outrigger/resources';
import { milliseconds } from './messages.ts';
import type { Reader } from './reader.ts';

/** A field's duration; undefined where absent, or (with a note) where it is none. */
export function durationOf(reader: Reader, resource: Resource, field: string, text: string | undefined): Duration | undefined {
  if (text === undefined || text === '') return undefined;
  const ms = durationMs(text);
  if (ms === undefined || ms < 0) {
    reader.ignored(resource, field, `"${text}" is no duration`);
    return undefined;
  }
  return milliseconds(ms);
}
