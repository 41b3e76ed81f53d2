import type { DestinationRuleSpec, TrafficPolicy } from '../kinds/destination-rule.ts';
import { duplicate, type FieldError, invalid, required } from '../schema/field-error.ts';
import { hostFault } from './hosts.ts';

/** What is wrong with a DestinationRule that its schema accepts. */
export function destinationRuleErrors(spec: DestinationRuleSpec): readonly FieldError[] {
  const errors: FieldError[] = [];
  const fault = hostFault(spec.host);
  if (fault !== undefined) errors.push(invalid('spec.host', spec.host, fault));
  policyErrors(spec.trafficPolicy, 'spec.trafficPolicy', errors);
  const names = new Set<string>();
  for (const [index, subset] of (spec.subsets ?? []).entries()) {
    if (subset.name === '') errors.push(required(`spec.subsets[${index}].name`, 'subset name is invalid'));
    else if (names.has(subset.name)) errors.push(duplicate(`spec.subsets[${index}].name`, subset.name));
    names.add(subset.name);
    policyErrors(subset.trafficPolicy, `spec.subsets[${index}].trafficPolicy`, errors);
  }
  return errors;
}

function policyErrors(policy: TrafficPolicy | undefined, path: string, errors: FieldError[]): void {
  if (policy === undefined) return;
  const ports = (policy.portLevelSettings ?? []).map((settings, index) => [settings, `${path}.portLevelSettings[${index}]`] as const);
  for (const [settings, place] of [[policy, path] as const, ...ports]) {
    const { tls, connectionPool } = settings;
    if (tls?.mode === 'MUTUAL' && tls.credentialName === undefined) {
      if (!tls.clientCertificate) errors.push(required(`${place}.tls.clientCertificate`, 'client certificate required for mutual tls'));
      if (!tls.privateKey) errors.push(required(`${place}.tls.privateKey`, 'private key required for mutual tls'));
    }
    for (const [name, value] of Object.entries({ ...connectionPool?.http })) {
      if (typeof value === 'number' && value < 0) errors.push(negative(`${place}.connectionPool.http.${name}`, value));
    }
    for (const [name, value] of Object.entries({ ...connectionPool?.tcp })) {
      if (typeof value === 'number' && value < 0) errors.push(negative(`${place}.connectionPool.tcp.${name}`, value));
    }
    for (const name of ['maxEjectionPercent', 'minHealthPercent'] as const) {
      const value = settings.outlierDetection?.[name];
      if (value !== undefined && (value < 0 || value > 100))
        errors.push(invalid(`${place}.outlierDetection.${name}`, value, 'must be in the range of 0 to 100'));
    }
  }
}

function negative(path: string, value: number): FieldError {
  return invalid(path, value, `${path} in body should be greater than or equal to 0`);
}
