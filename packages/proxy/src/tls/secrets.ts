import type { CertificatePem, PeerRules } from '../xds/tls-settings.ts';

/** What SDS has brought. One per proxy; TLS contexts are built from it and rebuilt when it changes. */
export class SecretTable {
  readonly #certificates = new Map<string, CertificatePem>();
  readonly #rules = new Map<string, PeerRules>();
  readonly #listeners = new Set<(name: string) => void>();
  /** Changes with every secret, so that who has built something knows when to build it anew. */
  generation = 0;

  certificate(name: string): CertificatePem | undefined {
    return this.#certificates.get(name);
  }

  rules(name: string): PeerRules | undefined {
    return this.#rules.get(name);
  }

  has(name: string): boolean {
    return this.#certificates.has(name) || this.#rules.has(name);
  }

  setCertificate(name: string, certificate: CertificatePem): void {
    this.#certificates.set(name, certificate);
    this.#changed(name);
  }

  setRules(name: string, rules: PeerRules): void {
    this.#rules.set(name, rules);
    this.#changed(name);
  }

  /** For /certs. */
  certificates(): ReadonlyMap<string, CertificatePem> {
    return this.#certificates;
  }

  trustBundles(): ReadonlyMap<string, PeerRules> {
    return this.#rules;
  }

  /** Calls back after each change, until the returned function is called. */
  onChange(listener: (name: string) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Fulfilled with true when all are there, with false after `timeoutMs`. */
  ready(names: ReadonlySet<string>, timeoutMs: number): Promise<boolean> {
    const complete = () => [...names].every((name) => this.has(name));
    if (complete()) return Promise.resolve(true);
    return new Promise((resolve) => {
      const done = (there: boolean) => {
        clearTimeout(timer);
        stop();
        resolve(there);
      };
      const timer = setTimeout(() => done(false), timeoutMs);
      const stop = this.onChange(() => {
        if (complete()) done(true);
      });
    });
  }

  #changed(name: string): void {
    this.generation++;
    for (const listener of this.#listeners) listener(name);
  }
}
