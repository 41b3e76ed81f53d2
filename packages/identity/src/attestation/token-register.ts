import { createHash, timingSafeEqual } from 'node:crypto';
import type { CaStore } from '../ca/ca-store.ts';
import type { Clock } from '../clock.ts';
import { IdentityError } from '../identity-error.ts';
import { type WorkloadIdentity, workloadIdentityFault } from '../spiffe/spiffe-id.ts';
import { formatJoinToken, newJoinToken, parseJoinToken } from './join-token.ts';

export const DEFAULT_TOKEN_TTL_MS = 3_600_000;
const MAX_TOKEN_TTL_MS = 365 * 24 * 3_600_000;
/** Expired tokens make room first. */
export const MAX_TOKENS = 10_000;
const TOKEN_RECORD_KEY = 'ca/join-tokens';

export interface NewToken {
  readonly identity: WorkloadIdentity;
  /** 'single': for one key; the same key may ask again, so that a lost answer does not burn the token. */
  readonly uses: 'single' | 'multiple';
  /** Default 1 h, at most 365 days. */
  readonly ttlMs?: number;
}

/** A token as it may be shown: no secret. */
export interface TokenView {
  readonly id: string;
  readonly namespace: string;
  readonly serviceAccount: string;
  readonly uses: 'single' | 'multiple';
  readonly expiresAtMs: number;
  readonly used: boolean;
}

/** A token that was shown, correct, and not yet used up. */
export interface TokenClaim {
  readonly id: string;
  readonly namespace: string;
  readonly serviceAccount: string;
  /** Uses it for this public key (SPKI, DER); durable when it resolves. Throws `token-refused` where another key was faster. */
  redeem(publicKeyDer: Uint8Array): Promise<void>;
}

/** Join tokens: kept hashed, compared in constant time. */
export interface TokenRegister {
  /** The token's text, which exists only in this answer. `pins` are the fingerprints of the roots to trust. */
  create(token: NewToken, pins: readonly string[]): Promise<string>;
  /** Throws `token-malformed` or `token-refused`. */
  claim(text: string): TokenClaim;
  list(): readonly TokenView[];
  /** Whether there was one. */
  revoke(id: string): Promise<boolean>;
}

interface StoredToken {
  readonly id: string;
  /** SHA-256 of the secret, base64url. The secret has 256 random bits, so nothing slower is needed. */
  readonly secretHash: string;
  readonly namespace: string;
  readonly serviceAccount: string;
  readonly uses: 'single' | 'multiple';
  readonly expiresAtMs: number;
  /** SHA-256 of the public key that a single-use token went to; '' while unused. */
  readonly usedByKey: string;
}

export async function createTokenRegister(store: CaStore, clock: Clock): Promise<TokenRegister> {
  let tokens = decode(await store.get(TOKEN_RECORD_KEY));
  let writing: Promise<unknown> = Promise.resolve();
  const noHash = Buffer.alloc(32);

  /** Changes are made one after the other; what `next` throws changes nothing. In force once durable. */
  function change<T>(next: (tokens: Map<string, StoredToken>) => T): Promise<T> {
    const done = writing.then(async () => {
      const after = new Map(tokens);
      const result = next(after);
      await store.put(TOKEN_RECORD_KEY, Buffer.from(JSON.stringify({ version: 1, tokens: [...after.values()] })));
      tokens = after;
      return result;
    });
    writing = done.catch(() => undefined);
    return done;
  }

  return {
    async create({ identity, uses, ttlMs = DEFAULT_TOKEN_TTL_MS }, pins) {
      const fault = workloadIdentityFault(identity);
      if (fault !== undefined) throw new IdentityError('identity-invalid', `No join token can be made: ${fault}.`);
      if (!(ttlMs >= 1000 && ttlMs <= MAX_TOKEN_TTL_MS))
        throw new IdentityError('ttl-out-of-range', 'A join token is valid for at least 1 s and at most 365 days; choose a time between.');
      const token = newJoinToken(pins);
      await change((after) => {
        const now = clock.now();
        for (const [id, old] of after) if (old.expiresAtMs <= now) after.delete(id);
        if (after.size >= MAX_TOKENS) throw new IdentityError('token-refused', `There are ${MAX_TOKENS} join tokens already; revoke some that are not needed.`);
        const { namespace, serviceAccount } = identity;
        after.set(token.id, { id: token.id, secretHash: sha256(token.secret), namespace, serviceAccount, uses, expiresAtMs: now + ttlMs, usedByKey: '' });
      });
      return formatJoinToken(token);
    },
    claim(text) {
      const token = parseJoinToken(text);
      const stored = tokens.get(token.id);
      // An unknown id takes the same comparison, so that time does not tell it from a wrong secret.
      const expected = stored === undefined ? noHash : Buffer.from(stored.secretHash, 'base64url');
      const matches = timingSafeEqual(createHash('sha256').update(token.secret).digest(), expected);
      if (stored === undefined || !matches) throw refused('is not known here (never made, revoked, or of another control plane)');
      if (stored.expiresAtMs <= clock.now()) throw refused('has expired');
      return {
        id: stored.id,
        namespace: stored.namespace,
        serviceAccount: stored.serviceAccount,
        async redeem(publicKeyDer) {
          if (stored.uses === 'multiple') {
            if (!tokens.has(stored.id)) throw refused('was revoked');
            return;
          }
          const key = sha256(publicKeyDer);
          await change((after) => {
            const now = after.get(stored.id);
            if (now === undefined) throw refused('was revoked');
            if (now.usedByKey !== '' && now.usedByKey !== key) throw refused('was for one use and is used');
            after.set(stored.id, { ...now, usedByKey: key });
          });
        },
      };
    },
    list: () =>
      [...tokens.values()].map(({ id, namespace, serviceAccount, uses, expiresAtMs, usedByKey }) => ({
        id,
        namespace,
        serviceAccount,
        uses,
        expiresAtMs,
        used: usedByKey !== '',
      })),
    revoke: (id) => change((after) => after.delete(id)),
  };
}

function decode(bytes: Uint8Array | undefined): Map<string, StoredToken> {
  if (bytes === undefined) return new Map();
  try {
    const record = JSON.parse(Buffer.from(bytes).toString('utf8')) as { version: number; tokens: StoredToken[] };
    if (record.version !== 1) throw new Error(`version ${record.version}`);
    return new Map(record.tokens.map((token) => [token.id, token]));
  } catch (cause) {
    throw new IdentityError('store-corrupt', `The join tokens "${TOKEN_RECORD_KEY}" in the store cannot be read. Restore the store from a backup.`, { cause });
  }
}

function refused(why: string): IdentityError {
  return new IdentityError('token-refused', `The join token ${why}. Make a new one on the control plane's machine and start the workload with it.`);
}

function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('base64url');
}
