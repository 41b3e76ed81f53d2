import { create } from '@bufbuild/protobuf';
import type { SecretStore } from '@outrigger/xds';
import { type Secret, SecretSchema } from '@outrigger/xds/protos/envoy/extensions/transport_sockets/tls/v3/secret';
import { type Found, type Material, readSecret } from './certificate-files.ts';

const dayMs = 86_400_000;
/** From so long before its end a certificate is a problem. */
const expiryWarningMs = 14 * dayMs;
/** So often the files in use are looked at. */
const lookIntervalMs = 500;

export interface CertificateStoreOptions {
  readonly folder: string | undefined;
  /** What is wrong with the certificates that are asked for, a line each; whenever that changes. */
  readonly onProblems: (problems: readonly string[]) => void;
  /** Unix milliseconds. */
  readonly now?: () => number;
}

interface Entry {
  found: Found;
  /** The last good one: it stays in use where its files are no good any more. */
  secret: Secret | undefined;
  /** Nothing is wrong with what that was made of. */
  whole: boolean;
  notAfterMs: number;
}

/** Certificates of the machine's files, as SDS serves them: read when a listener first asks for one, and looked at for as long as one does. */
export class CertificateStore implements SecretStore {
  readonly #options: CertificateStoreOptions;
  readonly #entries = new Map<string, Entry>();
  readonly #listeners = new Set<(name: string) => void>();
  #timer: NodeJS.Timeout | undefined;
  #said = '';

  constructor(options: CertificateStoreOptions) {
    this.#options = options;
  }

  get(name: string): Secret | undefined {
    const known = this.#entries.get(name);
    if (known !== undefined) return known.secret;
    const found = readSecret(name, this.#options.folder);
    if (found === undefined) return undefined;
    const entry: Entry = { found, secret: secretOf(name, found.material), whole: found.fault === '', notAfterMs: found.material?.notAfterMs ?? 0 };
    this.#entries.set(name, entry);
    this.#timer ??= setInterval(() => this.look(), lookIntervalMs).unref();
    this.#tell();
    return entry.secret;
  }

  onChange(listener: (name: string) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** What no listener names any more is nobody's problem. */
  inUse(names: ReadonlySet<string>): void {
    for (const name of this.#entries.keys()) if (!names.has(name)) this.#entries.delete(name);
    if (this.#entries.size === 0) this.#rest();
    this.#tell();
  }

  /** Reads again what has changed on the disk. */
  look(): void {
    for (const [name, entry] of this.#entries) {
      const found = readSecret(name, this.#options.folder);
      if (found === undefined || found.stamp === entry.found.stamp) continue;
      entry.found = found;
      // A part does not take the place of all.
      if (found.material === undefined || (found.fault !== '' && entry.whole)) continue;
      entry.whole = found.fault === '';
      entry.secret = secretOf(name, found.material);
      entry.notAfterMs = found.material.notAfterMs;
      for (const listener of [...this.#listeners]) listener(name);
    }
    this.#tell();
  }

  stop(): void {
    this.#rest();
    this.#listeners.clear();
  }

  #rest(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  #tell(): void {
    const problems = [...this.#entries].flatMap(([name, entry]) => this.#problemOf(name, entry));
    const text = problems.join('\n');
    if (text === this.#said) return;
    this.#said = text;
    this.#options.onProblems(problems);
  }

  #problemOf(name: string, { found, secret, whole, notAfterMs }: Entry): string[] {
    const what = `certificate ${name.replace(/^[a-z-]+:(\/\/)?/, '')}`;
    if (secret === undefined) return [`${what}: ${found.fault}; until then its server takes no connection`];
    if (found.fault !== '')
      return [`${what}: ${found.fault}; ${whole || found.material === undefined ? 'the one before it stays in use' : 'the others are trusted'}`];
    const leftMs = notAfterMs - (this.#options.now ?? Date.now)();
    if (leftMs <= 0) return [`${what} ended at ${new Date(notAfterMs).toISOString()}; put a new one in its place`];
    if (leftMs > expiryWarningMs) return [];
    const days = Math.floor(leftMs / dayMs);
    return [
      `${what} ends ${days < 1 ? 'within a day' : `in ${days} day${days === 1 ? '' : 's'}`}, at ${new Date(notAfterMs).toISOString()}; put a new one in its place`,
    ];
  }
}

function secretOf(name: string, material: Material | undefined): Secret | undefined {
  const bytes = (text: string) => ({ specifier: { case: 'inlineBytes', value: Buffer.from(text) } as const });
  if (material === undefined) return undefined;
  if (material.kind === 'authorities') {
    const crl = material.crl === '' ? {} : { crl: bytes(material.crl) };
    return create(SecretSchema, { name, type: { case: 'validationContext', value: { trustedCa: bytes(material.bundle), ...crl } } });
  }
  return create(SecretSchema, {
    name,
    type: { case: 'tlsCertificate', value: { certificateChain: bytes(material.chain), privateKey: bytes(material.key) } },
  });
}

/** Two stores as one: what the first does not have is the second's. */
export function joinedSecrets(first: SecretStore, second: SecretStore): SecretStore {
  return {
    get: (name) => first.get(name) ?? second.get(name),
    onChange(listener) {
      const stops = [first.onChange(listener), second.onChange(listener)];
      return () => {
        for (const stop of stops) stop();
      };
    },
    inUse(names) {
      first.inUse?.(names);
      second.inUse?.(names);
    },
  };
}
