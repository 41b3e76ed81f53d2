import { createHash } from 'node:crypto';
import { create } from '@bufbuild/protobuf';
import type { Authority } from '@outrigger/identity';
import type { KubernetesDocument } from '@outrigger/resources';
import { parseSecretName } from '@outrigger/translate';
import type { SecretStore } from '@outrigger/xds';
import { type Secret, SecretSchema } from '@outrigger/xds/protos/envoy/extensions/transport_sockets/tls/v3/secret';
import { authoritiesOf } from '../../packages/cli/src/simulate/client-certificate.ts';
import { svidOf, testAuthority } from '../xds/certificates.ts';

export interface KeyAndCertificate {
  readonly key: string;
  readonly cert: string;
}

const MESH = 'mesh';
const AUTHORITIES_SUFFIX = '-cacert';
const inline = (value: string) => ({ specifier: { case: 'inlineString' as const, value } });

/** The service account that stands in the certificate of a secret, so that a client can tell which it was shown. */
export function accountOf(secretName: string): string {
  return `shown-${createHash('sha1').update(secretName).digest('hex').slice(0, 16)}`;
}

/** Every secret that a proxy may name: made when it is first asked for, each trust in an authority of its own. */
export class Secrets implements SecretStore {
  readonly #authorities = new Map<string, Promise<Authority>>();
  readonly #made = new Map<string, Secret>();
  readonly #making = new Set<string>();
  readonly #listeners = new Set<(name: string) => void>();
  readonly #shown = new Map<string, Promise<KeyAndCertificate>>();
  /** Kubernetes objects of the world at hand: authorities that are written there are taken as they are. */
  #documents: readonly KubernetesDocument[] = [];

  /** Forgets what was made from another world's. */
  use(documents: readonly KubernetesDocument[]): void {
    if (documents === this.#documents) return;
    this.#documents = documents;
    for (const name of [...this.#made.keys()]) {
      if (parseSecretName(name)?.kind !== 'credential' || !name.endsWith(AUTHORITIES_SUFFIX)) continue;
      this.#made.delete(name);
      void this.#make(name);
    }
  }

  get(name: string): Secret | undefined {
    const made = this.#made.get(name);
    if (made === undefined) void this.#make(name);
    return made;
  }

  onChange(listener: (name: string) => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  /** A certificate of the mesh, or one that the authorities of a file have signed. */
  certificate(signedBy: string = MESH, account = 'default'): Promise<KeyAndCertificate> {
    const key = `${signedBy} ${account}`;
    const made =
      this.#shown.get(key) ??
      this.#authority(signedBy)
        .then((authority) => svidOf(authority, account))
        .then((svid) => ({ key: svid.privateKeyPem, cert: svid.certificateChainPem.join('\n') }));
    this.#shown.set(key, made);
    return made;
  }

  async #make(name: string): Promise<void> {
    if (this.#making.has(name)) return;
    this.#making.add(name);
    const type = await this.#typeOf(name);
    this.#making.delete(name);
    this.#made.set(name, create(SecretSchema, { name, type }));
    for (const listener of this.#listeners) listener(name);
  }

  async #typeOf(name: string): Promise<Secret['type']> {
    const parsed = parseSecretName(name);
    const authorities =
      name === 'ROOTCA'
        ? MESH
        : parsed?.kind === 'authorities'
          ? parsed.authorities
          : parsed?.kind === 'credential' && parsed.name.endsWith(AUTHORITIES_SUFFIX)
            ? parsed.name
            : undefined;
    if (authorities !== undefined) {
      const written = parsed?.kind === 'credential' ? authoritiesOf(this.#documents, authorities) : undefined;
      const pem = written ?? (await (await svidOf(await this.#authority(authorities), 'any')).trustBundlePem.join('\n'));
      return create(SecretSchema, { type: { case: 'validationContext', value: { trustedCa: inline(pem) } } }).type;
    }
    const { key, cert } = await this.certificate(MESH, name === 'default' ? 'default' : accountOf(name));
    return create(SecretSchema, { type: { case: 'tlsCertificate', value: { certificateChain: inline(cert), privateKey: inline(key) } } }).type;
  }

  #authority(name: string): Promise<Authority> {
    const made = this.#authorities.get(name) ?? testAuthority();
    this.#authorities.set(name, made);
    return made;
  }
}
