import { existsSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { apiSocket } from './api/control-plane.ts';

/** Where a mesh keeps what it knows, unless --state or OUTRIGGER_STATE says otherwise. */
export function defaultStateDirectory(): string {
  return join(homedir(), '.outrigger');
}

/** The demo's mesh is apart from the user's own. */
export function demoStateDirectory(): string {
  return join(defaultStateDirectory(), 'demo');
}

/** The mesh that a command without --state means: the user's, or the demo's where only that one runs. */
export function meshDirectory(): string {
  const own = defaultStateDirectory();
  return !existsSync(apiSocket(own)) && existsSync(apiSocket(demoStateDirectory())) ? demoStateDirectory() : own;
}
