import { IdentityError } from '../identity-error.ts';
import type { StoredRoot } from './certificate.ts';

/** What a root is for now: `next` is already trusted and signs later, `retiring` is still trusted while what it signed is valid. */
export type RootState = 'signing' | 'next' | 'retiring';

export interface RootEntry extends StoredRoot {
  readonly state: RootState;
  /** Retiring roots leave the bundle then; Unix milliseconds. */
  readonly retireAtMs: number;
}

/** All roots in one value: a crash in the midst of a rotation leaves the old set or the new one. */
export interface RootRecord {
  readonly version: 1;
  readonly trustDomain: string;
  readonly roots: readonly RootEntry[];
}

export const ROOT_RECORD_KEY = 'ca/roots';

export function encodeRootRecord(record: RootRecord): Uint8Array {
  return Buffer.from(JSON.stringify(record));
}

/** Throws `store-corrupt`: a fresh root in place of a broken one would cut off every workload in silence. */
export function decodeRootRecord(bytes: Uint8Array, trustDomain: string): RootRecord {
  let record: RootRecord;
  try {
    record = JSON.parse(Buffer.from(bytes).toString('utf8')) as RootRecord;
  } catch (cause) {
    throw new IdentityError('store-corrupt', corrupt('it is no JSON'), { cause });
  }
  if (record?.version !== 1 || !Array.isArray(record.roots)) throw new IdentityError('store-corrupt', corrupt('it is of an unknown form'));
  if (record.roots.filter((root) => root.state === 'signing').length !== 1)
    throw new IdentityError('store-corrupt', corrupt('it has not exactly one signing root'));
  if (record.trustDomain !== trustDomain) {
    throw new IdentityError(
      'store-corrupt',
      `The store holds the certificate authority of the trust domain "${record.trustDomain}", but this control plane was started for "${trustDomain}". Start it with the stored trust domain, or with another store.`,
    );
  }
  return record;
}

function corrupt(why: string): string {
  return `The certificate authority's record "${ROOT_RECORD_KEY}" in the store cannot be used: ${why}. Restore the store from a backup, or start with an empty one and let every workload join again.`;
}
