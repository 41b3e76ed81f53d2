import { createHash } from 'node:crypto';
import type { X509Certificate } from '@peculiar/x509';
import type { Clock } from '../clock.ts';
import { IdentityError } from '../identity-error.ts';
import { formatSpiffeId, trustDomainFault, type WorkloadIdentity, workloadIdentityFault } from '../spiffe/spiffe-id.ts';
import type { IssuedSvid } from '../svid.ts';
import type { CaStore } from './ca-store.ts';
import { makeLeaf, makeRoot, openRoot, type RootKeyPair } from './certificate.ts';
import { type AllowedNames, verifyCsr } from './csr.ts';
import { certificateFingerprint } from './fingerprint.ts';
import { decodeRootRecord, encodeRootRecord, ROOT_RECORD_KEY, type RootEntry, type RootRecord, type RootState } from './root-record.ts';

export const MIN_TTL_MS = 1000;
export const MAX_TTL_MS = 7 * 24 * 3600 * 1000;
export const DEFAULT_TTL_MS = 24 * 3600 * 1000;
/** For clocks that differ; short-lived certificates are backdated by a tenth of their life only. */
export const MAX_BACKDATE_MS = 60_000;
const ROOT_LIFE_MS = 10 * 365.25 * 24 * 3600 * 1000;
const NO_NAMES: AllowedNames = { dnsNames: [], ipAddresses: [] };

export interface AuthorityOptions {
  readonly trustDomain: string;
  /** The control plane's own workload identity, never given to anybody who asks for it over the wire. */
  readonly controlPlane?: { readonly namespace: string; readonly serviceAccount: string };
  /** Default 24 h. */
  readonly defaultTtlMs?: number;
  /** Asked-for lives are shortened to this; default and bound 7 days. */
  readonly maxTtlMs?: number;
}

/** The roots to trust now. */
export interface TrustBundle {
  /** Signing root first. */
  readonly rootsPem: readonly string[];
  /** base64url SHA-256 of each root's DER, in the same order. */
  readonly fingerprints: readonly string[];
  /** Changes exactly when the set does. */
  readonly version: string;
}

export interface RootStatus {
  readonly fingerprint: string;
  readonly state: RootState;
  readonly notAfterMs: number;
}

/** Issues SVIDs under its root, and replaces the root without a moment in which somebody's certificate is not trusted. */
export interface Authority {
  readonly trustDomain: string;
  readonly defaultTtlMs: number;
  readonly maxTtlMs: number;
  readonly controlPlaneIdentity: WorkloadIdentity;
  trustBundle(): TrustBundle;
  roots(): readonly RootStatus[];
  /** Checks a CSR as `sign` does, without signing. */
  check(csrDer: Uint8Array, identity: WorkloadIdentity): Promise<void>;
  /**
   * An SVID with the identity's URI as its only name. `ttlMs` (default `defaultTtlMs`) is shortened to `maxTtlMs`; its end is rounded up to
   * the next whole second. Throws `IdentityError`.
   */
  sign(csrDer: Uint8Array, identity: WorkloadIdentity, ttlMs?: number): Promise<IssuedSvid>;
  /** The control plane's own serving certificate, the only one with DNS and IP names. For the process that holds the authority. */
  signControlPlane(csrDer: Uint8Array, names: AllowedNames, ttlMs?: number): Promise<IssuedSvid>;
  /** First step of a rotation: a new root, trusted from now on, that signs nothing yet. */
  prepareRoot(): Promise<void>;
  /** Second step, once every workload has the new bundle: the new root signs; the old one is trusted while anything it signed may be valid. */
  activateRoot(): Promise<void>;
  onTrustBundleChange(listener: (bundle: TrustBundle) => void): () => void;
  close(): void;
}

interface OpenRoot extends RootKeyPair {
  readonly entry: RootEntry;
  readonly pem: string;
  readonly fingerprint: string;
  readonly notAfterMs: number;
}

