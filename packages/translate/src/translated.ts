import type { ResourceRef } from '@outrigger/resources';
import type { Key } from './keys.ts';
import type { NodeField } from './traced-node.ts';

/** Something that a resource says and that this proxy does not do, or not exactly so. */
export interface Note {
  readonly resource: ResourceRef;
  /** Path in the resource: "spec.http[0].retries.retryRemoteLocalities". */
  readonly field: string;
  /** `none`: without effect. `differs`: in effect, but not exactly as written. */
  readonly effect: 'none' | 'differs';
  /** Where: on every data plane or on one. */
  readonly on: 'all' | 'outrigger' | 'envoy' | 'grpc';
  readonly message: string;
}

/** A field of a resource. */
export interface Place {
  readonly resource: ResourceRef;
  /** "spec.http[0]" */
  readonly field: string;
}

/** One xDS resource, and what it was made of. */
export interface Translated<Message> {
  /** The resource's own name; for VHDS not always the name asked for. */
  readonly name: string;
  /** undefined: there is no such resource for this node now. `keys` says what could change that. */
  readonly message: Message | undefined;
  /** VHDS: all names under which the same virtual host answers. */
  readonly aliases: readonly string[];
  /** Everything that was looked at, found or not: when one of them is touched, translate again. */
  readonly keys: ReadonlySet<Key>;
  /** What of the node was looked at: another that has the same there gets the same. */
  readonly reads: ReadonlySet<NodeField>;
  /** The resources that shaped it: they are in effect on this node through it. */
  readonly sources: readonly ResourceRef[];
  readonly notes: readonly Note[];
  /** Where its parts (routes) are written. */
  readonly places: ReadonlyMap<object, Place>;
  /** What of EnvoyFilters was done to it, and to parts of it (filter chains, virtual hosts, routes), in the order in which it was. */
  readonly patches: ReadonlyMap<object, readonly Place[]>;
}

/** Names of a wildcard subscription. */
export interface TranslatedNames {
  readonly names: readonly string[];
  readonly keys: ReadonlySet<Key>;
}
