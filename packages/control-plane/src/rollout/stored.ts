import type { Resource, RolloutSpec } from '@outrigger/resources';
import type { RolloutState } from './decide.ts';
import type { Arm } from './judge.ts';

/** A rollout in the store: what a control plane that starts again goes on from. */
export interface StoredRollout {
  /** Of the resource that it is of. */
  readonly uid: string;
  readonly generation: number;
  /** By which it began: the resource may say something else by now. */
  readonly spec: RolloutSpec;
  readonly from: string;
  readonly state: Omit<RolloutState, 'from' | 'to'> & { readonly from: StoredArm; readonly to: StoredArm };
}

interface StoredArm extends Omit<Arm, 'durations'> {
  /** JSON has no infinity. */
  readonly durations: readonly (readonly [bound: number | 'Inf', count: number])[];
}

export function stored({ metadata: { uid, generation }, spec }: Resource<RolloutSpec>, from: string, state: RolloutState): StoredRollout {
  return { uid, generation, spec, from, state: { ...state, from: storedArm(state.from), to: storedArm(state.to) } };
}

export function restored({ state }: StoredRollout): RolloutState {
  return { ...state, from: restoredArm(state.from), to: restoredArm(state.to) };
}

function storedArm({ durations, ...counts }: Arm): StoredArm {
  return { ...counts, durations: [...durations].map(([bound, count]) => [bound === Number.POSITIVE_INFINITY ? 'Inf' : bound, count] as const) };
}

function restoredArm({ durations, ...counts }: StoredArm): Arm {
  return { ...counts, durations: new Map(durations.map(([bound, count]) => [bound === 'Inf' ? Number.POSITIVE_INFINITY : bound, count])) };
}
