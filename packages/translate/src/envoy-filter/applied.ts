import type { Reader } from '../reader.ts';
import type { Place } from '../translated.ts';

const APPLIED = Symbol('patches that were done, and to which message is not said yet');

export function applied(reader: Reader): Place[] {
  return reader.once(APPLIED, (): Place[] => []);
}

/** Does what `work` does, and says of its message which patches made it so. Those that leave none were done to what it stood in. */
export function patchedBy<Made extends object>(reader: Reader, work: () => Made | undefined): Made | undefined {
  const done = applied(reader);
  const before = done.length;
  const made = work();
  if (made !== undefined && done.length > before) reader.patched(made, done.splice(before));
  return made;
}

/** Messages that go into another as bytes are not to be found again: what was done to them was done to the other. */
export function handedOn(reader: Reader, messages: readonly object[]): void {
  applied(reader).push(...messages.flatMap((message) => reader.patchesOf(message)));
}
