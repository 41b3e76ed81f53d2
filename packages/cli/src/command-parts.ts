import type { Command, Option } from 'commander';

/** What commands of several files have alike. */
export interface CommandParts {
  readonly output: () => Option;
  readonly example: (command: Command, text: string) => Command;
  /** State directory of the mesh that runs. */
  readonly mesh: () => string;
}

/** Of an option that may be given again. */
export function several(value: string, before: readonly string[]): readonly string[] {
  return [...before, value];
}
