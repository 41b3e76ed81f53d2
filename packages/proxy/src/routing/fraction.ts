import { type FractionalPercent, FractionalPercent_DenominatorType } from '@outrigger/xds/protos/envoy/type/v3/percent';

const UINT32_RANGE = 0x1_0000_0000;

/** A share of requests, decided by one random number. */
export class Fraction {
  /** Share in [0, 1]. */
  readonly ratio: number;
  readonly #limit: number;

  constructor(ratio: number) {
    this.ratio = Math.min(1, Math.max(0, ratio));
    this.#limit = this.ratio * UINT32_RANGE;
  }

  /** `random` is uniform in [0, 2^32). */
  holds(random: number): boolean {
    return random < this.#limit;
  }
}

export const ALWAYS = new Fraction(1);
export const NEVER = new Fraction(0);

const DENOMINATORS: Readonly<Record<FractionalPercent_DenominatorType, number>> = {
  [FractionalPercent_DenominatorType.HUNDRED]: 100,
  [FractionalPercent_DenominatorType.TEN_THOUSAND]: 10_000,
  [FractionalPercent_DenominatorType.MILLION]: 1_000_000,
};

/** envoy.type.v3.FractionalPercent; `absent` where there is none. */
export function compileFraction(percent: FractionalPercent | undefined, absent: Fraction): Fraction {
  if (percent === undefined) return absent;
  return new Fraction(percent.numerator / (DENOMINATORS[percent.denominator] ?? 100));
}
