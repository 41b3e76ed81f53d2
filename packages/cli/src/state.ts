import { homedir } from 'node:os';
import { join } from 'node:path';

/** Where a mesh keeps what it knows, unless --state or OUTRIGGER_STATE says otherwise. */
export function defaultStateDirectory(): string {
  return join(homedir(), '.outrigger');
}
