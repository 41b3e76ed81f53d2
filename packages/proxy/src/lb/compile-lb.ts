import { anyUnpack } from '@bufbuild/protobuf/wkt';
import {
  type Cluster,
  type Cluster_CommonLbConfig_ZoneAwareLbConfig,
  Cluster_LbPolicy,
  Cluster_RingHashLbConfig_HashFunction,
  type Cluster_SlowStartConfig,
} from '@outrigger/xds/protos/envoy/config/cluster/v3/cluster';
import { LeastRequestSchema } from '@outrigger/xds/protos/envoy/extensions/load_balancing_policies/least_request/v3/least_request';
import { MaglevSchema } from '@outrigger/xds/protos/envoy/extensions/load_balancing_policies/maglev/v3/maglev';
import { RandomSchema } from '@outrigger/xds/protos/envoy/extensions/load_balancing_policies/random/v3/random';
import { RingHash_HashFunction, RingHashSchema } from '@outrigger/xds/protos/envoy/extensions/load_balancing_policies/ring_hash/v3/ring_hash';
import { RoundRobinSchema } from '@outrigger/xds/protos/envoy/extensions/load_balancing_policies/round_robin/v3/round_robin';
import { SubsetSchema } from '@outrigger/xds/protos/envoy/extensions/load_balancing_policies/subset/v3/subset';
import { WrrLocalitySchema } from '@outrigger/xds/protos/envoy/extensions/load_balancing_policies/wrr_locality/v3/wrr_locality';
import { CompileReport, type CompileResult } from '../routing/compile-result.ts';
import { durationMs } from '../routing/duration.ts';
import { compileSubsets } from './compile-subsets.ts';
import { DEFAULT_LB_OPTIONS, type LbOptions, type SlowStart } from './options.ts';
import { DEFAULT_ZONE_AWARE, type ZoneAwareOptions } from './zone-aware.ts';

/** Cluster.SlowStartConfig or the same message of load_balancing_policies.common. */
type SlowStartConfig = Pick<Cluster_SlowStartConfig, 'slowStartWindow' | 'aggression' | 'minWeightPercent'>;
type Policies = NonNullable<Cluster['loadBalancingPolicy']>;

/** Envoy's limit for Maglev tables; modulo64 needs less than 2^26. */
const MAX_MAGLEV_TABLE = 5_000_011;

function compileSlowStart(config: SlowStartConfig | undefined): SlowStart | null {
  const windowMs = durationMs(config?.slowStartWindow, 0);
  if (config === undefined || windowMs <= 0) return null;
  return { windowMs, aggression: config.aggression?.defaultValue || 1, minWeightRatio: (config.minWeightPercent?.value ?? 10) / 100 };
}

function isPrime(value: number): boolean {
  if (value < 3 || value % 2 === 0) return value === 2;
  for (let i = 3; i * i <= value; i += 2) if (value % i === 0) return false;
  return true;
}

function tableSize(given: bigint | undefined, path: string, report: CompileReport): number {
  if (given === undefined) return DEFAULT_LB_OPTIONS.maglevTableSize;
  const size = Number(given);
  if (size > MAX_MAGLEV_TABLE || !isPrime(size)) report.error(path, `must be a prime number up to ${MAX_MAGLEV_TABLE}`);
  return size;
}

/** Points on a ring: Envoy's limit, and never none. */
function ringSizes(
  minimum: bigint | undefined,
  maximum: bigint | undefined,
  base: LbOptions,
  path: string,
  report: CompileReport,
): Pick<LbOptions, 'minimumRingSize' | 'maximumRingSize'> {
  const minimumRingSize = Number(minimum ?? base.minimumRingSize);
  const maximumRingSize = Number(maximum ?? base.maximumRingSize);
  if (minimumRingSize < 1 || minimumRingSize > maximumRingSize) report.error(`${path}.minimum_ring_size`, 'must be at least 1 and not above maximum_ring_size');
  if (maximumRingSize > DEFAULT_LB_OPTIONS.maximumRingSize)
    report.error(`${path}.maximum_ring_size`, `must not be above ${DEFAULT_LB_OPTIONS.maximumRingSize}`);
  return { minimumRingSize, maximumRingSize };
}

