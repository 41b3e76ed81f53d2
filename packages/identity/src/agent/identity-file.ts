import { join } from 'node:path';
import { IdentityError } from '../identity-error.ts';
import type { Svid } from '../svid.ts';
import { acceptSvid, type ExpectedIdentity } from './accept.ts';
import { readPrivateFile, writePrivateFile } from './private-file.ts';

export interface KeptIdentity {
  readonly svid: Svid;
  /** When it was issued, by this machine's clock; Unix milliseconds. */
  readonly issuedAtMs: number;
}

const FILE = 'identity.json';

export async function saveIdentity(directory: string, kept: KeptIdentity): Promise<void> {
  const { privateKeyPem, certificateChainPem, trustBundlePem } = kept.svid;
  await writePrivateFile(
    join(directory, FILE),
    JSON.stringify({ version: 1, issuedAtMs: kept.issuedAtMs, privateKeyPem, certificateChainPem, trustBundlePem }),
  );
}

/** The kept identity, checked as if it had just come; undefined where there is none. Throws an `IdentityError` where it cannot be used. */
export async function loadIdentity(directory: string, expected: ExpectedIdentity, nowMs: number): Promise<KeptIdentity | undefined> {
  const path = join(directory, FILE);
  const text = await readPrivateFile(path);
  if (text === undefined) return undefined;
  let record: { version: number; issuedAtMs: number; privateKeyPem: string; certificateChainPem: string[]; trustBundlePem: string[] };
  try {
    record = JSON.parse(text);
    if (record.version !== 1) throw new Error(`version ${record.version}`);
  } catch (cause) {
    throw new IdentityError('disk', `${path} is not what was written there; a new identity is asked for.`, { cause });
  }
  const { privateKeyPem, certificateChainPem, trustBundlePem } = record;
  const svid = acceptSvid({ privateKeyPem, certificateChainPem, trustBundlePem }, expected, nowMs);
  // A clock that was set back must not postpone the renewal.
  return { svid, issuedAtMs: Math.min(record.issuedAtMs, nowMs) };
}
