import type { Resource, RolloutSpec } from '@outrigger/resources';
import type { ResourceStatus, RolloutArmView, RolloutView } from '../api/shapes.ts';
import { isOver, phaseText, type RolloutPlan, type RolloutState, type Split, stepText } from './decide.ts';
import type { Arm } from './judge.ts';
import { Durations } from './quantile.ts';

const P99_TAIL = 0.01;

export interface Shown {
  readonly resource: Resource<RolloutSpec>;
  readonly plan: RolloutPlan;
  readonly state: RolloutState;
  readonly service: string;
  readonly split: Split | undefined;
  readonly routes: readonly string[];
  /** Why what the resource says by now has not begun. */
  readonly refusal: string | undefined;
}

export function rolloutView({ resource, plan, state, service, split, routes, refusal }: Shown): RolloutView {
  const { namespace, name } = resource.metadata;
  return {
    namespace,
    name,
    service,
    from: plan.from,
    to: plan.to,
    phase: state.phase,
    steps: [...plan.steps],
    step: state.step,
    weight: split?.to ?? null,
    mirror: split?.mirror ?? 0,
    heldMs: state.heldMs,
    everyMs: plan.everyMs,
    deadlineMs: plan.deadlineMs,
    arms: { from: armView(state.from), to: armView(state.to) },
    checks: state.checks.map((check) => ({ ...check })),
    verdict: `${verdict(plan, state, split)}${refusal === undefined ? '' : `; what it says by now has not begun: ${refusal}`}`,
    routes: [...routes],
    startedAtMs: state.startedAtMs,
    history: state.history.map((entry) => ({ ...entry })),
  };
}

/** One that has not begun. */
export function refusedView(resource: Resource<RolloutSpec>, reason: string): RolloutView {
  const { metadata, spec } = resource;
  const none: RolloutArmView = { requests: 0, failures: 0, successRatio: null, p99Ms: null };
  return {
    namespace: metadata.namespace,
    name: metadata.name,
    service: spec.service,
    from: spec.from ?? '',
    to: spec.to,
    phase: 'waiting',
    steps: [...spec.steps],
    step: -1,
    weight: null,
    mirror: 0,
    heldMs: 0,
    everyMs: 0,
    deadlineMs: 0,
    arms: { from: none, to: none },
    checks: [],
    verdict: `has not begun: ${reason}`,
    routes: [],
    startedAtMs: 0,
    history: [],
  };
}

export function rolloutStatus(view: RolloutView): ResourceStatus {
  const state = view.phase === 'waiting' ? 'without-effect' : view.phase === 'paused' ? 'pending' : 'in-effect';
  return { state, summary: view.verdict, acknowledged: 0, affected: 0, laggards: [], refused: [], notes: [] };
}

function armView(arm: Arm): RolloutArmView {
  const { requests, failures, durations } = arm;
  return { requests, failures, successRatio: requests === 0 ? null : (requests - failures) / requests, p99Ms: new Durations(durations).measured(P99_TAIL) };
}

/** One sentence. */
function verdict(plan: RolloutPlan, state: RolloutState, split: Split | undefined): string {
  if (isOver(state)) {
    const where =
      split === undefined
        ? 'routes are as they are written, since nothing of that version runs'
        : `all traffic goes to ${split.to === 100 ? plan.to : plan.from}`;
    return `${phaseText(state.phase)} (${state.reason}); ${where}`;
  }
  const at = stepText(plan, state.step);
  if (state.phase === 'paused') return `paused at ${at}: ${state.reason}`;
  if (state.goneMs > 0) return `${at}: there is no healthy instance of ${plan.to} just now, so it gets no traffic`;
  const open = state.checks.filter((check) => check.state === 'undecided');
  if (open.length > 0) return `${at}: waiting for ${open.map(({ requirement, text }) => `${requirement} (${text})`).join(' and ')}`;
  return state.checks.length === 0 ? `${at}: begun` : `${at}: good so far`;
}