/** Of the cluster, or the same message of load_balancing_policies.common. */
function consistentHashing(
  config: { readonly useHostnameForHashing: boolean; readonly hashBalanceFactor?: number | undefined } | undefined,
  path: string,
  report: CompileReport,
): Pick<LbOptions, 'useHostname' | 'hashBalancePercent'> {
  const factor = config?.hashBalanceFactor;
  if (factor !== undefined && factor < 100) report.error(`${path}.hash_balance_factor`, 'must be at least 100');
  return { useHostname: config?.useHostnameForHashing ?? false, hashBalancePercent: factor ?? 0 };
}

type LocalitySpecifier =
  | {
      readonly case?: string | undefined;
      readonly value?: unknown;
    }
  | undefined;
type ZoneAwareConfig = Pick<Cluster_CommonLbConfig_ZoneAwareLbConfig, 'routingEnabled' | 'minClusterSize' | 'failTrafficOnPanic'>;

/** Of the cluster, or the same message of load_balancing_policies.common; Envoy is aware of zones unless localities have weights. */
function zoneAware(specifier: LocalitySpecifier): ZoneAwareOptions | null {
  if (specifier?.case === 'localityWeightedLbConfig') return null;
  if (specifier?.case !== 'zoneAwareLbConfig') return DEFAULT_ZONE_AWARE;
  const config = specifier.value as ZoneAwareConfig;
  return {
    enabledRatio: (config.routingEnabled?.value ?? 100) / 100,
    minClusterSize: Number(config.minClusterSize ?? DEFAULT_ZONE_AWARE.minClusterSize),
    failTrafficOnPanic: config.failTrafficOnPanic,
  };
}

/** Of a typed policy: those that share it have it from the cluster. */
function localities(
  config: { readonly localityConfigSpecifier: NonNullable<LocalitySpecifier> } | undefined,
  base: LbOptions,
): Pick<LbOptions, 'localityWeighted' | 'zoneAware'> {
  const specifier = config?.localityConfigSpecifier;
  const { localityWeighted } = base;
  if (localityWeighted || specifier?.case === undefined) return { localityWeighted, zoneAware: base.zoneAware };
  return { localityWeighted: specifier.case === 'localityWeightedLbConfig', zoneAware: zoneAware(specifier) };
}

/** Cluster.load_balancing_policy: the first policy known here, as Envoy takes it. */
function fromPolicies(policies: Policies, base: LbOptions, path: string, report: CompileReport): LbOptions {
  for (const [index, { typedExtensionConfig }] of policies.policies.entries()) {
    const any = typedExtensionConfig?.typedConfig;
    if (any === undefined) continue;
    const at = `${path}.policies[${index}]`;
    const roundRobin = anyUnpack(any, RoundRobinSchema);
    if (roundRobin !== undefined) {
      return {
        ...base,
        policy: 'round-robin',
        slowStart: compileSlowStart(roundRobin.slowStartConfig),
        ...localities(roundRobin.localityLbConfig, base),
      };
    }
    const leastRequest = anyUnpack(any, LeastRequestSchema);
    if (leastRequest !== undefined) {
      return {
        ...base,
        policy: 'least-request',
        choiceCount: leastRequest.choiceCount ?? base.choiceCount,
        activeRequestBias: leastRequest.activeRequestBias?.defaultValue ?? 1,
        slowStart: compileSlowStart(leastRequest.slowStartConfig),
        ...localities(leastRequest.localityLbConfig, base),
      };
    }
    const random = anyUnpack(any, RandomSchema);
    if (random !== undefined)
      return {
        ...base,
        policy: 'random',
        ...localities(random.localityLbConfig, base),
      };
    const ringHash = anyUnpack(any, RingHashSchema);
    if (ringHash !== undefined) {
      if (ringHash.hashFunction === RingHash_HashFunction.MURMUR_HASH_2) report.error(`${at}.hash_function`, 'only XX_HASH is supported');
      return {
        ...base,
        policy: 'ring-hash',
        localityWeighted: base.localityWeighted || ringHash.localityWeightedLbConfig !== undefined,
        ...(ringHash.consistentHashingLbConfig === undefined
          ? { useHostname: ringHash.useHostnameForHashing, hashBalancePercent: ringHash.hashBalanceFactor ?? 0 }
          : consistentHashing(ringHash.consistentHashingLbConfig, `${at}.consistent_hashing_lb_config`, report)),
        ...ringSizes(ringHash.minimumRingSize, ringHash.maximumRingSize, base, at, report),
      };
    }
    const maglev = anyUnpack(any, MaglevSchema);
    if (maglev !== undefined)
      return {
        ...base,
        policy: 'maglev',
        localityWeighted: base.localityWeighted || maglev.localityWeightedLbConfig !== undefined,
        ...consistentHashing(maglev.consistentHashingLbConfig, `${at}.consistent_hashing_lb_config`, report),
        maglevTableSize: tableSize(maglev.tableSize, `${at}.table_size`, report),
      };
    const subset = anyUnpack(any, SubsetSchema);
    if (subset?.subsetLbPolicy !== undefined) {
      const subsets = compileSubsets(subset, at, report);
      return fromPolicies(subset.subsetLbPolicy, { ...base, subsets }, `${at}.subset_lb_policy`, report);
    }
    const wrrLocality = anyUnpack(any, WrrLocalitySchema);
    if (wrrLocality?.endpointPickingPolicy !== undefined) {
      return fromPolicies(wrrLocality.endpointPickingPolicy, { ...base, localityWeighted: true }, `${at}.endpoint_picking_policy`, report);
    }
  }
  report.error(path, 'names no load balancing policy that is known here (round_robin, least_request, random, ring_hash, maglev, subset, wrr_locality)');
  return base;
}

