import { durationMs } from '@outrigger/resources';
import type { Outcome } from '../../packages/cli/src/simulate/outcome.ts';

/** What a backend does with a request. */
export interface BackendBehavior {
  readonly ResponseHeaders?: Readonly<Record<string, string>>;
  /** Before it answers ("500ms"); where it fails at first, each failing answer. */
  readonly Delay?: string | number;
  readonly FailTimes?: number;
  /** A status, or "reset". */
  readonly FailWith?: number | string;
}

const RESET_STATUS = 503;
const TIMEOUT_STATUS = 504;
const NANOSECONDS_IN_MS = 1e6;
/** A duration of a second or more in a unit that is not written is of nanoseconds, as Go has it. */
const LEAST_NANOSECONDS = 1e6;

/** The status that the client sees of a backend that behaves so: by the timeouts and retries of the route. */
export function statusWith({ status, timeoutMs, retries }: Pick<Outcome, 'status' | 'timeoutMs' | 'retries'>, behavior: BackendBehavior): number {
  const delayMs = milliseconds(behavior.Delay);
  const failing = behavior.FailTimes ?? 0;
  const perTryMs = retries?.perTryTimeoutMs ?? 0;
  const tries = 1 + (retries?.attempts ?? 0);
  let elapsedMs = 0;
  let last = status;
  for (let number = 1; number <= tries; number++) {
    const fails = number <= failing;
    const takesMs = failing === 0 || fails ? delayMs : 0;
    const cut = perTryMs > 0 && takesMs > perTryMs;
    elapsedMs += cut ? perTryMs : takesMs;
    if (timeoutMs > 0 && elapsedMs > timeoutMs) return TIMEOUT_STATUS;
    if (cut) last = TIMEOUT_STATUS;
    else if (!fails) return status;
    else last = behavior.FailWith === 'reset' ? RESET_STATUS : Number(behavior.FailWith ?? RESET_STATUS);
    if (!repeats(retries, last, cut || behavior.FailWith === 'reset')) return last;
  }
  return last;
}

function repeats(retries: Outcome['retries'], status: number, withoutAnswer: boolean): boolean {
  const on = new Set(retries?.on.split(',').map((word) => word.trim()));
  if (on.has('5xx') && status >= 500) return true;
  if (on.has('gateway-error') && [502, 503, 504].includes(status)) return true;
  if (on.has('reset') && withoutAnswer) return true;
  if (on.has('retriable-4xx') && status === 409) return true;
  return retries?.codes.includes(status) ?? false;
}

function milliseconds(delay: BackendBehavior['Delay']): number {
  if (delay === undefined) return 0;
  if (typeof delay === 'number') return delay >= LEAST_NANOSECONDS ? delay / NANOSECONDS_IN_MS : delay;
  const found = durationMs(delay);
  if (found === undefined) throw new Error(`"${delay}" is no duration`);
  return found;
}
