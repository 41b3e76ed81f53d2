import { X509Certificate } from 'node:crypto';
import { createSecureContext, type SecureContext, type SecureContextOptions } from 'node:tls';
import type { CertificatePem, PeerRules, TlsSettings, UpstreamTlsSettings } from '../xds/tls-settings.ts';
import { ClientSessions } from './client-sessions.ts';
import type { SecretTable } from './secrets.ts';
import { parseSubjectAltNames } from './subject-alt-names.ts';

/** TLS settings with the secrets of the moment put in. */
export interface TlsMaterial {
  readonly options: SecureContextOptions;
  /** Rules of the configuration and of the secret; all must hold. */
  readonly rules: readonly PeerRules[];
  /** Whether the peer's chain is verified. */
  readonly verify: boolean;
  /** First URI of our own certificate, '' if it has none. */
  readonly localUri: string;
  /** In the order of the configuration. */
  readonly certificates: readonly CertificatePem[];
}

export interface BuiltClient {
  readonly generation: number;
  readonly material: TlsMaterial;
  readonly context: SecureContext;
  /** Goes with the context: another identity or trust bundle has none of them. */
  readonly sessions: ClientSessions;
}

export class TlsContexts {
  readonly #secrets: SecretTable;
  readonly #clients = new WeakMap<TlsSettings, BuiltClient>();

  constructor(secrets: SecretTable) {
    this.#secrets = secrets;
  }

  /** A text says which secret is missing. */
  material(tls: TlsSettings): TlsMaterial | string {
    const certificates: CertificatePem[] = [];
    for (const source of tls.certificates) {
      const certificate = source.kind === 'inline' ? source.certificate : this.#secrets.certificate(source.name);
      if (certificate === undefined) return `the secret ${source.kind === 'sds' ? source.name : ''} has not come yet`;
      certificates.push(certificate);
    }
    const rules: PeerRules[] = [];
    if (tls.validation !== null) {
      rules.push(tls.validation.rules);
      if (tls.validation.sdsName !== '') {
        const secret = this.#secrets.rules(tls.validation.sdsName);
        if (secret === undefined) return `the secret ${tls.validation.sdsName} has not come yet`;
        rules.push(secret);
      }
    }
    const ca = rules.filter((rule) => rule.trustedCaPem !== '').map((rule) => rule.trustedCaPem);
    // Names mean nothing without a verified chain.
    if (ca.length === 0 && rules.some((rule) => rule.sanMatchers.length > 0)) return 'names are to be checked, but there is no trusted CA';
    const crl = rules.filter((rule) => rule.crlPem !== '').map((rule) => rule.crlPem);
    return {
      certificates,
      options: {
        ...chosen(certificates),
        ...(ca.length > 0 ? { ca } : {}),
        ...(crl.length > 0 ? { crl } : {}),
        ...(tls.curves === '' ? {} : { ecdhCurve: tls.curves }),
        ...(tls.signatureAlgorithms === '' ? {} : { sigalgs: tls.signatureAlgorithms }),
        minVersion: tls.minVersion,
        maxVersion: tls.maxVersion,
        ...(tls.cipherSuites === '' ? {} : { ciphers: tls.cipherSuites }),
      },
      rules,
      verify: ca.length > 0,
      localUri: certificates.length === 0 ? '' : firstUri(certificates[0]!.chainPem),
    };
  }

  /** For connections that we open. A text says why there is none. */
  client(tls: UpstreamTlsSettings): BuiltClient | string {
    const built = this.#clients.get(tls);
    if (built !== undefined && built.generation === this.#secrets.generation) return built;
    const generation = this.#secrets.generation;
    const material = this.material(tls);
    if (typeof material === 'string') return material;
    try {
      const made = { generation, material, context: createSecureContext(material.options), sessions: new ClientSessions(tls.maxSessionKeys) };
      this.#clients.set(tls, made);
      return made;
    } catch (cause) {
      return `the certificate or key cannot be used: ${(cause as Error).message}`;
    }
  }
}

/** A context has one certificate of each kind of key: the first of the configuration. */
function chosen(certificates: readonly CertificatePem[]): { cert: string[]; key: string[] } {
  const kinds = new Set<string | undefined>();
  const first = certificates.filter(({ chainPem }) => {
    if (certificates.length === 1) return true;
    const kind = kindOf(chainPem);
    const fresh = !kinds.has(kind);
    kinds.add(kind);
    return fresh;
  });
  return { cert: first.map(({ chainPem }) => chainPem), key: first.map(({ keyPem }) => keyPem) };
}

/** 'ec', 'rsa'...; undefined where it cannot be read: then TLS says so. */
function kindOf(chainPem: string): string | undefined {
  try {
    return new X509Certificate(chainPem).publicKey.asymmetricKeyType;
  } catch {
    return undefined;
  }
}

function firstUri(pem: string): string {
  try {
    return parseSubjectAltNames(new X509Certificate(pem).subjectAltName).uri[0] ?? '';
  } catch {
    return '';
  }
}
