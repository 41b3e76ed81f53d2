import type { ClientTlsSettings, ConnectionPoolSettings, LoadBalancerSettings, OutlierDetection, Service, Subset, TrafficPolicy } from '@outrigger/resources';
import type { DestinationRule } from '../mesh.ts';
import type { Visibility } from '../visibility.ts';

/** A field of a DestinationRule, with where it stands: notes name it. */
export interface Placed<T> {
  readonly value: T;
  readonly rule: DestinationRule;
  readonly field: string;
}

/** What DestinationRules say of one port of one service or subset, merged. */
export interface EffectivePolicy {
  readonly loadBalancer: Placed<LoadBalancerSettings> | undefined;
  readonly connectionPool: Placed<ConnectionPoolSettings> | undefined;
  readonly outlierDetection: Placed<OutlierDetection> | undefined;
  readonly tls: Placed<ClientTlsSettings> | undefined;
  readonly retryBudget: Placed<NonNullable<TrafficPolicy['retryBudget']>> | undefined;
  readonly tunnel: Placed<NonNullable<TrafficPolicy['tunnel']>> | undefined;
  readonly proxyProtocol: Placed<NonNullable<TrafficPolicy['proxyProtocol']>> | undefined;
}

export const NO_POLICY: EffectivePolicy = {
  loadBalancer: undefined,
  connectionPool: undefined,
  outlierDetection: undefined,
  tls: undefined,
  retryBudget: undefined,
  tunnel: undefined,
  proxyProtocol: undefined,
};

/** A subset of the merged rules, and where it stands. */
export interface FoundSubset {
  readonly subset: Subset;
  readonly rule: DestinationRule;
  readonly field: string;
}

/** The rules of one service as one: the oldest trafficPolicy, the subsets of all (of one name the oldest). */
export interface MergedRules {
  readonly rules: readonly DestinationRule[];
  readonly subsets: ReadonlyMap<string, FoundSubset>;
}

export function mergedRules(visibility: Visibility, service: Pick<Service, 'hostname' | 'namespace'>): MergedRules {
  const rules = visibility.destinationRules(service);
  const subsets = new Map<string, FoundSubset>();
  for (const rule of rules) {
    for (const [index, subset] of (rule.spec.subsets ?? []).entries()) {
      if (!subsets.has(subset.name)) subsets.set(subset.name, { subset, rule, field: `spec.subsets[${index}]` });
    }
  }
  return { rules, subsets };
}

export function effectivePolicy(merged: MergedRules, port: number, subset: FoundSubset | undefined): EffectivePolicy {
  const holder = merged.rules.find(({ spec }) => spec.trafficPolicy !== undefined);
  const whole = holder === undefined ? NO_POLICY : overlay(NO_POLICY, holder.spec.trafficPolicy!, holder, 'spec.trafficPolicy', port);
  if (subset?.subset.trafficPolicy === undefined) return whole;
  return overlay(whole, subset.subset.trafficPolicy, subset.rule, `${subset.field}.trafficPolicy`, port);
}

function overlay(below: EffectivePolicy, policy: TrafficPolicy, rule: DestinationRule, field: string, port: number): EffectivePolicy {
  const placed = <T>(value: T | undefined, name: string, at = field): Placed<T> | undefined =>
    value === undefined || value === null ? undefined : { value, rule, field: `${at}.${name}` };
  const merged: EffectivePolicy = {
    loadBalancer: placed(policy.loadBalancer, 'loadBalancer') ?? below.loadBalancer,
    connectionPool: placed(policy.connectionPool, 'connectionPool') ?? below.connectionPool,
    outlierDetection: placed(policy.outlierDetection, 'outlierDetection') ?? below.outlierDetection,
    tls: placed(policy.tls, 'tls') ?? below.tls,
    retryBudget: placed(policy.retryBudget, 'retryBudget') ?? below.retryBudget,
    tunnel: placed(policy.tunnel, 'tunnel') ?? below.tunnel,
    proxyProtocol: placed(policy.proxyProtocol, 'proxyProtocol') ?? below.proxyProtocol,
  };
  const index = (policy.portLevelSettings ?? []).findIndex((settings) => settings.port?.number === port);
  if (index < 0) return merged;
  // Settings of a port inherit nothing: what they leave out is the default (Istio's rule).
  const settings = policy.portLevelSettings![index]!;
  const at = `${field}.portLevelSettings[${index}]`;
  return {
    ...merged,
    loadBalancer: placed(settings.loadBalancer, 'loadBalancer', at),
    connectionPool: placed(settings.connectionPool, 'connectionPool', at),
    outlierDetection: placed(settings.outlierDetection, 'outlierDetection', at),
    tls: placed(settings.tls, 'tls', at),
  };
}
