import 'reflect-metadata';
import { Pkcs10CertificateRequest, type PublicKey, SubjectAlternativeNameExtension } from '@peculiar/x509';
import { IdentityError } from '../identity-error.ts';

/** RSA 8192 with a subject and a few names fits; nobody needs more. */
export const MAX_CSR_BYTES = 8192;
const MIN_RSA_BITS = 2048;
/** Above this a signature check costs too much to do for a stranger. */
const MAX_RSA_BITS = 8192;
const CURVES: readonly string[] = ['P-256', 'P-384'];
const HASHES: readonly string[] = ['SHA-256', 'SHA-384', 'SHA-512'];
const SUBJECT_ALTERNATIVE_NAME = '2.5.29.17';

/** Names beside the SPIFFE id that a CSR may ask for; for workloads there are none. */
export interface AllowedNames {
  readonly dnsNames: readonly string[];
  readonly ipAddresses: readonly string[];
}

/** A CSR whose sender holds the key and asks for no more than it may have. */
export interface VerifiedCsr {
  readonly publicKey: PublicKey;
  readonly keyType: 'EC' | 'RSA';
}

/** Checks size, form, signature, key and names (RFC 2986); throws an `IdentityError` with what to do. */
export async function verifyCsr(csrDer: Uint8Array, spiffeId: string, allowed: AllowedNames): Promise<VerifiedCsr> {
  if (csrDer.length > MAX_CSR_BYTES) {
    throw new IdentityError('csr-too-large', `The certificate request has ${csrDer.length} bytes; send one of at most ${MAX_CSR_BYTES}, as PKCS#10 in DER.`);
  }
  const csr = parseCsr(csrDer);
  const keyType = checkKey(csr);
  if (!(await signatureHolds(csr))) {
    throw new IdentityError(
      'csr-signature',
      'The certificate request is not signed by the key in it; make it anew and sign it with its own private key (SHA-256 or longer).',
    );
  }
  checkNames(csr, spiffeId, allowed);
  return { publicKey: csr.publicKey, keyType };
}

/** The public key of a CSR that was checked before, as SPKI in DER. */
export function publicKeyOfCsr(csrDer: Uint8Array): Uint8Array {
  return new Uint8Array(parseCsr(csrDer).publicKey.rawData);
}

function parseCsr(csrDer: Uint8Array): Pkcs10CertificateRequest {
  try {
    return new Pkcs10CertificateRequest(Uint8Array.from(csrDer));
  } catch (cause) {
    throw new IdentityError('csr-malformed', 'The certificate request cannot be read; send PKCS#10 in DER.', { cause });
  }
}

function checkKey(csr: Pkcs10CertificateRequest): 'EC' | 'RSA' {
  const algorithm = csr.publicKey.algorithm as { name: string; namedCurve?: string; modulusLength?: number };
  if (algorithm.name === 'ECDSA' && CURVES.includes(algorithm.namedCurve ?? '')) return 'EC';
  const bits = algorithm.modulusLength ?? 0;
  if (algorithm.name.startsWith('RSA') && bits >= MIN_RSA_BITS && bits <= MAX_RSA_BITS) return 'RSA';
  const found = algorithm.namedCurve ?? (bits > 0 ? `${algorithm.name} with ${bits} bits` : algorithm.name);
  throw new IdentityError(
    'csr-key',
    `The certificate request has a key of the kind ${found}; use ECDSA P-256 or P-384, or RSA with ${MIN_RSA_BITS} to ${MAX_RSA_BITS} bits.`,
  );
}

async function signatureHolds(csr: Pkcs10CertificateRequest): Promise<boolean> {
  const hash = (csr.signatureAlgorithm as { hash?: { name?: string } }).hash?.name ?? '';
  if (!HASHES.includes(hash)) return false;
  try {
    return await csr.verify();
  } catch {
    return false;
  }
}

function checkNames(csr: Pkcs10CertificateRequest, spiffeId: string, allowed: AllowedNames): void {
  // RFC 5280, section 4.2: no extension twice; a second one could say something else.
  const extensions = csr.extensions.filter((extension) => extension.type === SUBJECT_ALTERNATIVE_NAME);
  if (extensions.length === 0) return;
  if (extensions.length > 1)
    throw new IdentityError('csr-identity', 'The certificate request has several subject alternative name extensions; send one, or none.');
  const names = new SubjectAlternativeNameExtension(extensions[0]!.rawData).names.items;
  const uris = names.filter((name) => name.type === 'url');
  if (uris.length > 1)
    throw new IdentityError('csr-identity', 'The certificate request names several URIs; an SVID has one. Name only your SPIFFE id, or nothing.');
  for (const name of names) {
    const permitted =
      (name.type === 'url' && name.value === spiffeId) ||
      (name.type === 'dns' && allowed.dnsNames.includes(name.value)) ||
      (name.type === 'ip' && allowed.ipAddresses.includes(name.value));
    if (!permitted) {
      throw new IdentityError(
        'csr-identity',
        `The certificate request names something else than ${spiffeId}, for which the caller has proven itself. Name only that, or nothing.`,
      );
    }
  }
}
