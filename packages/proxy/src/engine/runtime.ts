import type { Random } from '@outrigger/telemetry';
import type { HeaderNames } from '../http/header-names.ts';
import type { InternalListeners } from '../listener/internal-listeners.ts';
import type { TimerWheel } from '../net/timer-wheel.ts';
import type { Turn } from '../net/turn-writer.ts';
import type { GivenUpMemory } from '../resilience/given-up.ts';
import type { TlsContexts } from '../tls/contexts.ts';
import type { SecretTable } from '../tls/secrets.ts';
import type { Resolver } from '../upstream/resolver.ts';
import type { Faults } from './faults.ts';
import type { ProxyLog } from './options.ts';

/** What all parts of one proxy share. */
export interface Runtime {
  readonly turn: Turn;
  /** All reads of plain sockets land in it. */
  readonly readBuffer: Buffer;
  readonly wheel: TimerWheel;
  readonly random: Random;
  readonly names: HeaderNames;
  readonly secrets: SecretTable;
  readonly tls: TlsContexts;
  readonly internalListeners: InternalListeners;
  readonly resolver: Resolver;
  readonly givenUp: GivenUpMemory;
  /** Monotonic, ms with fractions. */
  readonly nowMs: () => number;
  readonly unixMs: () => number;
  /** Our own SPIFFE id, '' while there is none. */
  readonly localUri: () => string;
  /** Said by the admin interface: this proxy is to be taken for ill. */
  readonly health: { failing: boolean };
  readonly log: ProxyLog;
  readonly faults: Faults;
}
