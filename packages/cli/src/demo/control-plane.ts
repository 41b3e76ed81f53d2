import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { lockFile } from '@outrigger/control-plane/directory-lock';
import { CliError } from '../error.ts';
import { Child } from '../workload/child.ts';

const readyMs = 15_000;
/** Of its log, for the message of a failed start. */
const maxComplaint = 4000;

export interface DemoControlPlane {
  readonly child: Child;
  /** The dashboard's address with a one-time token. */
  readonly dashboard: string;
}

/** Removes what an earlier demo left: each begins with no configuration. Throws where one runs. */
export function clearState(state: string): void {
  let unlock: (() => void) | undefined;
  try {
    mkdirSync(state, { recursive: true, mode: 0o700 });
    unlock = lockFile(join(state, 'lock'));
    if (unlock === undefined)
      throw new CliError('a control plane runs with this state directory', { where: state, next: 'end it, or choose another one (rig --state DIR demo)' });
    for (const name of ['store', 'sidecars']) rmSync(join(state, name), { recursive: true, force: true });
  } catch (cause) {
    if (cause instanceof CliError) throw cause;
    throw new CliError(`the demo's state cannot be cleared: ${(cause as Error).message}`, { where: state, next: 'choose another --state', cause });
  } finally {
    unlock?.();
  }
}

/** `rig up` as a process of its own: the demo outlives it. `onChild` is called before it is ready. */
export async function startControlPlane(state: string, xdsPort: number, dashboardPort: number, onChild: (child: Child) => void): Promise<DemoControlPlane> {
  const rig = process.env['OUTRIGGER_RIG'] ?? process.argv[1] ?? '';
  const addresses = ['--xds-address', `127.0.0.1:${xdsPort}`, '--dashboard-address', `127.0.0.1:${dashboardPort}`];
  const child = new Child(
    [process.execPath, rig, '--state', state, 'up', '-o', 'json', ...addresses],
    { stdio: ['ignore', 'pipe', 'pipe'], detached: true },
    'TERM',
  );
  onChild(child);
  let complaint = '';
  child.process.stderr?.on('data', (chunk: Buffer) => {
    complaint = (complaint + chunk.toString()).slice(-maxComplaint);
  });
  let timer: NodeJS.Timeout | undefined;
  try {
    return await new Promise<DemoControlPlane>((resolve, reject) => {
      timer = setTimeout(() => reject(new CliError(`the control plane was not ready within ${readyMs / 1000} s`, { where: complaint.trim() })), readyMs);
      let text = '';
      child.process.stdout?.on('data', (chunk: Buffer) => {
        text += chunk.toString();
        try {
          resolve({ child, dashboard: (JSON.parse(text) as { dashboard: string }).dashboard });
        } catch {
          // Not whole yet.
        }
      });
      child.exited.then(({ code }) => reject(new CliError(`the control plane ended with ${code}`, { where: complaint.trim() })), reject);
    });
  } finally {
    clearTimeout(timer);
  }
}
