import type { Fraction } from './fraction.ts';

/** One request_mirror_policies entry: a copy goes there, its answer is dropped. */
export interface MirrorPolicy {
  /** '' where the request names it. */
  readonly cluster: string;
  /** Lower-case header that names the cluster, or ''. */
  readonly clusterHeader: string;
  readonly fraction: Fraction;
  /** Whether "-shadow" is put behind the host. */
  readonly appendShadowSuffix: boolean;
}
