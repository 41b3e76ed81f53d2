import type { SupervisorState } from './directory.ts';
import type { Sidecar } from './sidecar.ts';

/** Asks the supervisor of a sidecar to replace its proxy. */
export const RESTART_SIGNAL = 'SIGUSR2';

/** Keeps a note of a proxy's restarts beside its instance, for `rig restart`. */
export class RestartNote {
  readonly #sidecar: Sidecar;
  #restarts = 0;
  #error = '';

  constructor(sidecar: Sidecar) {
    this.#sidecar = sidecar;
    this.#write('');
  }

  /** It is in another process by now. */
  moved(): void {
    this.#write(this.#error);
  }

  /** `error` '': it went well. */
  restarted(error: string): void {
    this.#restarts++;
    this.#write(error);
    this.#error = error;
  }

  #write(error: string): void {
    const { directory, proxyPid } = this.#sidecar;
    const state: SupervisorState = { pid: process.pid, proxyPid, restarts: this.#restarts, error };
    directory.write(directory.supervisor, JSON.stringify(state));
  }
}

/** Replaces the proxy at each signal. */
export function answerRestarts(sidecar: Sidecar, log: (message: string) => void): void {
  const note = new RestartNote(sidecar);
  process.on(RESTART_SIGNAL, () => {
    if (!sidecar.ready) {
      note.restarted('the sidecar is not ready yet, or is ending');
      return;
    }
    sidecar.restartProxy().then(
      () => {
        log(`the proxy was replaced; it is process ${sidecar.proxyPid} now`);
        note.restarted('');
      },
      (error: Error) => {
        log(error.message);
        note.restarted(error.message);
      },
    );
  });
}
