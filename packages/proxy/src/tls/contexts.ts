import { X509Certificate } from 'node:crypto';
import { createSecureContext, type SecureContext, type SecureContextOptions } from 'node:tls';
import type { PeerRules, TlsSettings } from '../xds/tls-settings.ts';
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
}

interface BuiltClient {
  readonly generation: number;
  readonly material: TlsMaterial;
  readonly context: SecureContext;
}

export class TlsContexts {
  readonly #secrets: SecretTable;
  readonly #clients = new WeakMap<TlsSettings, BuiltClient>();

  constructor(secrets: SecretTable) {
    this.#secrets = secrets;
  }

  /** A text says which secret is missing. */
  material(tls: TlsSettings): TlsMaterial | string {
    const cert: string[] = [];
    const key: string[] = [];
    for (const source of tls.certificates) {
      const certificate = source.kind === 'inline' ? source.certificate : this.#secrets.certificate(source.name);
      if (certificate === undefined) return `the secret ${source.kind === 'sds' ? source.name : ''} has not come yet`;
      cert.push(certificate.chainPem);
      key.push(certificate.keyPem);
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
    return {
      options: {
        cert,
        key,
        ...(ca.length > 0 ? { ca } : {}),
        minVersion: tls.minVersion,
        maxVersion: tls.maxVersion,
        ...(tls.cipherSuites === '' ? {} : { ciphers: tls.cipherSuites }),
      },
      rules,
      verify: ca.length > 0,
      localUri: cert.length === 0 ? '' : firstUri(cert[0]!),
    };
  }

  /** For connections that we open. A text says why there is none. */
  client(tls: TlsSettings): { readonly material: TlsMaterial; readonly context: SecureContext } | string {
    const built = this.#clients.get(tls);
    if (built !== undefined && built.generation === this.#secrets.generation) return built;
    const generation = this.#secrets.generation;
    const material = this.material(tls);
    if (typeof material === 'string') return material;
    try {
      const made = { generation, material, context: createSecureContext(material.options) };
      this.#clients.set(tls, made);
      return made;
    } catch (cause) {
      return `the certificate or key cannot be used: ${(cause as Error).message}`;
    }
  }
}

function firstUri(pem: string): string {
  try {
    return parseSubjectAltNames(new X509Certificate(pem).subjectAltName).uri[0] ?? '';
  } catch {
    return '';
  }
}
