import { createSecureContext, type SecureContext } from 'node:tls';
import type { SecretStore } from '@outrigger/xds';
import { type Clock, systemClock } from '../clock.ts';
import { IdentityError } from '../identity-error.ts';
import { parseSpiffeId, type SpiffeId } from '../spiffe/spiffe-id.ts';
import type { Svid } from '../svid.ts';
import { tlsOptions } from '../tls/options.ts';
import { acceptSvid, type ExpectedIdentity } from './accept.ts';
import { type KeptIdentity, loadIdentity, saveIdentity } from './identity-file.ts';
import { type KeyAndCsr, makeKeyAndCsr } from './key-and-csr.ts';
import { preparePrivateDirectory } from './private-file.ts';
import { renewalTimeMs, retryDelayMs } from './renewal.ts';
import { SvidSecrets } from './secrets.ts';
import { type ControlPlaneTarget, controlPlaneIdOf, type SignClient, signClient } from './sign-client.ts';

export interface AgentOptions {
  readonly namespace: string;
  readonly serviceAccount: string;
  /** Absent: the control plane's. */
  readonly trustDomain?: string;
  readonly controlPlane: ControlPlaneTarget;
  /** Made 0700; holds the identity (0600) over restarts. */
  readonly directory: string;
  /** Asked-for life. Default 0: the control plane's default. */
  readonly ttlSeconds?: number;
  readonly clock?: Clock;
  /** 0 to 1, for jitter. */
  readonly random?: () => number;
  /** Told of each certificate, failure and change of state, for the log. No secrets. */
  readonly onEvent?: (event: AgentEvent) => void;
  /** Default: a client of `controlPlane`. */
  readonly sign?: SignClient;
}

export type AgentEvent =
  | { readonly kind: 'loaded' | 'issued'; readonly spiffeId: string; readonly notAfterMs: number }
  /** The next try is at `retryAtMs`. */
  | { readonly kind: 'failed'; readonly error: IdentityError; readonly retryAtMs: number }
  /** The identity serves, but is not kept for a restart; or what was kept cannot be used. */
  | { readonly kind: 'disk'; readonly error: IdentityError };

export interface AgentState {
  /** '' before the first certificate. */
  readonly spiffeId: string;
  /** 0 before the first certificate. */
  readonly notAfterMs: number;
  /** Negative: expired so long ago. 0 before the first certificate. */
  readonly remainingMs: number;
  readonly issuedAtMs: number;
  readonly renewals: number;
  /** '' where the last try succeeded. */
  readonly lastError: string;
  /** When it renews or tries again; 0: a try is under way. */
  readonly nextAttemptMs: number;
}

/** What one connection to the control plane needs (xds `ClientTls`). */
export interface AgentClientTls {
  readonly secureContext: SecureContext;
  readonly serverSpiffeId: string;
}

/** Holds one workload's identity: makes the key, gets it certified, renews it. */
export interface WorkloadAgent {
  /**
   * Resolves once there is a valid identity, from the control plane or from the disk. Rejects with an `IdentityError` when the control plane
   * refuses, when the agent is stopped, or after `timeoutMs` (default 15 s) with the last failure; the agent itself goes on trying.
   */
  ready(timeoutMs?: number): Promise<Svid>;
  /** The last identity, also when it has expired; undefined before the first. */
  current(): Svid | undefined;
  readonly secrets: SecretStore;
  /** Of the last identity. Throws `not-ready` before the first. */
  clientTls(): AgentClientTls;
  /** The id that the control plane has to show. Throws `not-ready` while the trust domain is unknown. */
  readonly controlPlaneId: string;
  state(): AgentState;
  /** Renews now, for instance because the roots to trust have changed. */
  renew(): void;
  onChange(listener: (svid: Svid) => void): () => void;
  stop(): void;
}

const DEFAULT_READY_TIMEOUT_MS = 15_000;
const MAX_CALL_MS = 5_000;
const MIN_CALL_MS = 250;
/** A machine that slept does not advance its timers; the wall clock is looked at again at least so often. */
const MAX_SLEEP_MS = 30_000;
/** These do not get better by waiting: somebody has to do something. */
const HOPELESS: readonly string[] = ['refused', 'pin-mismatch', 'token-malformed', 'identity-invalid'];

export function createAgent(options: AgentOptions): WorkloadAgent {
  const agent = new Agent(options);
  agent.start();
  return agent;
}

