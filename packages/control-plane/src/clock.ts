import type { Clock } from './options.ts';

/** `setTimeout` fires at once beyond this. */
const MAX_TIMER_MS = 2 ** 31 - 1;

export const systemClock: Clock = {
  now: () => Date.now(),
  after(delayMs, run) {
    const timer = setTimeout(run, Math.min(Math.max(delayMs, 0), MAX_TIMER_MS));
    return () => clearTimeout(timer);
  },
};

/** Calls again and again, the next time only after what was called has ended. Returns what stops it. */
export function every(clock: Clock, intervalMs: number, run: () => void | Promise<void>): () => void {
  let stopped = false;
  let cancel = () => {};
  const next = (): void => {
    if (stopped) return;
    cancel = clock.after(intervalMs, () => void Promise.resolve(run()).then(next, next));
  };
  next();
  return () => {
    stopped = true;
    cancel();
  };
}
