import type { ResourceRef } from '@outrigger/resources';

export type Level = 'Error' | 'Warning' | 'Info';

/** One thing to know about what was written; the codes and levels are Istio's. The shape that `rig analyze -o json` prints. */
export interface Message {
  /** "IST0101" */
  readonly code: string;
  readonly level: Level;
  readonly message: string;
  readonly resource: ResourceRef;
  /** '' where the resource came without a file. */
  readonly file: string;
  /** 0 where the resource came without a file. */
  readonly line: number;
}
