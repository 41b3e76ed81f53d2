import type { TextMatcher } from '../routing/string-matcher.ts';

export interface CertificatePem {
  /** Leaf first. */
  readonly chainPem: string;
  readonly keyPem: string;
}

/** Material that is in the configuration itself, or the name of a secret that SDS brings. */
export type CertificateSource = { readonly kind: 'inline'; readonly certificate: CertificatePem } | { readonly kind: 'sds'; readonly name: string };

export type SanType = 'uri' | 'dns' | 'email' | 'ip';

export interface SanMatcher {
  readonly type: SanType;
  /** The exact name in lower case, for "*.example.com" in a certificate; '' where it is no exact DNS name. */
  readonly dnsName: string;
  readonly matcher: TextMatcher;
  /** For messages: "URI exact spiffe://...". */
  readonly text: string;
}

/** What is asked of the peer's certificate beyond its chain. */
export interface PeerRules {
  /** '' where SDS brings the roots or none are checked. */
  readonly trustedCaPem: string;
  /** One of them must match; none: any name. */
  readonly sanMatchers: readonly SanMatcher[];
  /** Base64 SHA-256 of the public key, one must match; none: any. */
  readonly spkiSha256: readonly string[];
  /** Lower-case hex SHA-256 of the certificate, one must match; none: any. */
  readonly certificateSha256: readonly string[];
  /** Certificates that were revoked; of every authority in the chain, or nobody is let in. '' where none are looked at. */
  readonly crlPem: string;
}

export interface ValidationSettings {
  readonly rules: PeerRules;
  /** Secret that brings (more) roots and rules; '' where there is none. */
  readonly sdsName: string;
}

export interface TlsSettings {
  readonly certificates: readonly CertificateSource[];
  /** null: the peer's certificate is not looked at. */
  readonly validation: ValidationSettings | null;
  readonly alpn: readonly string[];
  readonly minVersion: 'TLSv1.2' | 'TLSv1.3';
  readonly maxVersion: 'TLSv1.2' | 'TLSv1.3';
  /** OpenSSL's list for TLS 1.2, '' for the default. */
  readonly cipherSuites: string;
  /** OpenSSL's lists, '' for the default. */
  readonly curves: string;
  readonly signatureAlgorithms: string;
  /** A listener is held back so long for secrets that are missing, ms; absent: until they are there, or its own limit. */
  readonly secretWaitMs?: number;
}

export interface DownstreamTlsSettings extends TlsSettings {
  readonly requireClientCertificate: boolean;
  readonly requireSni: boolean;
  /** Sessions may be resumed by tickets, while certificate, key and trust bundle are the same. */
  readonly sessionTickets: boolean;
  /** What tickets are made with where several proxies are to take each other's; null: each has a key of its own. */
  readonly sessionTicketKey: Buffer | null;
  /** s; 0: OpenSSL's default. */
  readonly sessionTimeoutSeconds: number;
}

export interface UpstreamTlsSettings extends TlsSettings {
  /** '' sends none. */
  readonly sni: string;
  /** Sessions kept to be resumed; 0: none. */
  readonly maxSessionKeys: number;
}

/** Names of all secrets that it waits for. */
export function secretNames(tls: TlsSettings): string[] {
  const names: string[] = [];
  for (const certificate of tls.certificates) if (certificate.kind === 'sds') names.push(certificate.name);
  if (tls.validation !== null && tls.validation.sdsName !== '') names.push(tls.validation.sdsName);
  return names;
}
