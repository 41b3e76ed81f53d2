/** An X.509 SVID with its key, as its owner holds it. The key never leaves the process but for the disk (0600) and SDS. */
export interface Svid {
  readonly spiffeId: string;
  /** PKCS#8, PEM. */
  readonly privateKeyPem: string;
  /** Leaf first, PEM. */
  readonly certificateChainPem: readonly string[];
  /** All roots to trust now, PEM. */
  readonly trustBundlePem: readonly string[];
  /** Unix milliseconds. */
  readonly notBeforeMs: number;
  /** Unix milliseconds. */
  readonly notAfterMs: number;
}

/** What an authority answers to a CSR: an `Svid` without the key. */
export type IssuedSvid = Omit<Svid, 'privateKeyPem'>;
