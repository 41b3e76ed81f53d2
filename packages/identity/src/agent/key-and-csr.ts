import 'reflect-metadata';
import { webcrypto } from 'node:crypto';
import { PemConverter, Pkcs10CertificateRequestGenerator, SubjectAlternativeNameExtension } from '@peculiar/x509';

const KEY = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const;

export interface KeyAndCsr {
  /** PKCS#8, PEM. */
  readonly privateKeyPem: string;
  readonly csrDer: Uint8Array;
}

/** A new ECDSA P-256 key and a request for it; `spiffeId` undefined: the request names nothing. */
export async function makeKeyAndCsr(spiffeId: string | undefined): Promise<KeyAndCsr> {
  const keys = await webcrypto.subtle.generateKey(KEY, true, ['sign', 'verify']);
  const csr = await Pkcs10CertificateRequestGenerator.create({
    keys,
    signingAlgorithm: KEY,
    extensions: spiffeId === undefined ? [] : [new SubjectAlternativeNameExtension([{ type: 'url', value: spiffeId }])],
  });
  const pkcs8 = await webcrypto.subtle.exportKey('pkcs8', keys.privateKey);
  return { privateKeyPem: `${PemConverter.encode(pkcs8, 'PRIVATE KEY')}\n`, csrDer: new Uint8Array(csr.rawData) };
}
