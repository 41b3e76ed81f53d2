import type { Resource } from '@outrigger/resources';
import type { AnalyzeOptions, Mesh } from './analyze.ts';

/** Which of its fields, or the whole kind, this version accepts but does not act on; a sentence each. Empty: all in effect. */
export function statusNotes(_resource: Resource): readonly string[] {
  return [];
}

/** All that a resource's effect depends on. */
export interface EffectContext extends Mesh, AnalyzeOptions {
  readonly resources: readonly Resource[];
}

/** Why a resource, or a part of it, does nothing now: "subset v3 is not in DestinationRule default/order-service". */
export function withoutEffect(_resource: Resource, _context: EffectContext): string | undefined {
  return undefined;
}
