import type { Steps } from '@outrigger/xds/slices';

/** Sorted at once, and between two pauses. */
const RUN_LENGTH = 512;

/** The numbers 0 to `count` - 1 in the order of what they stand for; equals keep theirs. */
export function* sortedPositions(count: number, compare: (a: number, b: number) => number): Steps<Uint32Array> {
  let from = new Uint32Array(count);
  for (let start = 0; start < count; start += RUN_LENGTH) {
    const end = Math.min(count, start + RUN_LENGTH);
    for (let i = start; i < end; i++) from[i] = i;
    from.subarray(start, end).sort(compare);
    yield;
  }
  let into = new Uint32Array(count);
  for (let length = RUN_LENGTH; length < count; length *= 2) {
    for (let start = 0; start < count; start += 2 * length)
      yield* mergeSteps(from, into, start, Math.min(count, start + length), Math.min(count, start + 2 * length), compare);
    [from, into] = [into, from];
  }
  return from;
}

/** [start, middle) and [middle, end), each in order. */
function* mergeSteps(from: Uint32Array, into: Uint32Array, start: number, middle: number, end: number, compare: (a: number, b: number) => number): Steps<void> {
  let left = start;
  let right = middle;
  for (let at = start; at < end; at++) {
    const takesLeft = right >= end || (left < middle && compare(from[left]!, from[right]!) <= 0);
    into[at] = takesLeft ? from[left++]! : from[right++]!;
    if (at % RUN_LENGTH === 0) yield;
  }
}
