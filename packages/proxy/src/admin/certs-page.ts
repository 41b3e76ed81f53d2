import { X509Certificate } from 'node:crypto';
import type { SecretTable } from '../tls/secrets.ts';
import { parseSubjectAltNames } from '../tls/subject-alt-names.ts';

const DAY_MS = 86_400_000;
const PEM = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g;

/** envoy.admin.v3.Certificates: what TLS uses now, of SDS and of the configuration. Never a key. */
export function certsJson(secrets: SecretTable, nowUnixMs: number): object {
  const chains = Array.from(secrets.certificates(), ([name, { chainPem }]) => ({ ca_cert: [], cert_chain: describePem(name, chainPem, nowUnixMs) }));
  const bundles = Array.from(secrets.trustBundles(), ([name, rules]) => ({ ca_cert: describePem(name, rules.trustedCaPem, nowUnixMs), cert_chain: [] }));
  return { certificates: [...chains, ...bundles] };
}

/** `path`: the secret's name, where Envoy has a file's. */
function describePem(path: string, pem: string, nowUnixMs: number): object[] {
  return (pem.match(PEM) ?? []).map((one) => {
    const certificate = new X509Certificate(one);
    const leftMs = certificate.validToDate.getTime() - nowUnixMs;
    return {
      path,
      serial_number: certificate.serialNumber.toLowerCase(),
      subject_alt_names: namesOf(certificate),
      days_until_expiration: String(Math.max(0, Math.floor(leftMs / DAY_MS))),
      valid_from: seconds(certificate.validFromDate),
      expiration_time: seconds(certificate.validToDate),
    };
  });
}

function namesOf(certificate: X509Certificate): object[] {
  const { dns, uri, ip } = parseSubjectAltNames(certificate.subjectAltName);
  return [...dns.map((name) => ({ dns: name })), ...uri.map((name) => ({ uri: name })), ...ip.map((name) => ({ ip_address: name }))];
}

/** As a protobuf Timestamp is in JSON where it has no fraction. */
function seconds(date: Date): string {
  return date.toISOString().replace('.000Z', 'Z');
}
