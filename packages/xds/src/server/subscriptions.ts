import type { Change, TypeUrl, VersionedResource } from '../source.ts';
import { type AdsLimits, MAX_NACK_MESSAGE_LENGTH, SubscriptionLimitError } from './limits.ts';

/** What one type of the client's view has to say; a pure read. */
export interface Lookup {
  get(name: string): VersionedResource | 'pending' | undefined;
  wildcard(): Iterable<string> | 'pending';
}

/**
 * How far a push may go. `answers`: what the client has asked for and not got yet. `additions`: changed and new
 * resources too. `all`: removals too. Make before break calls them in this order over all types.
 */
export type Phase = 'answers' | 'additions' | 'all';

/** One response to send. */
export interface Push {
  readonly nonce: string;
  readonly resources: readonly VersionedResource[];
  /** Held by the client and gone. */
  readonly removed: readonly string[];
  /** Asked for by name and not there. */
  readonly absent: readonly string[];
  /** Name -> version; '' for what is removed or absent. */
  readonly versions: ReadonlyMap<string, string>;
}

export interface Nack {
  readonly message: string;
  readonly versions: ReadonlyMap<string, string>;
}

/** What a request said about an earlier push, and whether the set of names is another now. */
export interface RequestOutcome {
  readonly acked: ReadonlyMap<string, string> | undefined;
  readonly nacked: Nack | undefined;
  /** Nonce of the push that this answers. */
  readonly nonce: string | undefined;
  readonly namesChanged: boolean;
}

/** What one stream has subscribed to of one type and what it holds: the delta and the state-of-the-world machine alike. */
export interface TypeSubscription {
  /** Subscribed names, '*' among them for the wildcard. */
  readonly names: ReadonlySet<string>;
  /** A push waits for its answer. */
  readonly busy: boolean;
  /** Nothing was announced that was not yet looked at. */
  readonly idle: boolean;
  changed(change: Change): void;
  /** As if the client had asked for the name once more; nothing where it has not subscribed to it. */
  askAgain(name: string): void;
  next(lookup: Lookup, phase: Phase, nonce: string): Push | undefined;
}

export const WILDCARD = '*';

export function checkNames(names: readonly string[], known: number, limits: AdsLimits, typeUrl: TypeUrl): void {
  if (known + names.length > limits.maxNames) {
    throw new SubscriptionLimitError(`more than ${limits.maxNames} names of ${typeUrl} on one stream; subscribe to fewer, or by wildcard`);
  }
  for (const name of names) {
    if (name.length > limits.maxNameLength)
      throw new SubscriptionLimitError(`a name of ${typeUrl} is ${name.length} characters long; ${limits.maxNameLength} are taken`);
  }
}

export function shortNack(message: string): string {
  return message.length <= MAX_NACK_MESSAGE_LENGTH ? message : `${message.slice(0, MAX_NACK_MESSAGE_LENGTH)}...`;
}

/** Membership in a wildcard without copying where the source holds a set (or a map's keys would do). */
export function membership(names: Iterable<string>): ReadonlySet<string> {
  return names instanceof Set ? names : new Set(names);
}
