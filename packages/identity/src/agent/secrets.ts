import { create } from '@bufbuild/protobuf';
import type { SecretStore } from '@outrigger/xds';
import { type Secret, SecretSchema } from '@outrigger/xds/protos/envoy/extensions/transport_sockets/tls/v3/secret';
import type { Svid } from '../svid.ts';

/** The SDS names of docs/xds.md. */
export const SVID_SECRET = 'default';
export const TRUST_BUNDLE_SECRET = 'ROOTCA';

/** What SDS serves of one identity: the SVID with its key, and the trust bundle. */
export class SvidSecrets implements SecretStore {
  readonly #secrets = new Map<string, Secret>();
  readonly #texts = new Map<string, string>();
  readonly #listeners = new Set<(name: string) => void>();

  get(name: string): Secret | undefined {
    return this.#secrets.get(name);
  }

  onChange(listener: (name: string) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** The bundle goes first: while both change, nobody shows a certificate that its own peers' bundle of the same agent does not know. */
  set(svid: Svid): void {
    const chain = svid.certificateChainPem.join('');
    const bundle = svid.trustBundlePem.join('');
    this.#put(TRUST_BUNDLE_SECRET, bundle, () =>
      create(SecretSchema, {
        name: TRUST_BUNDLE_SECRET,
        type: { case: 'validationContext', value: { trustedCa: { specifier: { case: 'inlineBytes', value: Buffer.from(bundle) } } } },
      }),
    );
    this.#put(SVID_SECRET, chain + svid.privateKeyPem, () =>
      create(SecretSchema, {
        name: SVID_SECRET,
        type: {
          case: 'tlsCertificate',
          value: {
            certificateChain: { specifier: { case: 'inlineBytes', value: Buffer.from(chain) } },
            privateKey: { specifier: { case: 'inlineBytes', value: Buffer.from(svid.privateKeyPem) } },
          },
        },
      }),
    );
  }

  #put(name: string, text: string, make: () => Secret): void {
    if (this.#texts.get(name) === text) return;
    this.#texts.set(name, text);
    this.#secrets.set(name, make());
    for (const listener of [...this.#listeners]) listener(name);
  }
}
