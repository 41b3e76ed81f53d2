import type { Random } from '@outrigger/telemetry';
import type { HeaderNames } from '../http/header-names.ts';
import type { Background } from '../lb/load-balancer.ts';
import type { InternalListeners } from '../listener/internal-listeners.ts';
import type { Intake } from '../net/intake.ts';
import type { Gate } from '../net/lane.ts';
import type { TimerWheel } from '../net/timer-wheel.ts';
import type { Slabs, Turn } from '../net/turn-writer.ts';
import type { OverloadParts } from '../overload/overload-control.ts';
import type { OverloadState } from '../overload/overload-state.ts';
import type { GivenUpMemory } from '../resilience/given-up.ts';
import type { TlsContexts } from '../tls/contexts.ts';
import type { SecretTable } from '../tls/secrets.ts';
import type { Resolver } from '../upstream/resolver.ts';
import type { Faults } from './faults.ts';
import type { ProxyLog } from './options.ts';

/** What proxies in one process may share, none of which knows a workload's identity or its data longer than a call. */
export interface ProcessParts {
  readonly intake: Intake;
  readonly names: HeaderNames;
  readonly slabs: Slabs;
  readonly overload: OverloadParts;
}

/** What all parts of one proxy share. */
export interface Runtime {
  readonly turn: Turn;
  /** Lets sockets in where other workloads have the same event loop; null: this one has it alone. */
  readonly gate: Gate | null;
  /** All reads of plain sockets land in it. */
  readonly intake: Intake;
  readonly wheel: TimerWheel;
  readonly random: Random;
  /** Does in slices of the event loop what need not be done at once. */
  readonly background: Background;
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
  /** Where several processes are one proxy they share ports; a path is one process's, and nobody listens on it in the others. null: this one is alone. */
  readonly worker: { readonly index: number } | null;
  readonly overload: OverloadState;
  readonly log: ProxyLog;
  readonly faults: Faults;
}
