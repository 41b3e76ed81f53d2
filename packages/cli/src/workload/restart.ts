import type { SupervisorState } from './directory.ts';
import type { Sidecar } from './sidecar.ts';

/** Asks the supervisor of a sidecar to replace its proxy. */
export const RESTART_SIGNAL = 'SIGUSR2';

/** Replaces the proxy at each signal, and keeps a note of what became of it beside the instance, for `rig restart`. */
export function answerRestarts(sidecar: Sidecar, log: (message: string) => void): void {
  let restarts = 0;
  const note = (error: string): void => {
    const state: SupervisorState = { pid: process.pid, proxyPid: sidecar.proxyPid, restarts, error };
    sidecar.directory.write(sidecar.directory.supervisor, JSON.stringify(state));
  };
  process.on(RESTART_SIGNAL, () => {
    if (!sidecar.ready) {
      restarts++;
      note('the sidecar is not ready yet, or is ending');
      return;
    }
    sidecar.restartProxy().then(
      () => {
        restarts++;
        log(`the proxy was replaced; it is process ${sidecar.proxyPid} now`);
        note('');
      },
      (error: Error) => {
        restarts++;
        log(error.message);
        note(error.message);
      },
    );
  });
  note('');
}
