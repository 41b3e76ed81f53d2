import { durationMs, parseRequirement, type Requirement, type RolloutSpec } from '@outrigger/resources';
import { addBuckets } from '../telemetry/windows.ts';
import { type Arm, type Check, judge, NO_TRAFFIC, type Terms } from './judge.ts';

export type RolloutPhase = 'progressing' | 'paused' | 'succeeded' | 'rolled-back' | 'aborted';
/** What somebody does by hand. */
export type RolloutAction = 'pause' | 'resume' | 'promote' | 'abort';

/** A rollout as it was settled when it began: nothing in it is optional any more. */
export interface RolloutPlan {
  readonly from: string;
  readonly to: string;
  readonly steps: readonly number[];
  readonly everyMs: number;
  readonly deadlineMs: number;
  /** Percent; 0: none. */
  readonly mirrorFirst: number;
  readonly requirements: readonly Requirement[];
  /** Probability with which a good version is rolled back, in all steps together. */
  readonly alpha: number;
  readonly minimumRequests: number;
}

export interface RolloutState {
  readonly phase: RolloutPhase;
  /** Of `steps`; -1: it is only mirrored to. */
  readonly step: number;
  /** How long the step has been watched; what passed while nobody watched does not count. */
  readonly heldMs: number;
  readonly seenAtMs: number;
  readonly from: Arm;
  readonly to: Arm;
  readonly checks: readonly Check[];
  /** How long the new version has had no instance. */
  readonly goneMs: number;
  /** Why it is in this phase. */
  readonly reason: string;
  readonly startedAtMs: number;
  /** The last ones, oldest first. */
  readonly history: readonly { readonly atMs: number; readonly text: string }[];
}

export interface Presence {
  /** Healthy instances. */
  readonly from: number;
  readonly to: number;
  /** Of neither version. */
  readonly others: number;
}

/** What happened since the state was made. */
export interface Observation {
  readonly nowMs: number;
  readonly present: Presence;
  readonly from: Arm;
  readonly to: Arm;
  /** A route of the user's that cannot be kept: undefined, there is none. */
  readonly conflict?: string | undefined;
}

/** Traffic as it is to be split; undefined: as the resources say by themselves. */
export interface Split {
  /** Percent to the new version, of two decimals. */
  readonly to: number;
  readonly mirror: number;
}

/** Longest time between two observations that counts: the control plane was away for the rest. */
const MAX_GAP_MS = 5_000;
/** A version without an instance for so long is gone; shorter, it starts again. */
export const GONE_MS = 10_000;
const MAX_HISTORY = 50;
/** Why somebody's pause is one. */
export const BY_HAND = 'by hand';

export function planOf(spec: RolloutSpec, from: string): RolloutPlan {
  return {
    from,
    to: spec.to,
    steps: spec.steps,
    everyMs: durationMs(spec.every) ?? 0,
    deadlineMs: durationMs(spec.deadline) ?? 0,
    mirrorFirst: spec.mirrorFirst ?? 0,
    requirements: spec.require.map(parseRequirement).filter((requirement): requirement is Requirement => !('fault' in requirement)),
    alpha: 1 - spec.confidence / 100,
    minimumRequests: spec.minimumRequests,
  };
}

export function begin(plan: RolloutPlan, nowMs: number): RolloutState {
  const state: RolloutState = {
    phase: 'progressing',
    step: plan.mirrorFirst > 0 ? -1 : 0,
    heldMs: 0,
    seenAtMs: nowMs,
    from: NO_TRAFFIC,
    to: NO_TRAFFIC,
    checks: [],
    goneMs: 0,
    reason: '',
    startedAtMs: nowMs,
    history: [],
  };
  return noted(state, nowMs, `begun: ${stepText(plan, state.step)}`);
}

export function isOver({ phase }: RolloutState): boolean {
  return phase === 'succeeded' || phase === 'rolled-back' || phase === 'aborted';
}

/** The next state: what was seen is judged, and the step held, passed, paused or taken back. */
export function observe(plan: RolloutPlan, before: RolloutState, seen: Observation): RolloutState {
  const gapMs = Math.min(MAX_GAP_MS, Math.max(0, seen.nowMs - before.seenAtMs));
  if (isOver(before)) return { ...before, seenAtMs: seen.nowMs };
  const [from, to] = [added(before.from, seen.from), added(before.to, seen.to)];
  // Where the old version is gone too, there is nothing to go back to.
  const goneMs = seen.present.to > 0 || seen.present.from === 0 ? 0 : before.goneMs + gapMs;
  const heldMs = before.phase === 'paused' ? before.heldMs : before.heldMs + gapMs;
  const checks = judge(from, to, termsOf(plan, before.step));
  const state: RolloutState = { ...before, from, to, goneMs, heldMs, checks, seenAtMs: seen.nowMs };

  const failed = checks.find((check) => check.state === 'fail');
  if (failed !== undefined) return ended(state, seen.nowMs, 'rolled-back', `${failed.requirement}: ${failed.text}`);
  if (goneMs >= GONE_MS) return ended(state, seen.nowMs, 'rolled-back', `no healthy instance of ${plan.to} is left`);
  if (state.phase === 'paused') return state;
  if (seen.conflict !== undefined) return paused(state, seen.nowMs, seen.conflict);
  if (heldMs >= plan.everyMs && seen.present.to > 0 && checks.every((check) => check.state === 'pass' || check.state === 'not-judged'))
    return passed(plan, state, seen.nowMs);
  if (heldMs >= plan.deadlineMs) {
    const open = checks.find((check) => check.state === 'undecided');
    return paused(
      state,
      seen.nowMs,
      `the step has not passed within ${secondsText(plan.deadlineMs)}${open === undefined ? '' : `; ${open.requirement}: ${open.text}`}`,
    );
  }
  return state;
}

