/** Where the authority keeps its roots and tokens; the control plane gives it a part of its own store. Values are secrets. */
export interface CaStore {
  get(key: string): Uint8Array | undefined | Promise<Uint8Array | undefined>;
  /** Resolves once the value is durable. */
  put(key: string, value: Uint8Array): Promise<void>;
}
