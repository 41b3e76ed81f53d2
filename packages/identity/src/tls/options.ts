import type { Svid } from '../svid.ts';

/** What Node's `tls` takes to show an SVID and to trust its bundle. `ca` is always set: left out, Node would trust the public roots. */
export interface SvidTlsOptions {
  readonly key: string;
  readonly cert: string;
  readonly ca: string[];
  readonly minVersion: 'TLSv1.2';
}

export function tlsOptions(svid: Svid): SvidTlsOptions {
  return { key: svid.privateKeyPem, cert: svid.certificateChainPem.join(''), ca: [...svid.trustBundlePem], minVersion: 'TLSv1.2' };
}
