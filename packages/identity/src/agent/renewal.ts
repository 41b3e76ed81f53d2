/** At half life, give or take a tenth of it, so that workloads started together do not renew together. */
export function renewalTimeMs(issuedAtMs: number, notAfterMs: number, random: number): number {
  const lifeMs = Math.max(notAfterMs - issuedAtMs, 0);
  return issuedAtMs + lifeMs * (0.45 + 0.1 * random);
}

const FIRST_RETRY_MS = 200;
const LAST_RETRY_MS = 30_000;
const LEAST_RETRY_MS = 50;
/** Of what is left of the certificate: several tries fit in before it ends, however short its life. */
const RETRY_SHARE = 0.2;

/** Wait before try number `failures` + 1: exponential from 200 ms to 30 s, half of it jitter, and short enough for what is left of the certificate. */
export function retryDelayMs(failures: number, remainingMs: number, random: number): number {
  const backoffMs = Math.min(FIRST_RETRY_MS * 2 ** Math.min(failures - 1, 16), LAST_RETRY_MS);
  const boundMs = remainingMs > 0 ? Math.min(backoffMs, remainingMs * RETRY_SHARE) : backoffMs;
  return Math.max(boundMs * (0.5 + 0.5 * random), LEAST_RETRY_MS);
}
