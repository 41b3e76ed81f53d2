import type { OutlierDetection } from '@outrigger/xds/protos/envoy/config/cluster/v3/outlier_detection';

/** When an endpoint is so much worse than the others, or so bad, that it is ejected (Envoy's success rate and failure percentage). */
export interface RatePolicy {
  /** Endpoints with enough requests, so that they are compared at all. */
  readonly minimumHosts: number;
  readonly requestVolume: number;
  /** Below the mean less so many standard deviations. */
  readonly stdevFactor: number;
  readonly failureMinimumHosts: number;
  readonly failureRequestVolume: number;
  /** Percent of requests. */
  readonly failureThreshold: number;
}

export const NO_RATES: RatePolicy = {
  minimumHosts: Number.POSITIVE_INFINITY,
  requestVolume: 0,
  stdevFactor: 0,
  failureMinimumHosts: Number.POSITIVE_INFINITY,
  failureRequestVolume: 0,
  failureThreshold: 0,
};

/** Envoy's defaults where the message has nothing. */
export function compileRates(config: OutlierDetection): RatePolicy {
  return {
    minimumHosts: config.successRateMinimumHosts ?? 5,
    requestVolume: config.successRateRequestVolume ?? 100,
    stdevFactor: (config.successRateStdevFactor ?? 1900) / 1000,
    failureMinimumHosts: config.failurePercentageMinimumHosts ?? 5,
    failureRequestVolume: config.failurePercentageRequestVolume ?? 50,
    failureThreshold: config.failurePercentageThreshold ?? 85,
  };
}

/** Requests of one interval. */
export class RequestCount {
  total = 0;
  good = 0;

  reset(): void {
    this.total = this.good = 0;
  }
}

export interface RateVerdict<H> {
  /** Far below the others. */
  readonly outliers: readonly H[];
  /** Bad by themselves. */
  readonly failing: readonly H[];
}

/** `countOf`: what each endpoint has done in the interval; those that are ejected are not to be among `hosts`. */
export function judgeRates<H>(hosts: readonly H[], countOf: (host: H) => RequestCount, policy: RatePolicy): RateVerdict<H> {
  const rate = (host: H): number => (countOf(host).good * 100) / countOf(host).total;
  const withVolume = (volume: number): H[] => hosts.filter((host) => countOf(host).total > 0 && countOf(host).total >= volume);
  const compared = withVolume(policy.requestVolume);
  let outliers: H[] = [];
  if (compared.length > 0 && compared.length >= policy.minimumHosts) {
    const mean = compared.reduce((sum, host) => sum + rate(host), 0) / compared.length;
    const variance = compared.reduce((sum, host) => sum + (rate(host) - mean) ** 2, 0) / compared.length;
    const threshold = mean - policy.stdevFactor * Math.sqrt(variance);
    outliers = compared.filter((host) => rate(host) < threshold);
  }
  const counted = withVolume(policy.failureRequestVolume);
  const failing =
    counted.length > 0 && counted.length >= policy.failureMinimumHosts ? counted.filter((host) => 100 - rate(host) >= policy.failureThreshold) : [];
  return { outliers, failing };
}
