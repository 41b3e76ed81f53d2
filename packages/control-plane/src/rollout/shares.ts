import type { Split } from './decide.ts';

/** Weights become parts of a hundred with two decimals, where that leaves their sum within the 32 bits that proxies have for it. */
const UNITS: readonly number[] = [10_000, 100, 1];
const MOST = 2 ** 32 - 1;

/** By what all weights of a route are multiplied before one of them is split. */
export function unitOf(sum: number): number {
  return UNITS.find((unit) => sum * unit <= MOST) ?? 1;
}

/** A weight by the two versions; the new one behind the old one, so that a hash which leads to it still does when it has more. */
export function sharesOf(
  weight: number,
  { from, to, split }: { readonly from: string; readonly to: string; readonly split: Split },
): readonly { readonly name: string; readonly weight: number }[] {
  const fresh = Math.round((split.to / 100) * weight);
  const shares = [
    { name: from, weight: weight - fresh },
    { name: to, weight: fresh },
  ];
  return shares.filter((share) => share.weight > 0);
}
