/**
 * Tests of a share that hold however often they are looked at (docs/rollouts.md). Each is a mixture of likelihood ratios, whose value is, while the
 * hypothesis holds, at most 1 on average at every moment; that it ever reaches 1/alpha then has a probability of at most alpha (Ville's inequality).
 */

/** What the share may be instead, as multiples of its odds. */
const WORSE: readonly number[] = [1.5, 2, 3, 5, 10, 30, 100, 1000];
const BETTER: readonly number[] = WORSE.map((factor) => 1 / factor);
/** Odds between which a bound is sought; in halves of halves so often, that is exact to a millionth. */
const LEAST_ODDS = 1e-9;
const MOST_ODDS = 1e9;
const BISECTIONS = 60;

/** Logarithm of the evidence that more than `share` of all are hits, of `hits` among `count`. */
export function evidenceAbove(hits: number, count: number, share: number): number {
  return mixture(hits, count, oddsOf(share), WORSE);
}

/** Logarithm of the evidence that less than `share` of all are hits. */
export function evidenceBelow(hits: number, count: number, share: number): number {
  return mixture(hits, count, oddsOf(share), BETTER);
}

/** The least share above which the true one lies with no more than `alpha`; 1 where the count is too small to say. */
export function upperBound(hits: number, count: number, alpha: number): number {
  return bound((odds) => mixture(hits, count, odds, BETTER) >= -Math.log(alpha), 1);
}

/** The greatest share below which the true one lies with no more than `alpha`; 0 where the count is too small to say. */
export function lowerBound(hits: number, count: number, alpha: number): number {
  return 1 - bound((odds) => mixture(count - hits, count, odds, BETTER) >= -Math.log(alpha), 1);
}

/** The share whose odds are so many times those of `share`. */
export function scaleOdds(share: number, factor: number): number {
  const odds = oddsOf(share) * factor;
  return odds / (1 + odds);
}

function oddsOf(share: number): number {
  return Math.min(MOST_ODDS, Math.max(LEAST_ODDS, share / (1 - share)));
}

/** With odds o and c times o, a hit is the likelier by c(1+o)/(1+co), a miss by (1+o)/(1+co). */
function mixture(hits: number, count: number, odds: number, factors: readonly number[]): number {
  const logs = factors.map((factor) => hits * Math.log(factor) + count * (Math.log1p(odds) - Math.log1p(factor * odds)));
  const largest = Math.max(...logs);
  return largest + Math.log(logs.reduce((sum, log) => sum + Math.exp(log - largest), 0) / factors.length);
}

/** The evidence grows with the odds that it is held against, so the least that are refuted are found by halving. */
function bound(refuted: (odds: number) => boolean, otherwise: number): number {
  if (!refuted(MOST_ODDS)) return otherwise;
  let [low, high] = [Math.log(LEAST_ODDS), Math.log(MOST_ODDS)];
  for (let step = 0; step < BISECTIONS; step++) {
    const middle = (low + high) / 2;
    if (refuted(Math.exp(middle))) high = middle;
    else low = middle;
  }
  const odds = Math.exp(high);
  return odds / (1 + odds);
}
