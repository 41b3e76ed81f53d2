import { createHash } from 'node:crypto';

/** A version that changes exactly when the content does: 96 bits of SHA-256, base64url (16 characters). */
export function versionOf(...parts: readonly (Uint8Array | string)[]): string {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part);
  return hash.digest('base64url').slice(0, 16);
}
