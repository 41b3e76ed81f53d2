import type { JsonObject } from '@bufbuild/protobuf';
import type { Cluster_LbSubsetConfig } from '@outrigger/xds/protos/envoy/config/cluster/v3/cluster';
import type { CompileReport } from '../routing/compile-result.ts';
import type { SubsetFallback, SubsetOptions, SubsetSelector } from './subset-balancer.ts';
import { keysIdOf } from './subset-criteria.ts';

/** Cluster.LbSubsetConfig, or load_balancing_policies.subset.v3.Subset, whose enums have the same numbers. */
type SubsetConfig = Pick<Cluster_LbSubsetConfig, 'localityWeightAware' | 'scaleLocalityWeight' | 'panicModeAny' | 'listAsAny'> & {
  readonly fallbackPolicy: number;
  readonly metadataFallbackPolicy: number;
  readonly defaultSubset?: JsonObject | undefined;
  readonly subsetSelectors: readonly {
    readonly keys: readonly string[];
    readonly fallbackPolicy: number;
    readonly fallbackKeysSubset: readonly string[];
  }[];
};

const FALLBACKS: readonly SubsetFallback[] = ['none', 'any', 'default'];
const SELECTOR_FALLBACKS: readonly SubsetSelector['fallback'][] = [null, 'none', 'any', 'default', 'keys'];

/** null: no endpoint is told from another. */
export function compileSubsets(config: SubsetConfig | undefined, path: string, report: CompileReport): SubsetOptions | null {
  // As Envoy: without a selector there are no subsets.
  if (config === undefined || config.subsetSelectors.length === 0) return null;
  if (config.metadataFallbackPolicy !== 0) report.error(`${path}.metadata_fallback_policy`, 'FALLBACK_LIST is not supported by this proxy');
  const selectors = new Map<string, SubsetSelector>();
  config.subsetSelectors.forEach((selector, index) => {
    const at = `${path}.subset_selectors[${index}]`;
    const fallback = SELECTOR_FALLBACKS[selector.fallbackPolicy] ?? null;
    const keys = [...new Set(selector.keys)];
    const fallbackKeys = new Set(selector.fallbackKeysSubset);
    if (keys.length === 0) report.error(`${at}.keys`, 'must not be empty');
    if (fallback === 'keys') {
      // Fewer each time, so that it ends.
      if (fallbackKeys.size === 0 || fallbackKeys.size >= keys.length || ![...fallbackKeys].every((key) => keys.includes(key)))
        report.error(`${at}.fallback_keys_subset`, 'must be some of the keys, and not all of them');
    } else if (fallbackKeys.size > 0) report.error(`${at}.fallback_keys_subset`, 'only with KEYS_SUBSET');
    selectors.set(keysIdOf(keys), { keys, fallback, fallbackKeys });
  });
  return {
    selectors,
    fallback: FALLBACKS[config.fallbackPolicy] ?? 'none',
    defaultSubset: config.defaultSubset ?? {},
    localityWeightAware: config.localityWeightAware,
    scaleLocalityWeight: config.scaleLocalityWeight,
    panicModeAny: config.panicModeAny,
    listAsAny: config.listAsAny,
  };
}
