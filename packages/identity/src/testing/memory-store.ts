import type { CaStore } from '../ca/ca-store.ts';

/** A store in memory, whose writes can be made to fail. */
export class MemoryStore implements CaStore {
  readonly values = new Map<string, Uint8Array>();
  failure: Error | undefined;

  get(key: string): Uint8Array | undefined {
    return this.values.get(key);
  }

  async put(key: string, value: Uint8Array): Promise<void> {
    if (this.failure !== undefined) throw this.failure;
    this.values.set(key, Uint8Array.from(value));
  }
}
