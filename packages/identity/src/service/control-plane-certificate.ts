import { makeKeyAndCsr } from '../agent/key-and-csr.ts';
import { renewalTimeMs, retryDelayMs } from '../agent/renewal.ts';
import type { Authority } from '../ca/authority.ts';
import type { Clock } from '../clock.ts';
import type { Svid } from '../svid.ts';

export interface ControlPlaneCertificateOptions {
  readonly authority: Authority;
  readonly clock: Clock;
  /** Beside `localhost` and `outrigger`. */
  readonly dnsNames?: readonly string[];
  /** Beside 127.0.0.1 and ::1. */
  readonly ipAddresses?: readonly string[];
  readonly random?: () => number;
  /** A renewal failed; it is tried again. */
  readonly onError?: (error: Error) => void;
}

/** The control plane's own serving certificate, always fresh. */
export interface ControlPlaneCertificate {
  current(): Svid;
  /** A new certificate or a new trust bundle: give it to every server (`setSecureContext`). */
  onChange(listener: (svid: Svid) => void): () => void;
  stop(): void;
}

const DNS_NAMES = ['localhost', 'outrigger'];
const IP_ADDRESSES = ['127.0.0.1', '::1'];

/** Issues it and renews it at half life, and at once when the roots change. */
export async function createControlPlaneCertificate(options: ControlPlaneCertificateOptions): Promise<ControlPlaneCertificate> {
  const { authority, clock, random = Math.random } = options;
  const names = {
    dnsNames: [...new Set([...DNS_NAMES, ...(options.dnsNames ?? [])])],
    ipAddresses: [...new Set([...IP_ADDRESSES, ...(options.ipAddresses ?? [])])],
  };
  const listeners = new Set<(svid: Svid) => void>();
  let stopped = false;
  let failures = 0;
  let cancel: (() => void) | undefined;
  let svid = await issue();
  const stopWatching = authority.onTrustBundleChange(() => void renew());
  wait(renewalTimeMs(clock.now(), svid.notAfterMs, random()));

  async function issue(): Promise<Svid> {
    const { privateKeyPem, csrDer } = await makeKeyAndCsr(undefined);
    return { ...(await authority.signControlPlane(csrDer, names)), privateKeyPem };
  }

  async function renew(): Promise<void> {
    cancel?.();
    try {
      const next = await issue();
      if (stopped) return;
      svid = next;
      failures = 0;
      for (const listener of [...listeners]) listener(svid);
      wait(renewalTimeMs(clock.now(), svid.notAfterMs, random()));
    } catch (error) {
      if (stopped) return;
      failures += 1;
      options.onError?.(error as Error);
      wait(clock.now() + retryDelayMs(failures, svid.notAfterMs - clock.now(), random()));
    }
  }

  /** In short sleeps, since timers stand still while a machine sleeps. */
  function wait(atMs: number): void {
    cancel?.();
    const waitMs = atMs - clock.now();
    if (waitMs <= 0) void renew();
    else cancel = clock.after(Math.min(waitMs, 30_000), () => wait(atMs));
  }

  return {
    current: () => svid,
    onChange(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    stop() {
      stopped = true;
      cancel?.();
      stopWatching();
      listeners.clear();
    },
  };
}