/** Balancing of a cluster: lb_policy with its configuration, or load_balancing_policy, and common_lb_config. */
export function compileLbOptions(cluster: Cluster): CompileResult<LbOptions> {
  const report = new CompileReport();
  const common = cluster.commonLbConfig;
  const panic = common?.healthyPanicThreshold;
  let options: LbOptions = {
    ...DEFAULT_LB_OPTIONS,
    panicThreshold: panic === undefined ? DEFAULT_LB_OPTIONS.panicThreshold : panic.value / 100,
    localityWeighted: common?.localityConfigSpecifier.case === 'localityWeightedLbConfig',
    zoneAware: zoneAware(common?.localityConfigSpecifier),
    subsets: compileSubsets(cluster.lbSubsetConfig, 'lb_subset_config', report),
    ...consistentHashing(common?.consistentHashingLbConfig, 'common_lb_config.consistent_hashing_lb_config', report),
  };
  if (cluster.loadBalancingPolicy !== undefined && cluster.loadBalancingPolicy.policies.length > 0) {
    return report.result(fromPolicies(cluster.loadBalancingPolicy, options, 'load_balancing_policy', report));
  }
  const config = cluster.lbConfig;
  switch (cluster.lbPolicy) {
    case Cluster_LbPolicy.ROUND_ROBIN:
      options = { ...options, slowStart: compileSlowStart(config.case === 'roundRobinLbConfig' ? config.value.slowStartConfig : undefined) };
      break;
    case Cluster_LbPolicy.LEAST_REQUEST: {
      const least = config.case === 'leastRequestLbConfig' ? config.value : undefined;
      options = {
        ...options,
        policy: 'least-request',
        choiceCount: least?.choiceCount ?? options.choiceCount,
        activeRequestBias: least?.activeRequestBias?.defaultValue ?? 1,
        slowStart: compileSlowStart(least?.slowStartConfig),
      };
      break;
    }
    case Cluster_LbPolicy.RANDOM:
      options = { ...options, policy: 'random' };
      break;
    case Cluster_LbPolicy.RING_HASH: {
      const ring = config.case === 'ringHashLbConfig' ? config.value : undefined;
      if (ring?.hashFunction === Cluster_RingHashLbConfig_HashFunction.MURMUR_HASH_2)
        report.error('ring_hash_lb_config.hash_function', 'only XX_HASH is supported');
      options = {
        ...options,
        policy: 'ring-hash',
        ...ringSizes(ring?.minimumRingSize, ring?.maximumRingSize, options, 'ring_hash_lb_config', report),
      };
      break;
    }
    case Cluster_LbPolicy.MAGLEV: {
      const maglev = config.case === 'maglevLbConfig' ? config.value : undefined;
      options = { ...options, policy: 'maglev', maglevTableSize: tableSize(maglev?.tableSize, 'maglev_lb_config.table_size', report) };
      break;
    }
    case Cluster_LbPolicy.CLUSTER_PROVIDED:
      break;
    default:
      report.error('lb_policy', `${Cluster_LbPolicy[cluster.lbPolicy] ?? cluster.lbPolicy} is not supported`);
  }
  return report.result(options);
}
