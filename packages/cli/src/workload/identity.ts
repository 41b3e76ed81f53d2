import { type AgentEvent, IdentityError, type Svid, type WorkloadAgent } from '@outrigger/identity';
import { CliError, ExitCode } from '../error.ts';

/** Waits for the workload's identity, from the control plane or from the disk. Throws a `CliError` that says what to do. */
export async function identityOf(agent: WorkloadAgent): Promise<Svid> {
  // The agent's own timers do not keep a process alive, and so early there is nothing else that would.
  const awake = setInterval(() => {}, 60_000);
  try {
    return await agent.ready();
  } catch (error) {
    agent.stop();
    if (!(error instanceof IdentityError)) throw error;
    throw new CliError(
      error.message,
      error.code === 'unreachable'
        ? {
            next: '`rig up` starts a control plane; `--state DIR` names its state directory, `--control-plane HOST:PORT` one elsewhere',
            exitCode: ExitCode.unreachable,
            cause: error,
          }
        : { cause: error },
    );
  } finally {
    clearInterval(awake);
  }
}

/** Gets a certificate with the new roots where the mesh has others than this identity was given: each stream begins by telling them. */
export function followRoots(agent: Pick<WorkloadAgent, 'current' | 'renew'>, rootsPem: readonly string[]): void {
  const text = (roots: readonly string[]): string =>
    roots
      .map((root) => root.trim())
      .sort()
      .join('\n');
  if (text(rootsPem) !== text(agent.current()?.trustBundlePem ?? [])) agent.renew();
}

/** Logs what happens to an identity: a fault when it comes, not at each try, and its end. */
export function identityLog(log: (message: string) => void): (event: AgentEvent) => void {
  let said = '';
  let certified = false;
  return (event) => {
    switch (event.kind) {
      case 'failed':
        // Before the first certificate a refusal ends the wait for it, which says so.
        if (event.error.message === said || (!certified && event.error.code !== 'unreachable')) return;
        said = event.error.message;
        log(`${said}; trying again`);
        return;
      case 'disk':
        log(event.error.message);
        return;
      default:
        if (said !== '') log(`certified as ${event.spiffeId} until ${new Date(event.notAfterMs).toISOString()}`);
        said = '';
        certified = true;
    }
  };
}
