import type { Analyzer } from './analyzer.ts';
import { caCertificates } from './analyzers/ca-certificates.ts';
import { conflictingHosts } from './analyzers/conflicting-hosts.ts';
import { conflictingProtocols } from './analyzers/conflicting-protocols.ts';
import { deprecations } from './analyzers/deprecations.ts';
import { destinationHosts } from './analyzers/destination-hosts.ts';
import { destinationRuleWorkloads } from './analyzers/destination-rule-workloads.ts';
import { destinationSubsets } from './analyzers/destination-subsets.ts';
import { sidecarSelectors } from './analyzers/sidecar-selectors.ts';
import { unreachableRules } from './analyzers/unreachable-rules.ts';
import { virtualServiceGateways } from './analyzers/virtual-service-gateways.ts';

/** Every analyzer; each adds to the messages, none hinders another. */
export const analyzers: readonly Analyzer[] = [
  destinationHosts,
  destinationSubsets,
  virtualServiceGateways,
  conflictingHosts,
  unreachableRules,
  caCertificates,
  destinationRuleWorkloads,
  conflictingProtocols,
  sidecarSelectors,
  deprecations,
];
