import { createHash, type KeyObject, type X509Certificate } from 'node:crypto';
import type { TLSSocket } from 'node:tls';
import type { PeerRules, SanMatcher } from '../xds/tls-settings.ts';
import { parseSubjectAltNames, type SubjectAltNames } from './subject-alt-names.ts';

/** The other side of a TLS connection, as its verified certificate says. */
export interface TlsPeer {
  /** First URI of the certificate, '' without a certificate. */
  readonly uri: string;
  readonly names: SubjectAltNames;
  /** Lower-case hex SHA-256 of the certificate, as x-forwarded-client-cert has it. */
  readonly sha256: string;
  /** RFC 4514, most specific first, in ASCII without controls: it is told in headers. */
  readonly subject: string;
}

const NO_NAMES: SubjectAltNames = { uri: [], dns: [], email: [], ip: [] };
export const NO_PEER: TlsPeer = { uri: '', names: NO_NAMES, sha256: '', subject: '' };

/** What is asked of a certificate; an X509Certificate, which costs a twentieth of what `getPeerCertificate` does (50 us a handshake, row `handshakes`). */
export interface ShownCertificate {
  readonly subjectAltName: string | undefined;
  /** Upper-case hex with colons. */
  readonly fingerprint256: string;
  readonly publicKey: KeyObject;
}

/** '' where the certificate may be this peer's, else why not. Its chain has been verified before. */
export function checkPeer(certificate: ShownCertificate, rules: readonly PeerRules[]): string {
  const names = parseSubjectAltNames(certificate.subjectAltName);
  const sha256 = sha256Of(certificate);
  for (const rule of rules) {
    if (rule.sanMatchers.length > 0 && !rule.sanMatchers.some((matcher) => names[matcher.type].some((name) => matchesName(matcher, name)))) {
      const wanted = rule.sanMatchers.map((matcher) => matcher.text).join(', ');
      return `its certificate is for ${[...names.uri, ...names.dns].join(', ') || 'nobody'}; expected ${wanted}`;
    }
    if (rule.certificateSha256.length > 0 && !rule.certificateSha256.includes(sha256))
      return 'the hash of its certificate is not among verify_certificate_hash';
    if (rule.spkiSha256.length > 0 && !rule.spkiSha256.includes(spkiSha256(certificate)))
      return 'the hash of its public key is not among verify_certificate_spki';
  }
  return '';
}

/** An exact DNS name is also that of a certificate for "*.example.com", for one label (RFC 6125 section 6.4.3). */
function matchesName({ matcher, dnsName }: SanMatcher, name: string): boolean {
  if (dnsName === '') return matcher.matches(name);
  const lower = name.toLowerCase();
  return lower === dnsName || (lower.startsWith('*.') && dnsName.indexOf('.') > 0 && dnsName.slice(dnsName.indexOf('.')) === lower.slice(1));
}

function sha256Of({ fingerprint256 }: ShownCertificate): string {
  return fingerprint256.replaceAll(':', '').toLowerCase();
}

function spkiSha256({ publicKey }: ShownCertificate): string {
  return createHash('sha256')
    .update(publicKey.export({ type: 'spki', format: 'der' }))
    .digest('base64');
}

/** Only for a socket whose certificate was verified; NO_PEER where none was shown. */
export function peerOf(socket: TLSSocket): TlsPeer {
  const certificate = socket.getPeerX509Certificate();
  if (certificate === undefined) return NO_PEER;
  const names = parseSubjectAltNames(certificate.subjectAltName);
  return { uri: names.uri[0] ?? '', names, sha256: sha256Of(certificate), subject: subjectOf(certificate) };
}

/** Most workloads' certificates have none; else the other form has it in parts. */
function subjectOf(certificate: X509Certificate): string {
  return certificate.subject ? subjectText(certificate.toLegacyObject().subject as unknown as Record<string, string | string[]>) : '';
}

function subjectText(subject: Readonly<Record<string, string | string[]>> | undefined): string {
  return Object.entries(subject ?? {})
    .reverse()
    .flatMap(([key, value]) => (Array.isArray(value) ? value : [value]).map((one) => `${key}=${escaped(one)}`))
    .join(',');
}

/** RFC 4514 section 2.4: bytes of UTF-8 that are no printable ASCII as "\\hh". */
function escaped(value: string): string {
  return value.replace(/["+,;<>\\]/g, '\\$&').replace(/[^\x20-\x7e]/gu, (char) => Buffer.from(char).toString('hex').replace(/../g, '\\$&'));
}
