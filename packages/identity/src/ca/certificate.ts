import 'reflect-metadata';
import { randomBytes, webcrypto } from 'node:crypto';
import {
  AuthorityKeyIdentifierExtension,
  BasicConstraintsExtension,
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  KeyUsageFlags,
  KeyUsagesExtension,
  SubjectAlternativeNameExtension,
  SubjectKeyIdentifierExtension,
  X509Certificate,
  X509CertificateGenerator,
} from '@peculiar/x509';
import { trustDomainId } from '../spiffe/spiffe-id.ts';
import type { AllowedNames, VerifiedCsr } from './csr.ts';

const SIGNING = { name: 'ECDSA', hash: 'SHA-256', namedCurve: 'P-256' } as const;
/** RFC 5280, section 4.1.2.2: at most 20 octets; CA/Browser Forum: at least 64 bits of randomness. */
const SERIAL_BYTES = 16;

export interface RootKeyPair {
  readonly certificate: X509Certificate;
  readonly privateKey: webcrypto.CryptoKey;
}

/** A root as it is stored. */
export interface StoredRoot {
  readonly certificatePem: string;
  /** PKCS#8, base64. */
  readonly privateKey: string;
}

export async function makeRoot(trustDomain: string, notBeforeMs: number, notAfterMs: number): Promise<StoredRoot> {
  const keys = await webcrypto.subtle.generateKey(SIGNING, true, ['sign', 'verify']);
  const certificate = await X509CertificateGenerator.createSelfSigned({
    keys,
    // Names differ from root to root: while one follows another both are in the bundle, and chains are found by name.
    name: [{ O: [trustDomain] }, { CN: [`Outrigger root ${randomBytes(4).toString('hex')}`] }],
    serialNumber: randomSerial(),
    notBefore: new Date(wholeSecondBelow(notBeforeMs)),
    notAfter: new Date(wholeSecondAbove(notAfterMs)),
    signingAlgorithm: SIGNING,
    extensions: [
      new BasicConstraintsExtension(true, 0, true),
      new KeyUsagesExtension(KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign, true),
      await SubjectKeyIdentifierExtension.create(keys.publicKey),
      new SubjectAlternativeNameExtension([{ type: 'url', value: trustDomainId(trustDomain) }]),
    ],
  });
  const privateKey = Buffer.from(await webcrypto.subtle.exportKey('pkcs8', keys.privateKey)).toString('base64');
  return { certificatePem: certificate.toString('pem'), privateKey };
}

export async function openRoot(stored: StoredRoot): Promise<RootKeyPair> {
  const privateKey = await webcrypto.subtle.importKey('pkcs8', Buffer.from(stored.privateKey, 'base64'), SIGNING, false, ['sign']);
  return { certificate: new X509Certificate(stored.certificatePem), privateKey };
}

export interface LeafRequest {
  readonly csr: VerifiedCsr;
  readonly spiffeId: string;
  readonly names: AllowedNames;
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
}

/** X509-SVID standard, section 4: one URI, no CA, digitalSignature. The subject stays empty, so the SAN is critical (RFC 5280, section 4.2.1.6). */
export async function makeLeaf(root: RootKeyPair, request: LeafRequest): Promise<X509Certificate> {
  const usages = request.csr.keyType === 'RSA' ? KeyUsageFlags.digitalSignature | KeyUsageFlags.keyEncipherment : KeyUsageFlags.digitalSignature;
  return X509CertificateGenerator.create({
    subject: '',
    issuer: root.certificate.subjectName,
    publicKey: request.csr.publicKey,
    signingKey: root.privateKey,
    signingAlgorithm: SIGNING,
    serialNumber: randomSerial(),
    notBefore: new Date(wholeSecondBelow(request.notBeforeMs)),
    notAfter: new Date(wholeSecondAbove(request.notAfterMs)),
    extensions: [
      new BasicConstraintsExtension(false, undefined, true),
      new KeyUsagesExtension(usages, true),
      new ExtendedKeyUsageExtension([ExtendedKeyUsage.serverAuth, ExtendedKeyUsage.clientAuth]),
      await SubjectKeyIdentifierExtension.create(request.csr.publicKey),
      await AuthorityKeyIdentifierExtension.create(root.certificate.publicKey),
      new SubjectAlternativeNameExtension(
        [
          { type: 'url', value: request.spiffeId },
          ...request.names.dnsNames.map((value) => ({ type: 'dns' as const, value })),
          ...request.names.ipAddresses.map((value) => ({ type: 'ip' as const, value })),
        ],
        true,
      ),
    ],
  });
}

/** X.509 times are whole seconds: rounding inwards would take a certificate of one second's life to nothing. */
function wholeSecondBelow(timeMs: number): number {
  return Math.floor(timeMs / 1000) * 1000;
}

function wholeSecondAbove(timeMs: number): number {
  return Math.ceil(timeMs / 1000) * 1000;
}

function randomSerial(): string {
  const serial = randomBytes(SERIAL_BYTES);
  // Positive and in its shortest form: the first octet is neither zero nor has its top bit set.
  serial[0] = (serial[0]! & 0x3f) | 0x40;
  return serial.toString('hex');
}
