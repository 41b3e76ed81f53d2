import { X509Certificate } from 'node:crypto';
import type { SecretTable } from '../tls/secrets.ts';

const DAY_MS = 86_400_000;
const PEM = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g;

/** envoy.admin.v3.Certificates: what TLS uses now. Never a key. */
export function certsJson(secrets: SecretTable, nowUnixMs: number): object {
  const bundles = Array.from(secrets.trustBundles(), ([name, rules]) => ({ name, certificates: describePem(rules.trustedCaPem, nowUnixMs) }));
  const chains = Array.from(secrets.certificates(), ([name, { chainPem }]) => ({ name, certificates: describePem(chainPem, nowUnixMs) }));
  return {
    certificates: [
      ...chains.map(({ name, certificates }) => ({ secret: name, ca_cert: [], cert_chain: certificates })),
      ...bundles.map(({ name, certificates }) => ({ secret: name, ca_cert: certificates, cert_chain: [] })),
    ],
  };
}

function describePem(pem: string, nowUnixMs: number): object[] {
  return (pem.match(PEM) ?? []).map((one) => {
    const certificate = new X509Certificate(one);
    const leftMs = certificate.validToDate.getTime() - nowUnixMs;
    return {
      serial_number: certificate.serialNumber.toLowerCase(),
      subject_alt_names: certificate.subjectAltName === undefined ? [] : [certificate.subjectAltName],
      valid_from: certificate.validFromDate.toISOString(),
      expiration_time: certificate.validToDate.toISOString(),
      days_until_expiration: String(Math.max(0, Math.floor(leftMs / DAY_MS))),
      seconds_until_expiration: String(Math.floor(leftMs / 1000)),
    };
  });
}