/** What somebody does by hand; a text says why it cannot be done. */
export function act(plan: RolloutPlan, state: RolloutState, action: RolloutAction, nowMs: number): RolloutState | string {
  if (isOver(state)) return `it is over: ${phaseText(state.phase)}`;
  switch (action) {
    case 'pause':
      return state.phase === 'paused' ? 'it is paused already' : paused(state, nowMs, BY_HAND);
    case 'resume':
      if (state.phase !== 'paused') return 'it is not paused';
      return noted({ ...state, phase: 'progressing', heldMs: 0, reason: '' }, nowMs, `resumed: ${stepText(plan, state.step)}`);
    case 'promote':
      return ended({ ...state, step: plan.steps.length - 1 }, nowMs, 'succeeded', 'promoted by hand');
    case 'abort':
      return ended(state, nowMs, 'aborted', BY_HAND);
  }
}

/** How the traffic goes. A version without an instance gets none where another can take it. */
export function splitOf(plan: RolloutPlan, state: RolloutState, present: Presence): Split | undefined {
  if (state.phase === 'succeeded') return present.to > 0 ? { to: 100, mirror: 0 } : undefined;
  // What was taken back is never sent to again, unless somebody has replaced the version that it was taken back to.
  if (isOver(state)) return present.from > 0 || present.others === 0 ? { to: 0, mirror: 0 } : undefined;
  if (present.to === 0) return { to: 0, mirror: 0 };
  if (present.from === 0) return { to: 100, mirror: 0 };
  return state.step < 0 ? { to: 0, mirror: plan.mirrorFirst } : { to: plan.steps[state.step]!, mirror: 0 };
}

export function stepText(plan: RolloutPlan, step: number): string {
  return step < 0 ? `${plan.mirrorFirst} % mirrored to ${plan.to}` : `${plan.steps[step]} % to ${plan.to}`;
}

export function phaseText(phase: RolloutPhase): string {
  return phase === 'rolled-back' ? 'rolled back' : phase;
}

function termsOf(plan: RolloutPlan, step: number): Terms {
  const steps = plan.steps.length + (plan.mirrorFirst > 0 ? 1 : 0);
  return {
    requirements: plan.requirements,
    alpha: plan.alpha / (steps * plan.requirements.length),
    minimumRequests: plan.minimumRequests,
    from: plan.from,
    to: plan.to,
    compared: step < 0 || plan.steps[step]! < 100,
  };
}

function passed(plan: RolloutPlan, state: RolloutState, nowMs: number): RolloutState {
  const step = state.step + 1;
  if (step === plan.steps.length) return ended(state, nowMs, 'succeeded', `every step has passed: 100 % to ${plan.to}`);
  const next: RolloutState = { ...state, step, heldMs: 0, from: NO_TRAFFIC, to: NO_TRAFFIC, checks: [] };
  return noted(next, nowMs, `passed; ${stepText(plan, step)}`);
}

function paused(state: RolloutState, nowMs: number, reason: string): RolloutState {
  return noted({ ...state, phase: 'paused', reason }, nowMs, `paused: ${reason}`);
}

function ended(state: RolloutState, nowMs: number, phase: RolloutPhase, reason: string): RolloutState {
  return noted({ ...state, phase, reason }, nowMs, `${phaseText(phase)}: ${reason}`);
}

function noted(state: RolloutState, atMs: number, text: string): RolloutState {
  return { ...state, history: [...state.history, { atMs, text }].slice(-MAX_HISTORY) };
}

function added(arm: Arm, more: Arm): Arm {
  if (more.requests === 0 && more.durations.size === 0) return arm;
  const durations = new Map(arm.durations);
  addBuckets(durations, more.durations);
  return { requests: arm.requests + more.requests, failures: arm.failures + more.failures, durations };
}

function secondsText(ms: number): string {
  return ms < 120_000 ? `${Math.round(ms / 100) / 10} s` : `${Math.round(ms / 60_000)} min`;
}
