import type { Reader } from '../reader.ts';
import type { Patch } from './patches.ts';

/** Of values that patches put into one resource: more than a proxy takes in one message. */
export const MAX_PATCHED_BYTES = 32 * 1024 * 1024;
/** What it costs at the least to put a value in: small patches of many routes take their time. */
const LEAST_BYTES = 256;

const SPENT = Symbol('bytes that patches have made');

/** The patch that went over the bound. */
export class TooMuchPatchedError extends Error {
  readonly patch: Patch;

  constructor(patch: Patch) {
    super('what patches make of one resource is over its bound');
    this.patch = patch;
  }
}

/** Before a patch's value is put somewhere; it may be put into every route that there is. */
export function spend(reader: Reader, patch: Patch): void {
  const spent = reader.once(SPENT, () => ({ bytes: 0 }));
  spent.bytes += Math.max(patch.bytes, LEAST_BYTES);
  if (spent.bytes > MAX_PATCHED_BYTES) throw new TooMuchPatchedError(patch);
}
