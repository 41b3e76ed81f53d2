import { createPrivateKey, X509Certificate } from 'node:crypto';
import { IdentityError } from '../identity-error.ts';
import { parseSpiffeId, parseWorkloadIdentity, trustDomainId } from '../spiffe/spiffe-id.ts';
import type { Svid } from '../svid.ts';
import { spiffeIdOfNames } from '../tls/peer.ts';

const MAX_CHAIN = 8;
export const MAX_ROOTS = 32;
const MAX_PEM_CHARACTERS = 16_384;

export interface ExpectedIdentity {
  /** undefined: the control plane's word is taken. */
  readonly trustDomain: string | undefined;
  readonly namespace: string;
  readonly serviceAccount: string;
}

export interface SvidParts {
  readonly privateKeyPem: string;
  readonly certificateChainPem: readonly string[];
  readonly trustBundlePem: readonly string[];
}

/**
 * Reads an SVID from an answer or from the disk, and believes nothing that it can check: key, chain up to a root of the bundle, name, time. Throws
 * `answer-invalid` with the first thing that is wrong.
 */
export function acceptSvid(parts: SvidParts, expected: ExpectedIdentity, nowMs: number): Svid {
  const chain = certificates(parts.certificateChainPem, MAX_CHAIN, 'certificate chain');
  const leaf = chain[0]!;
  const spiffeId = spiffeIdOfNames(leaf.subjectAltName);
  const identity = parseWorkloadIdentity(spiffeId ?? '');
  if (spiffeId === undefined || 'fault' in identity) throw invalid('the certificate holds no single SPIFFE id of a workload');
  const trustDomain = expected.trustDomain ?? identity.trustDomain;
  if (identity.trustDomain !== trustDomain || identity.namespace !== expected.namespace || identity.serviceAccount !== expected.serviceAccount) {
    throw invalid(`the certificate is of ${spiffeId}, not of ${trustDomainId(trustDomain)}/ns/${expected.namespace}/sa/${expected.serviceAccount}`);
  }
  if (leaf.ca) throw invalid("the certificate is an authority's");
  if (!leaf.checkPrivateKey(createPrivateKey(parts.privateKeyPem))) throw invalid('the certificate is of another key');
  const roots = acceptRoots(parts.trustBundlePem, trustDomain);
  const signedByNext = chain.every((certificate, index) => {
    const next = chain[index + 1];
    return next === undefined ? roots.some((root) => isIssuedBy(certificate, root)) : isIssuedBy(certificate, next);
  });
  if (!signedByNext) throw invalid('the certificate does not lead to a root of the trust bundle that came with it');
  const notBeforeMs = leaf.validFromDate.getTime();
  const notAfterMs = leaf.validToDate.getTime();
  if (notAfterMs <= nowMs) throw invalid(`the certificate expired at ${leaf.validToDate.toISOString()}`);
  if (notBeforeMs > nowMs) throw invalid(`the certificate is valid only from ${leaf.validFromDate.toISOString()}; compare the clocks`);
  return { ...parts, spiffeId, notBeforeMs, notAfterMs };
}

/** Checks that a bundle holds nothing but roots of this trust domain, at least one. */
export function acceptRoots(rootsPem: readonly string[], trustDomain: string): readonly X509Certificate[] {
  const roots = certificates(rootsPem, MAX_ROOTS, 'trust bundle');
  for (const root of roots) {
    const id = parseSpiffeId(spiffeIdOfNames(root.subjectAltName) ?? '');
    if (!root.ca || 'fault' in id || id.segments.length !== 0 || id.trustDomain !== trustDomain) {
      throw invalid(`the trust bundle holds a certificate that is no root of ${trustDomain}`);
    }
  }
  return roots;
}

function certificates(pems: readonly string[], most: number, what: string): readonly X509Certificate[] {
  if (pems.length === 0 || pems.length > most) throw invalid(`the ${what} has ${pems.length} certificates, expected 1 to ${most}`);
  return pems.map((pem) => {
    if (pem.length > MAX_PEM_CHARACTERS) throw invalid(`the ${what} has a certificate of ${pem.length} characters`);
    try {
      return new X509Certificate(pem);
    } catch {
      throw invalid(`the ${what} cannot be read`);
    }
  });
}

function isIssuedBy(certificate: X509Certificate, issuer: X509Certificate): boolean {
  return issuer.ca && certificate.checkIssued(issuer) && certificate.verify(issuer.publicKey);
}

function invalid(why: string): IdentityError {
  return new IdentityError('answer-invalid', `The identity cannot be used: ${why}.`);
}
