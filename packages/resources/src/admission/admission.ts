import { isKind } from '../kinds/known.ts';
import type { Resource } from '../resource.ts';
import type { FieldError } from '../schema/field-error.ts';
import { destinationRuleErrors } from './destination-rule.ts';
import { virtualServiceErrors } from './virtual-service.ts';

/** What Istio's admission webhook refuses although the CRD lets it pass. */
export function admissionErrors(resource: Resource): readonly FieldError[] {
  if (isKind(resource, 'VirtualService')) return virtualServiceErrors(resource.spec);
  if (isKind(resource, 'DestinationRule')) return destinationRuleErrors(resource.spec);
  return [];
}
