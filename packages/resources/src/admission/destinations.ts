import type { Json } from '../json.ts';
import type { Destination } from '../kinds/virtual-service.ts';
import { type FieldError, invalid } from '../schema/field-error.ts';
import { atLeast, checkPort } from './checks.ts';
import { domainFault, isDnsLabel, wildcardDomainFault } from './names.ts';

export function checkDestination({ host, subset, port }: Destination, path: string, errors: FieldError[]): void {
  const fault = host === '*' ? '"*" is no destination' : wildcardDomainFault(host);
  if (fault !== undefined) errors.push(invalid(`${path}.host`, host, fault));
  if (subset !== undefined && subset !== '' && !isDnsLabel(subset))
    errors.push(invalid(`${path}.subset`, subset, 'subset name is invalid: must be a DNS label'));
  if (port !== undefined) checkPort(port.number ?? 0, `${path}.port.number`, errors);
}

export function checkWeights(destinations: readonly { readonly weight?: number }[], path: string, errors: FieldError[]): void {
  let total = 0;
  for (const [index, { weight }] of destinations.entries()) {
    if (weight !== undefined && weight < 0) errors.push(atLeast(`${path}[${index}].weight`, weight, 0));
    total += weight ?? 0;
  }
  if (destinations.length > 1 && total === 0) {
    const weights = destinations.map(({ weight }) => weight ?? 0) as unknown as Json;
    errors.push(invalid(path, weights, 'total destination weight = 0, so no destination would get any request'));
  }
}

/** "NAMESPACE/NAME", a name in the same namespace, or "mesh". */
export function checkGatewayNames(gateways: readonly string[] | undefined, path: string, errors: FieldError[]): void {
  for (const [index, gateway] of (gateways ?? []).entries()) {
    const slash = gateway.indexOf('/');
    const place = `${path}[${index}]`;
    if (slash < 0) {
      const fault = domainFault(gateway);
      if (fault !== undefined) errors.push(invalid(place, gateway, fault));
    } else if (!isDnsLabel(gateway.slice(0, slash)) || !isDnsLabel(gateway.slice(slash + 1)))
      errors.push(invalid(place, gateway, 'must be NAMESPACE/NAME of a gateway'));
  }
}