class Agent implements WorkloadAgent {
  readonly #options: AgentOptions;
  readonly #clock: Clock;
  readonly #random: () => number;
  readonly #sign: SignClient;
  readonly #expected: ExpectedIdentity;
  readonly secrets = new SvidSecrets();
  readonly #listeners = new Set<(svid: Svid) => void>();
  readonly #waiting = new Set<{ resolve: (svid: Svid) => void; reject: (error: IdentityError) => void }>();
  #kept: KeptIdentity | undefined;
  /** Kept over failed tries: the control plane may have used up a join token for this key before its answer was lost. */
  #pendingKey: KeyAndCsr | undefined;
  #clientTls: { svid: Svid; tls: AgentClientTls } | undefined;
  #lastError: IdentityError | undefined;
  #failures = 0;
  #renewals = 0;
  #nextAttemptMs = 0;
  #cancelTimer: (() => void) | undefined;
  #attempting = false;
  #again = false;
  #stopped = false;

  constructor(options: AgentOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock();
    this.#random = options.random ?? Math.random;
    this.#sign = options.sign ?? signClient(options.controlPlane);
    this.#expected = { trustDomain: options.trustDomain, namespace: options.namespace, serviceAccount: options.serviceAccount };
  }

  start(): void {
    void this.#load().then(() => {
      if (this.#stopped) return;
      const kept = this.#kept;
      this.#schedule(kept === undefined ? this.#clock.now() : renewalTimeMs(kept.issuedAtMs, kept.svid.notAfterMs, this.#random()));
    });
  }

  async #load(): Promise<void> {
    try {
      await preparePrivateDirectory(this.#options.directory);
      const kept = await loadIdentity(this.#options.directory, this.#expected, this.#clock.now());
      if (kept === undefined || this.#stopped) return;
      this.#take(kept);
      this.#options.onEvent?.({ kind: 'loaded', spiffeId: kept.svid.spiffeId, notAfterMs: kept.svid.notAfterMs });
    } catch (error) {
      this.#options.onEvent?.({ kind: 'disk', error: asIdentityError(error) });
    }
  }

  #schedule(atMs: number): void {
    this.#cancelTimer?.();
    this.#nextAttemptMs = atMs;
    const wake = () => {
      const waitMs = atMs - this.#clock.now();
      if (waitMs <= 0) void this.#attempt();
      else this.#cancelTimer = this.#clock.after(Math.min(waitMs, MAX_SLEEP_MS), wake);
    };
    wake();
  }

  async #attempt(): Promise<void> {
    this.#cancelTimer?.();
    this.#attempting = true;
    this.#nextAttemptMs = 0;
    try {
      const kept = await this.#request();
      if (this.#stopped) return;
      this.#pendingKey = undefined;
      this.#failures = 0;
      this.#lastError = undefined;
      if (this.#kept !== undefined) this.#renewals += 1;
      // On disk first: what peers may see of this identity survives a crash.
      await this.#save(kept);
      if (this.#stopped) return;
      this.#take(kept);
      this.#options.onEvent?.({ kind: 'issued', spiffeId: kept.svid.spiffeId, notAfterMs: kept.svid.notAfterMs });
      this.#schedule(renewalTimeMs(kept.issuedAtMs, kept.svid.notAfterMs, this.#random()));
    } catch (error) {
      if (!this.#stopped) this.#failed(asIdentityError(error));
    } finally {
      this.#attempting = false;
      if (this.#again && !this.#stopped) {
        this.#again = false;
        this.#schedule(this.#clock.now());
      }
    }
  }

  async #request(): Promise<KeptIdentity> {
    const { namespace, serviceAccount, ttlSeconds = 0 } = this.#options;
    const remainingMs = this.#remainingMs();
    this.#pendingKey ??= await makeKeyAndCsr(undefined);
    const { csrDer, privateKeyPem } = this.#pendingKey;
    const timeoutMs = remainingMs > 0 ? Math.min(MAX_CALL_MS, Math.max(remainingMs / 2, MIN_CALL_MS)) : MAX_CALL_MS;
    const issuedAtMs = this.#clock.now();
    const answer = await this.#sign({ csrDer, namespace, serviceAccount, ttlSeconds, timeoutMs, current: remainingMs > 0 ? this.#kept?.svid : undefined });
    const parts = { privateKeyPem, certificateChainPem: answer.certificateChainPem, trustBundlePem: answer.trustBundlePem };
    return { svid: acceptSvid(parts, this.#expected, this.#clock.now()), issuedAtMs };
  }

  async #save(kept: KeptIdentity): Promise<void> {
    try {
      await saveIdentity(this.#options.directory, kept);
    } catch (error) {
      this.#options.onEvent?.({ kind: 'disk', error: asIdentityError(error) });
    }
  }

  #take(kept: KeptIdentity): void {
    this.#kept = kept;
    this.secrets.set(kept.svid);
    for (const listener of [...this.#listeners]) listener(kept.svid);
    for (const waiter of this.#waiting) waiter.resolve(kept.svid);
    this.#waiting.clear();
  }

  #failed(error: IdentityError): void {
    this.#failures += 1;
    this.#lastError = error;
    const retryAtMs = this.#clock.now() + retryDelayMs(this.#failures, this.#remainingMs(), this.#random());
    this.#options.onEvent?.({ kind: 'failed', error, retryAtMs });
    if (HOPELESS.includes(error.code)) this.#rejectWaiting(error);
    this.#schedule(retryAtMs);
  }

  #rejectWaiting(error: IdentityError): void {
    for (const waiter of this.#waiting) waiter.reject(error);
    this.#waiting.clear();
  }

  #remainingMs(): number {
    return this.#kept === undefined ? 0 : this.#kept.svid.notAfterMs - this.#clock.now();
  }

  ready(timeoutMs = DEFAULT_READY_TIMEOUT_MS): Promise<Svid> {
    if (this.#kept !== undefined && this.#remainingMs() > 0) return Promise.resolve(this.#kept.svid);
    return new Promise((resolve, reject) => {
      const settle = () => {
        cancel();
        this.#waiting.delete(waiter);
      };
      const waiter = {
        resolve: (svid: Svid) => {
          settle();
          resolve(svid);
        },
        reject: (error: IdentityError) => {
          settle();
          reject(error);
        },
      };
      const cancel = this.#clock.after(timeoutMs, () =>
        waiter.reject(this.#lastError ?? notReady(`the control plane has not answered within ${timeoutMs} ms`)),
      );
      this.#waiting.add(waiter);
      if (this.#stopped) waiter.reject(notReady('the agent is stopped'));
      else if (this.#lastError !== undefined && HOPELESS.includes(this.#lastError.code)) waiter.reject(this.#lastError);
    });
  }

  current(): Svid | undefined {
    return this.#kept?.svid;
  }

  clientTls(): AgentClientTls {
    const svid = this.#kept?.svid;
    if (svid === undefined) throw notReady('there is no certificate yet');
    if (this.#clientTls?.svid !== svid)
      this.#clientTls = { svid, tls: { secureContext: createSecureContext(tlsOptions(svid)), serverSpiffeId: this.controlPlaneId } };
    return this.#clientTls.tls;
  }

  get controlPlaneId(): string {
    const svid = this.#kept?.svid;
    const trustDomain = svid === undefined ? this.#options.trustDomain : (parseSpiffeId(svid.spiffeId) as SpiffeId).trustDomain;
    if (trustDomain === undefined) throw notReady('there is no certificate yet');
    return controlPlaneIdOf(trustDomain, this.#options.controlPlane);
  }

  state(): AgentState {
    return {
      spiffeId: this.#kept?.svid.spiffeId ?? '',
      notAfterMs: this.#kept?.svid.notAfterMs ?? 0,
      remainingMs: this.#remainingMs(),
      issuedAtMs: this.#kept?.issuedAtMs ?? 0,
      renewals: this.#renewals,
      lastError: this.#lastError?.message ?? '',
      nextAttemptMs: this.#nextAttemptMs,
    };
  }

  renew(): void {
    if (this.#stopped) return;
    if (this.#attempting) this.#again = true;
    else this.#schedule(this.#clock.now());
  }

  onChange(listener: (svid: Svid) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  stop(): void {
    this.#stopped = true;
    this.#cancelTimer?.();
    this.#rejectWaiting(notReady('the agent was stopped'));
    this.#listeners.clear();
  }
}

function notReady(why: string): IdentityError {
  return new IdentityError('not-ready', `The workload has no identity: ${why}.`);
}

function asIdentityError(error: unknown): IdentityError {
  return error instanceof IdentityError ? error : new IdentityError('unreachable', `No certificate: ${(error as Error).message}.`, { cause: error });
}
