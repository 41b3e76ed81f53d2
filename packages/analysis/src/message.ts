import type { Json, ResourceRef } from '@outrigger/resources';

export type Level = 'Error' | 'Warning' | 'Info';

/** What to write in the place of one field. */
export interface Fix {
  /** "spec.http[0].match[0].uri.regex" */
  readonly path: string;
  /** The field's new name; absent: it keeps its own. */
  readonly rename?: string;
  /** Its new value; absent: it keeps its own. */
  readonly value?: Json;
}

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
  /** Where that is mechanical. */
  readonly fix?: Fix;
}
