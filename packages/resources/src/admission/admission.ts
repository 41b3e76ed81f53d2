import { isKind } from '../kinds/known.ts';
import type { Resource } from '../resource.ts';
import type { FieldError } from '../schema/field-error.ts';
import { authorizationPolicyErrors } from './authorization-policy.ts';
import { destinationRuleErrors } from './destination-rule.ts';
import { gatewayErrors } from './gateway.ts';
import { peerAuthenticationErrors } from './peer-authentication.ts';
import { rolloutErrors } from './rollout.ts';
import { serviceEntryErrors } from './service-entry.ts';
import { sidecarErrors } from './sidecar.ts';
import { virtualServiceErrors } from './virtual-service.ts';
import { workloadEntryErrors, workloadGroupErrors } from './workloads.ts';

/** What Istio's admission webhook refuses although the CRD lets it pass, and what of our own kinds cannot be meant. */
export function admissionErrors(resource: Resource): readonly FieldError[] {
  if (isKind(resource, 'VirtualService')) return virtualServiceErrors(resource);
  if (isKind(resource, 'DestinationRule')) return destinationRuleErrors(resource);
  if (isKind(resource, 'ServiceEntry')) return serviceEntryErrors(resource);
  if (isKind(resource, 'WorkloadEntry')) return workloadEntryErrors(resource.spec);
  if (isKind(resource, 'WorkloadGroup')) return workloadGroupErrors(resource.spec);
  if (isKind(resource, 'Sidecar')) return sidecarErrors(resource.spec);
  if (isKind(resource, 'Gateway')) return gatewayErrors(resource.spec);
  if (isKind(resource, 'PeerAuthentication')) return peerAuthenticationErrors(resource.spec);
  if (isKind(resource, 'AuthorizationPolicy')) return authorizationPolicyErrors(resource);
  if (isKind(resource, 'Rollout')) return rolloutErrors(resource.spec);
  return [];
}
