/** One Ctrl-C comes several times: from the terminal to all of its processes, and once more from each launcher in between. */
const repeatMs = 500;

/** What is still open this long after the work is done keeps no process. */
const lingerMs = 1000;

/** Ends the process with a code, as soon as nothing is open any more or after a moment. */
export function exitSoon(code: number): void {
  process.exitCode = code;
  setTimeout(() => process.exit(), lingerMs).unref();
}

/** `stop` at the first signal that asks to end, `force` when somebody asks again. */
export function onStopSignals(
  stop: (signal: NodeJS.Signals) => void,
  force: (signal: NodeJS.Signals) => void,
  signals: readonly NodeJS.Signals[] = ['SIGINT', 'SIGTERM', 'SIGHUP'],
): void {
  let firstMs: number | undefined;
  for (const signal of signals) {
    process.on(signal, () => {
      const nowMs = performance.now();
      if (firstMs === undefined) {
        firstMs = nowMs;
        stop(signal);
      } else if (nowMs - firstMs > repeatMs) force(signal);
    });
  }
}
