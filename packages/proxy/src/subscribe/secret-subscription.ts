import { X509Certificate } from 'node:crypto';
import { type AdsClient, type Rejection, type SecretWatch, type Subscription, watchSecrets } from '@outrigger/xds';
import { type Secret, SecretSchema } from '@outrigger/xds/protos/envoy/extensions/transport_sockets/tls/v3/secret';
import type { ProxyLog } from '../engine/options.ts';
import { CompileReport, describeErrors } from '../routing/compile-result.ts';
import type { SecretTable } from '../tls/secrets.ts';
import { checkCertificate, compileCertificate, compilePeerRules } from '../xds/compile-tls.ts';

/** Puts a secret into the table; throws with the reason where it is none that can be used. */
export function applySecret(table: SecretTable, secret: Secret): void {
  const report = new CompileReport();
  const { type } = secret;
  switch (type.case) {
    case 'tlsCertificate': {
      const certificate = compileCertificate(type.value, 'tls_certificate', report);
      if (report.errors.length === 0) checkCertificate(certificate, 'tls_certificate', report);
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

/** SDS: the secrets that listeners and clusters name, from the agent's socket, or where there is none over ADS. */
export class SecretSubscription {
  readonly #table: SecretTable;
  readonly #watch: SecretWatch | null;
  readonly #inline: ReadonlySet<string>;
  #overAds: Subscription | null = null;
  /** Asked for as long as this runs. */
  readonly #lasting = new Set<string>();
  /** Asked for by listeners, which come and go. */
  readonly #ofListeners = new Set<string>();

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
    const all = [...names];
    for (const name of all) this.#lasting.add(name);
    this.#ask(all);
  }

  #ask(names: Iterable<string>): void {
    const wanted = [...names].filter((name) => !this.#inline.has(name));
    if (this.#watch !== null) this.#watch.add(wanted);
    else if (wanted.length > 0) this.#overAds?.add(wanted);
  }

  /** Keys that come this way are in memory alone. */
  overAds(ads: AdsClient): void {
    if (this.#watch !== null) return;
    this.#overAds = ads.subscribe(
      SecretSchema,
      [],
      async ({ added }) => {
        const rejections: Rejection[] = [];
        for (const { name, message } of added) {
          try {
            applySecret(this.#table, message);
          } catch (error) {
            rejections.push({ name, message: (error as Error).message });
          }
        }
        return rejections;
      },
      false,
    );
  }

  /** Fulfilled with true when all are there, with false after `timeoutMs`. */
  ready(names: ReadonlySet<string>, timeoutMs: number): Promise<boolean> {
    this.want(names);
    return this.#table.ready(names, timeoutMs);
  }

  /** The same for listeners: asked for until `keepForListeners` says that none names them any more. */
  readyForListeners(names: ReadonlySet<string>, timeoutMs: number): Promise<boolean> {
    for (const name of names) this.#ofListeners.add(name);
    this.#ask(names);
    return this.#table.ready(names, timeoutMs);
  }

  keepForListeners(names: ReadonlySet<string>): void {
    const gone = [...this.#ofListeners].filter((name) => !names.has(name));
    for (const name of gone) this.#ofListeners.delete(name);
    const unwanted = gone.filter((name) => !this.#lasting.has(name) && !this.#inline.has(name));
    if (unwanted.length === 0) return;
    this.#watch?.remove(unwanted);
    this.#overAds?.remove(unwanted);
  }

  close(): void {
    this.#watch?.close();
  }
}
