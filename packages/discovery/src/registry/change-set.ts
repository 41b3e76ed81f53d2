import type { RegistryChange } from './registry.ts';

/** Gathers what one step changes, and tells the listeners once. */
export class ChangeSet {
  readonly #listeners = new Set<(change: RegistryChange) => void>();
  #services = new Set<string>();
  #endpoints = new Set<string>();
  #depth = 0;

  service(hostname: string): void {
    this.#services.add(hostname);
  }

  endpoints(hostname: string): void {
    this.#endpoints.add(hostname);
  }

  listen(listener: (change: RegistryChange) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Runs a step; the outermost one tells. */
  step<T>(run: () => T): T {
    this.#depth += 1;
    try {
      return run();
    } finally {
      this.#depth -= 1;
      if (this.#depth === 0) this.#tell();
    }
  }

  #tell(): void {
    if (this.#services.size === 0 && this.#endpoints.size === 0) return;
    const change = { services: this.#services, endpoints: this.#endpoints };
    this.#services = new Set();
    this.#endpoints = new Set();
    for (const listener of [...this.#listeners]) listener(change);
  }
}
