import { createHash } from 'node:crypto';

/** SHA-256 of a certificate's DER, base64url: what a join token pins. */
export function certificateFingerprint(certificateDer: Uint8Array): string {
  return createHash('sha256').update(certificateDer).digest('base64url');
}
