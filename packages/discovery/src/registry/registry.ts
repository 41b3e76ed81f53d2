import type { Instance, Service } from '@outrigger/resources';

/** What has changed, by hostname. A service that is new, gone or different is in `services`; where its set of instances or one of them differs, in `endpoints`. */
export interface RegistryChange {
  readonly services: ReadonlySet<string>;
  readonly endpoints: ReadonlySet<string>;
}

/** What exists at run time, from one source or from several merged. All answers are of now, and frozen. */
export interface Registry {
  services(): Iterable<Service>;
  service(hostname: string): Service | undefined;
  instances(): Iterable<Instance>;
  /** Ordered by id. Empty for an unknown hostname. */
  instancesOf(hostname: string): readonly Instance[];
  /** Called after the answers have changed; the returned function stops it. */
  onChange(listener: (change: RegistryChange) => void): () => void;
}
