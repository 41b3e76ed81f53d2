import { durationMs } from '../duration.ts';
import type { DurationText } from './shared.ts';

export const OUTRIGGER_API = 'outrigger.dev';

/** outrigger.dev Rollout: the traffic of one service is shifted from one version to another, step by step, while the new one is as good. */
export interface RolloutSpec {
  /** Short name in the rollout's namespace, or the full one. */
  readonly service: string;
  /** Subsets of a DestinationRule, or values of the label `version`. Absent: the only other version there is. */
  readonly from?: string;
  readonly to: string;
  /** Shares of the traffic in percent, ascending; the last is 100. Default 1, 10, 50, 100. */
  readonly steps: readonly number[];
  /** How long a step is held at least. Default 60s. */
  readonly every: DurationText;
  /** "success>=99.5%", "p99<=1.2x", as `parseRequirement` reads them. Default success>=99%. */
  readonly require: readonly string[];
  /** A copy of so many percent of the requests goes to the new version before any real one does. */
  readonly mirrorFirst?: number;
  /** Who has the same value gets the same version. */
  readonly sticky?: { readonly header?: string; readonly cookie?: string };
  /** Percent: of good new versions so many are not rolled back. Default 99. */
  readonly confidence: number;
  /** Of each version, in a step, before it is judged good. Default 100. */
  readonly minimumRequests: number;
  /** A step that has not passed by then is paused. Default 30m. */
  readonly deadline: DurationText;
}

export type Requirement =
  /** Of a hundred, or as a share of what the old version has. */
  | { readonly text: string; readonly metric: 'success'; readonly unit: '%' | 'x'; readonly least: number }
  /** `quantile` 0.99 for p99; milliseconds, or as a multiple of the old version's. */
  | { readonly text: string; readonly metric: 'latency'; readonly quantile: number; readonly unit: 'ms' | 'x'; readonly most: number };

const LEAST_MULTIPLE = 1.1;
const FORMS = 'success>=99.5%, success>=0.995x, p99<=1.2x or p99<=300ms';

/** What a requirement says, or what is wrong with it. */
export function parseRequirement(text: string): Requirement | { readonly fault: string } {
  const compact = text.replaceAll(/\s+/g, '');
  const success = /^success>=(\d{1,3}(?:\.\d{1,6})?)(%|x)$/.exec(compact);
  if (success !== null) {
    const unit = success[2] as '%' | 'x';
    const least = Number(success[1]) / (unit === '%' ? 100 : 1);
    if (least <= 0 || least >= 1)
      return { fault: `must leave room for a failure, as success>=${unit === '%' ? '99.9%' : '0.999x'}: that none ever fails no count can show` };
    return { text: compact, metric: 'success', unit, least };
  }
  const latency = /^p(\d{1,2}(?:\.\d{1,2})?)<=(.{1,20})$/.exec(compact);
  if (latency === null) return { fault: `must be of the form ${FORMS}` };
  // Of ten thousand: 99.9 / 100 is no 0.999.
  const quantile = Math.round(Number(latency[1]) * 100) / 10_000;
  if (quantile < 0.01) return { fault: 'must name a quantile of p1 to p99.99' };
  const relative = /^(\d{1,3}(?:\.\d{1,4})?)x$/.exec(latency[2]!);
  const most = relative === null ? durationMs(latency[2]!) : Number(relative[1]);
  if (most === undefined || most <= 0) return { fault: `must compare with a duration or a multiple, as ${FORMS}` };
  if (relative !== null && most < LEAST_MULTIPLE) return { fault: `must leave room, ${LEAST_MULTIPLE}x at least: durations are told apart by six percent` };
  return { text: compact, metric: 'latency', quantile, unit: relative === null ? 'ms' : 'x', most };
}
