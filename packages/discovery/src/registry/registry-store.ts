import { checkRegistration } from './check-registration.ts';
import type { Registration } from './registration.ts';

/** Where the registry is kept over a restart of the control plane, which gives it a part of its store. */
export interface RegistryStore {
  entries(): Iterable<readonly [key: string, value: Uint8Array]>;
  /** Resolves once durable. Writes of one key are done in the order of their calls. */
  put(key: string, value: Uint8Array): Promise<void>;
  delete(key: string): Promise<void>;
}

/** What is kept of one instance. */
export interface KeptInstance {
  readonly registration: Registration;
  readonly createdAtMs: number;
  readonly draining: boolean;
  readonly healthy: boolean;
  readonly reason: string;
  /** 0: for as long as its stream lives; else it was put through the API until then. */
  readonly expiresAtMs: number;
}

export function encodeInstance(kept: KeptInstance): Uint8Array {
  return Buffer.from(JSON.stringify({ version: 1, ...kept }));
}

/** undefined: not what was written; the instance registers itself again. */
export function decodeInstance(bytes: Uint8Array): KeptInstance | undefined {
  try {
    const kept = JSON.parse(Buffer.from(bytes).toString('utf8')) as KeptInstance & { version: number };
    const registration = checkRegistration(kept.registration);
    if (kept.version !== 1 || 'refused' in registration) return undefined;
    return {
      registration,
      createdAtMs: Number(kept.createdAtMs),
      draining: kept.draining === true,
      healthy: kept.healthy === true,
      reason: String(kept.reason),
      expiresAtMs: Number(kept.expiresAtMs),
    };
  } catch {
    return undefined;
  }
}
