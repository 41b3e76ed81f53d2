/** Closed list of what can be wrong about identities. */
export type IdentityErrorCode =
  | 'csr-malformed'
  | 'csr-too-large'
  | 'csr-signature'
  | 'csr-key'
  | 'csr-identity'
  | 'identity-invalid'
  | 'identity-reserved'
  | 'ttl-out-of-range'
  | 'root-expired'
  | 'store-corrupt'
  | 'rotation-state'
  | 'token-malformed'
  | 'token-refused'
  | 'pin-mismatch'
  | 'answer-invalid'
  | 'disk'
  | 'unreachable'
  | 'refused'
  | 'not-ready';

/** A fault about identities that a person can act on: the message says what, where and what to do; it never holds a secret. */
export class IdentityError extends Error {
  readonly code: IdentityErrorCode;

  constructor(code: IdentityErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'IdentityError';
    this.code = code;
  }
}
