/** One Ctrl-C comes several times: from the terminal to all of its processes, and once more from each launcher in between. */
const repeatMs = 500;

/** `stop` at the first signal that asks to end, `force` when somebody asks again. */
export function onStopSignals(stop: (signal: NodeJS.Signals) => void, force: (signal: NodeJS.Signals) => void): void {
  let firstMs: number | undefined;
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(signal, () => {
      const nowMs = performance.now();
      if (firstMs === undefined) {
        firstMs = nowMs;
        stop(signal);
      } else if (nowMs - firstMs > repeatMs) force(signal);
    });
  }
}