/** Opens the authority kept in the store, or makes a new root there. Throws `IdentityError` where the store is broken or of another trust domain. */
export async function createAuthority(store: CaStore, clock: Clock, options: AuthorityOptions): Promise<Authority> {
  const { trustDomain } = options;
  const maxTtlMs = Math.min(options.maxTtlMs ?? MAX_TTL_MS, MAX_TTL_MS);
  const defaultTtlMs = Math.min(options.defaultTtlMs ?? DEFAULT_TTL_MS, maxTtlMs);
  const controlPlaneIdentity: WorkloadIdentity = { trustDomain, ...(options.controlPlane ?? { namespace: 'istio-system', serviceAccount: 'outrigger' }) };
  const fault = trustDomainFault(trustDomain) ?? workloadIdentityFault(controlPlaneIdentity);
  if (fault !== undefined) throw new IdentityError('identity-invalid', `The certificate authority cannot start: ${fault}.`);
  for (const ttlMs of [defaultTtlMs, maxTtlMs]) checkTtl(ttlMs);

  const listeners = new Set<(bundle: TrustBundle) => void>();
  let cancelRetirement: (() => void) | undefined;
  let changing: Promise<void> = Promise.resolve();
  let roots = await load();
  let bundle = bundleOf(roots);
  watchRetirement();

  async function load(): Promise<readonly OpenRoot[]> {
    const stored = await store.get(ROOT_RECORD_KEY);
    if (stored !== undefined) return openAll(decodeRootRecord(stored, trustDomain).roots);
    const entries = [await newRootEntry('signing')];
    await save(entries);
    return openAll(entries);
  }

  async function newRootEntry(state: RootState): Promise<RootEntry> {
    const now = clock.now();
    return { ...(await makeRoot(trustDomain, now - MAX_BACKDATE_MS, now + ROOT_LIFE_MS)), state, retireAtMs: 0 };
  }

  async function save(entries: readonly RootEntry[]): Promise<void> {
    const record: RootRecord = { version: 1, trustDomain, roots: entries };
    await store.put(ROOT_RECORD_KEY, encodeRootRecord(record));
  }

  /** One change of the set at a time, stored before it is in force. */
  function change(next: (entries: readonly RootEntry[]) => Promise<readonly RootEntry[]>): Promise<void> {
    const done = changing.then(async () => {
      const entries = await next(roots.map((root) => root.entry));
      await save(entries);
      roots = await openAll(entries);
      watchRetirement();
      const after = bundleOf(roots);
      const same = after.version === bundle.version;
      bundle = after;
      if (same) return;
      for (const listener of [...listeners]) listener(bundle);
    });
    changing = done.catch(() => undefined);
    return done;
  }

  function watchRetirement(): void {
    cancelRetirement?.();
    const retiring = roots.filter((root) => root.entry.state === 'retiring');
    if (retiring.length === 0) return;
    const firstMs = Math.min(...retiring.map((root) => root.entry.retireAtMs));
    cancelRetirement = clock.after(firstMs - clock.now(), () => {
      // A failed write leaves the root trusted, which is harmless; it is tried again with the next change or start.
      change(async (entries) => entries.filter((entry) => entry.state !== 'retiring' || entry.retireAtMs > clock.now())).catch(() => undefined);
    });
  }

  async function issue(csrDer: Uint8Array, identity: WorkloadIdentity, names: AllowedNames, ttlMs: number): Promise<IssuedSvid> {
    const spiffeId = idOf(identity);
    const csr = await verifyCsr(csrDer, spiffeId, names);
    checkTtl(ttlMs);
    const root = signingRoot();
    const now = clock.now();
    const notAfterMs = Math.min(now + Math.min(ttlMs, maxTtlMs), root.notAfterMs);
    if (notAfterMs <= now)
      throw new IdentityError('root-expired', `The root certificate of "${trustDomain}" has expired; rotate the root of the certificate authority.`);
    const notBeforeMs = now - Math.min(MAX_BACKDATE_MS, (notAfterMs - now) / 10);
    const leaf = await makeLeaf(root, { csr, spiffeId, names, notBeforeMs, notAfterMs });
    return {
      spiffeId,
      certificateChainPem: [pemOf(leaf)],
      trustBundlePem: bundle.rootsPem,
      notBeforeMs: leaf.notBefore.getTime(),
      notAfterMs: leaf.notAfter.getTime(),
    };
  }

  function signingRoot(): OpenRoot {
    return roots.find((root) => root.entry.state === 'signing')!;
  }

  function idOf(identity: WorkloadIdentity): string {
    const invalid = workloadIdentityFault(identity);
    if (invalid !== undefined) throw new IdentityError('identity-invalid', `No certificate can be issued for this identity: ${invalid}.`);
    if (identity.trustDomain !== trustDomain) {
      throw new IdentityError(
        'identity-invalid',
        `This certificate authority issues for "${trustDomain}" only, not for "${identity.trustDomain}". Ask with its trust domain.`,
      );
    }
    return formatSpiffeId(identity);
  }

  function workloadOnly(identity: WorkloadIdentity): void {
    if (identity.namespace === controlPlaneIdentity.namespace && identity.serviceAccount === controlPlaneIdentity.serviceAccount) {
      throw new IdentityError(
        'identity-reserved',
        `${formatSpiffeId(controlPlaneIdentity)} is the control plane's own identity. Run the workload under another service account.`,
      );
    }
  }

  return {
    trustDomain,
    defaultTtlMs,
    maxTtlMs,
    controlPlaneIdentity,
    trustBundle: () => bundle,
    roots: () => roots.map((root) => ({ fingerprint: root.fingerprint, state: root.entry.state, notAfterMs: root.notAfterMs })),
    async check(csrDer, identity) {
      workloadOnly(identity);
      await verifyCsr(csrDer, idOf(identity), NO_NAMES);
    },
    async sign(csrDer, identity, ttlMs = defaultTtlMs) {
      workloadOnly(identity);
      return issue(csrDer, identity, NO_NAMES, ttlMs);
    },
    async signControlPlane(csrDer, names, ttlMs = defaultTtlMs) {
      const root = signingRoot();
      const issued = await issue(csrDer, controlPlaneIdentity, names, ttlMs);
      // A server that shows its root lets a first-time caller find the one that its join token pins.
      return { ...issued, certificateChainPem: [...issued.certificateChainPem, root.pem] };
    },
    prepareRoot: () =>
      change(async (entries) => {
        if (entries.some((entry) => entry.state === 'next')) throw new IdentityError('rotation-state', 'A new root is already prepared; activate it.');
        return [...entries, await newRootEntry('next')];
      }),
    activateRoot: () =>
      change(async (entries) => {
        if (!entries.some((entry) => entry.state === 'next')) throw new IdentityError('rotation-state', 'There is no new root to activate; prepare one first.');
        // A whole second more, since the end of a certificate is rounded up.
        const retireAtMs = clock.now() + maxTtlMs + 1000;
        const turned = entries.map((entry): RootEntry => {
          if (entry.state === 'next') return { ...entry, state: 'signing' };
          return entry.state === 'signing' ? { ...entry, state: 'retiring', retireAtMs } : entry;
        });
        return turned.sort((a, b) => Number(b.state === 'signing') - Number(a.state === 'signing'));
      }),
    onTrustBundleChange(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    close() {
      cancelRetirement?.();
      listeners.clear();
    },
  };
}

function checkTtl(ttlMs: number): void {
  if (!Number.isFinite(ttlMs) || ttlMs < MIN_TTL_MS) {
    throw new IdentityError(
      'ttl-out-of-range',
      `A certificate lives at least ${MIN_TTL_MS / 1000} s and at most ${MAX_TTL_MS / 3_600_000} h; ask for a life between.`,
    );
  }
}

async function openAll(entries: readonly RootEntry[]): Promise<readonly OpenRoot[]> {
  return Promise.all(entries.map(openEntry));
}

async function openEntry(entry: RootEntry): Promise<OpenRoot> {
  try {
    const pair = await openRoot(entry);
    const fingerprint = certificateFingerprint(new Uint8Array(pair.certificate.rawData));
    return { ...pair, entry, pem: pemOf(pair.certificate), fingerprint, notAfterMs: pair.certificate.notAfter.getTime() };
  } catch (cause) {
    throw new IdentityError('store-corrupt', 'A root of the certificate authority in the store cannot be read. Restore the store from a backup.', { cause });
  }
}

function bundleOf(roots: readonly OpenRoot[]): TrustBundle {
  const fingerprints = roots.map((root) => root.fingerprint);
  const version = createHash('sha256')
    .update([...fingerprints].sort().join())
    .digest('hex')
    .slice(0, 16);
  return { rootsPem: roots.map((root) => root.pem), fingerprints, version };
}

function pemOf(certificate: X509Certificate): string {
  return `${certificate.toString('pem')}\n`;
}
