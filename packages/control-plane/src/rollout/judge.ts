import type { Requirement } from '@outrigger/resources';
import type { Buckets } from '../telemetry/windows.ts';
import { Durations } from './quantile.ts';
import { evidenceAbove, evidenceBelow, lowerBound, scaleOdds, upperBound } from './sequential.ts';

/** What one version did in a step. */
export interface Arm {
  readonly requests: number;
  readonly failures: number;
  readonly durations: Buckets;
}

export const NO_TRAFFIC: Arm = { requests: 0, failures: 0, durations: new Map() };

export type CheckState = 'pass' | 'fail' | 'undecided' | 'not-judged';

/** One requirement, held against what was seen. */
export interface Check {
  readonly requirement: string;
  readonly state: CheckState;
  /** A clause: "99.2 % of 1204 succeeded, which is below with 99 % confidence". */
  readonly text: string;
}

export interface Terms {
  readonly requirements: readonly Requirement[];
  /** Probability with which one requirement may find a good version bad in one step. */
  readonly alpha: number;
  readonly minimumRequests: number;
  /** What the versions are called in texts. */
  readonly from: string;
  readonly to: string;
  /** Whether the old version has traffic to be compared with. */
  readonly compared: boolean;
}

/** A version so many times worse than allowed (in odds) is not let through, but with the probability of `PASS_ALPHA`. */
export const TOLERANCE = 4;
export const PASS_ALPHA = 0.05;

export function judge(from: Arm, to: Arm, terms: Terms): Check[] {
  const short = tooFew(from, to, terms);
  return terms.requirements.map((requirement) => {
    if (requirement.unit === 'x' && !terms.compared)
      return { requirement: requirement.text, state: 'not-judged', text: `not judged: ${terms.from} has no traffic any more` };
    const found = requirement.metric === 'success' ? success(requirement, from, to, terms) : latency(requirement, from, to, terms);
    const state = found.failed ? 'fail' : found.passed && short === undefined ? 'pass' : 'undecided';
    // Where there was nothing to measure, what is lacking is all there is to say.
    const why = state === 'undecided' ? [short ?? 'not enough yet to tell'] : [];
    return { requirement: requirement.text, state, text: [...(to.requests === 0 ? [] : [found.text]), ...why].join('; ') };
  });
}

interface Finding {
  readonly failed: boolean;
  readonly passed: boolean;
  readonly text: string;
}

function tooFew(from: Arm, to: Arm, terms: Terms): string | undefined {
  const { minimumRequests: least } = terms;
  if (to.requests < least) return `${terms.to} has had ${to.requests} of the ${least} requests that are needed`;
  if (terms.compared && from.requests < least) return `${terms.from} has had ${from.requests} of the ${least} requests that are needed`;
  return undefined;
}

function success(requirement: Requirement & { readonly metric: 'success' }, from: Arm, to: Arm, terms: Terms): Finding {
  const { least, unit } = requirement;
  const relative = unit === 'x';
  const alpha = relative ? terms.alpha / 2 : terms.alpha;
  // What may fail, at most and at least, with what is known of the old version.
  let allowed = 1 - least;
  let surelyAllowed = allowed;
  let excuse = '';
  if (relative) {
    allowed = 1 - least * (1 - upperBound(from.failures, from.requests, alpha));
    surelyAllowed = 1 - least * (1 - lowerBound(from.failures, from.requests, PASS_ALPHA / 2));
  } else if (evidenceAbove(from.failures, from.requests, allowed) >= -Math.log(PASS_ALPHA)) {
    // Whatever makes both fail is not the new version's fault.
    allowed = Math.max(allowed, upperBound(from.failures, from.requests, alpha / 2));
    excuse = `; ${terms.from} does not meet it either`;
  }
  const failed = evidenceAbove(to.failures, to.requests, allowed) >= -Math.log(alpha);
  const passed = evidenceBelow(to.failures, to.requests, scaleOdds(surelyAllowed, TOLERANCE)) >= -Math.log(PASS_ALPHA);
  const measured = `${share(to)} of ${to.requests} succeeded${terms.compared ? ` (${terms.from}: ${share(from)} of ${from.requests})` : ''}${excuse}`;
  return { failed, passed, text: failed ? `${measured}, less than required beyond chance` : measured };
}

function latency(requirement: Requirement & { readonly metric: 'latency' }, from: Arm, to: Arm, terms: Terms): Finding {
  const { quantile, most, unit } = requirement;
  const tail = 1 - quantile;
  const relative = unit === 'x';
  const alpha = relative ? terms.alpha / 2 : terms.alpha;
  const [old, fresh] = [new Durations(from.durations), new Durations(to.durations)];
  let limit = most;
  let surely = most;
  let excuse = '';
  if (relative) {
    limit = most * old.upperBound(tail, alpha);
    surely = most * old.lowerBound(tail, PASS_ALPHA / 2);
  } else if (evidenceAbove(old.surelyAbove(most), old.count, tail) >= -Math.log(PASS_ALPHA)) {
    limit = Math.max(most, old.upperBound(tail, alpha / 2));
    excuse = `; ${terms.from} does not meet it either`;
  }
  const failed = Number.isFinite(limit) && evidenceAbove(fresh.surelyAbove(limit), fresh.count, tail) >= -Math.log(alpha);
  const passed = evidenceBelow(fresh.maybeAbove(surely), fresh.count, scaleOdds(tail, TOLERANCE)) >= -Math.log(PASS_ALPHA);
  const name = `p${Math.round(quantile * 10_000) / 100}`;
  const measured = `${name} ${milliseconds(fresh.measured(tail))}${terms.compared ? ` (${terms.from}: ${milliseconds(old.measured(tail))})` : ''}${excuse}`;
  return { failed, passed, text: failed ? `${measured}, longer than required beyond chance` : measured };
}

function share({ requests, failures }: Arm): string {
  if (requests === 0) return 'none';
  const percent = (100 * (requests - failures)) / requests;
  return `${failures > 0 && percent > 99.99 ? '99.99' : percent.toFixed(failures === 0 ? 0 : 2)} %`;
}

function milliseconds(ms: number | null): string {
  return ms === null ? 'unknown' : ms >= 1000 ? `${(ms / 1000).toFixed(2)} s` : `${ms.toFixed(ms < 10 ? 1 : 0)} ms`;
}
