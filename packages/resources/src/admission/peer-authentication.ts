import type { PeerAuthenticationSpec } from '../kinds/security.ts';
import { type FieldError, forbidden, invalid, required } from '../schema/field-error.ts';
import { checkSelector } from './checks.ts';

/** What is wrong with a PeerAuthentication that its schema accepts. */
export function peerAuthenticationErrors(spec: PeerAuthenticationSpec): readonly FieldError[] {
  const errors: FieldError[] = [];
  const labels = spec.selector?.matchLabels;
  checkSelector(labels, 'spec.selector.matchLabels', errors);
  if (spec.portLevelMtls === undefined) return errors;
  const ports = Object.keys(spec.portLevelMtls);
  if (ports.length === 0) errors.push(required('spec.portLevelMtls', 'at least one port'));
  else if (Object.keys(labels ?? {}).length === 0) errors.push(forbidden('spec.portLevelMtls', 'ports are those of the workloads that a selector picks'));
  for (const port of ports) {
    if (!/^\d{1,5}$/.test(port) || Number(port) < 1 || Number(port) > 65_535)
      errors.push(invalid('spec.portLevelMtls', port, 'must be a port number of 1 to 65535'));
  }
  return errors;
}
