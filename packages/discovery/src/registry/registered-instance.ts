import type { Health, Instance } from '@outrigger/resources';
import type { Registration } from './registration.ts';

const MAX_REASON_CHARACTERS = 256;
const MAX_WARNINGS = 32;

/** Where an instance comes from: a live stream, the API, or the store after a restart. */
export type InstanceSource = 'stream' | 'api' | 'restored';

/** One registered instance with what is known of it beside its `Instance`. */
export interface RegisteredInstance {
  readonly registration: Registration;
  readonly instance: Instance;
  readonly source: InstanceSource;
  /** Why it is not healthy, in its agent's words; '' where it is. */
  readonly reason: string;
  /** What somebody should see to, in its agent's words, a line each, though it is healthy; '' where there is nothing. */
  readonly warning: string;
  /** When the one or the other was first said; 0: never. */
  readonly saidAtMs: number;
  readonly lastSeenMs: number;
}

/** The same while the registry has it. */
export interface Entry {
  registration: Registration;
  instance: Instance;
  source: InstanceSource;
  readonly caller: string;
  readonly createdAtMs: number;
  healthy: boolean;
  draining: boolean;
  reason: string;
  warning: string;
  saidAtMs: number;
  lastSeenMs: number;
  deadlineMs: number;
  ended: (why: 'lost' | 'replaced') => void;
}

export function healthOf({ healthy, draining }: Pick<Entry, 'healthy' | 'draining'>): Health {
  if (draining) return 'DRAINING';
  return healthy ? 'HEALTHY' : 'UNHEALTHY';
}

/** Line by line. */
export function cleanWarning(warning: string): string {
  return warning.split('\n', MAX_WARNINGS).map(cleanReason).join('\n');
}

/** An agent's words, as one line that may be shown. */
export function cleanReason(reason: string): string {
  return reason.slice(0, MAX_REASON_CHARACTERS).replace(/[\u0000-\u001f\u007f-\u009f]/g, ' ');
}
