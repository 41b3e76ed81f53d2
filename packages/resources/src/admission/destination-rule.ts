import type { DestinationRuleSpec } from '../kinds/destination-rule.ts';
import type { Resource } from '../resource.ts';
import { duplicate, type FieldError, invalid } from '../schema/field-error.ts';
import { checkExportTo, checkLabels, checkSelector } from './checks.ts';
import { isDnsLabel, wildcardDomainFault } from './names.ts';
import { checkTrafficPolicy } from './traffic-policy.ts';

/** What is wrong with a DestinationRule that its schema accepts. */
export function destinationRuleErrors({ spec, metadata }: Resource<DestinationRuleSpec>): readonly FieldError[] {
  const errors: FieldError[] = [];
  // A rule without a spec passes the schema.
  const host = spec.host ?? '';
  const fault = wildcardDomainFault(host);
  if (fault !== undefined) errors.push(invalid('spec.host', host, fault));
  checkTrafficPolicy(spec.trafficPolicy, 'spec.trafficPolicy', errors);
  const names = new Set<string>();
  for (const [index, { name, labels, trafficPolicy }] of (spec.subsets ?? []).entries()) {
    const path = `spec.subsets[${index}]`;
    if (!isDnsLabel(name)) errors.push(invalid(`${path}.name`, name, 'subset name is invalid: must be a DNS label'));
    if (names.has(name)) errors.push(duplicate(`${path}.name`, name));
    names.add(name);
    checkLabels(labels, `${path}.labels`, errors);
    checkTrafficPolicy(trafficPolicy, `${path}.trafficPolicy`, errors);
  }
  checkExportTo(spec.exportTo, { namespace: metadata.namespace, ownNamespaceOnly: spec.workloadSelector !== undefined }, errors);
  checkSelector(spec.workloadSelector?.matchLabels, 'spec.workloadSelector.matchLabels', errors);
  return errors;
}
