import { X509Certificate } from 'node:crypto';
import { createSecureContext } from 'node:tls';
import { type SecretWatch, watchSecrets } from '@outrigger/xds';
import type { Secret } from '@outrigger/xds/protos/envoy/extensions/transport_sockets/tls/v3/secret';
import type { ProxyLog } from '../engine/options.ts';
import { CompileReport, describeErrors } from '../routing/compile-result.ts';
import type { SecretTable } from '../tls/secrets.ts';
import { compileCertificate, compilePeerRules } from '../xds/compile-tls.ts';
import type { CertificatePem } from '../xds/tls-settings.ts';

/** Puts a secret into the table; throws with the reason where it is none that can be used. */
export function applySecret(table: SecretTable, secret: Secret): void {
  const report = new CompileReport();
  const { type } = secret;
  switch (type.case) {
    case 'tlsCertificate': {
      const certificate = compileCertificate(type.value, 'tls_certificate', report);
      if (report.errors.length === 0) checkCertificate(certificate, report);
      if (report.errors.length === 0) table.setCertificate(secret.name, certificate);
      break;
    }
    case 'validationContext': {
      const rules = compilePeerRules(type.value, 'validation_context', report);
      if (type.value.trustedCa !== undefined && report.errors.length === 0) checkRoots(rules.trustedCaPem, report);
      if (report.errors.length === 0) table.setRules(secret.name, rules);
      break;
    }
    default:
      report.error('type', 'only tls_certificate and validation_context are supported by this proxy');
  }
  if (report.errors.length > 0) throw new Error(describeErrors(report.errors));
}

/** What TLS would refuse later, with the good one gone, is refused now. */
function checkCertificate({ chainPem, keyPem }: CertificatePem, report: CompileReport): void {
  try {
    createSecureContext({ cert: chainPem, key: keyPem });
  } catch (cause) {
    report.error('tls_certificate', `the certificate or key cannot be used: ${(cause as Error).message}`);
  }
}

/** OpenSSL takes a text without a certificate in it for an empty list. */
function checkRoots(pem: string, report: CompileReport): void {
  const roots = pem.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? [];
  if (roots.length === 0) report.error('validation_context.trusted_ca', 'holds no certificate in PEM');
  for (const root of roots) {
    try {
      new X509Certificate(root);
    } catch (cause) {
      report.error('validation_context.trusted_ca', `holds a certificate that cannot be read: ${(cause as Error).message}`);
    }
  }
}

/** SDS: the secrets that listeners and clusters name, from the agent's socket. */
export class SecretSubscription {
  readonly #table: SecretTable;
  readonly #watch: SecretWatch | null;
  readonly #inline: ReadonlySet<string>;

  /** `socketPath` '': there is no SDS, only `table` as it is. */
  constructor(table: SecretTable, socketPath: string, nodeId: string, log: ProxyLog) {
    this.#table = table;
    this.#inline = new Set([...table.certificates().keys(), ...table.trustBundles().keys()]);
    this.#watch =
      socketPath === ''
        ? null
        : watchSecrets(socketPath, [], (secret) => applySecret(table, secret), {
            nodeId,
            onEvent: (event) => {
              if (event.kind === 'rejected') log('warn', `a secret was not taken: ${event.reason}`);
              else if (event.kind === 'disconnected') log('warn', `SDS at ${event.target} is away: ${event.reason}; the secrets that are known stay in use`);
            },
          });
  }

  want(names: Iterable<string>): void {
    this.#watch?.add([...names].filter((name) => !this.#inline.has(name)));
  }

  /** Fulfilled with true when all are there, with false after `timeoutMs`. */
  ready(names: ReadonlySet<string>, timeoutMs: number): Promise<boolean> {
    this.want(names);
    return this.#table.ready(names, timeoutMs);
  }

  close(): void {
    this.#watch?.close();
  }
}
