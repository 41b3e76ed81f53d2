import type { ParentReference, Resource } from '@outrigger/resources';
import type { ApiRouteSpec } from './attachment.ts';

/** Hosts of the Services that a route names as its parents. */
export function parentServices({ metadata, spec }: Resource<ApiRouteSpec>, domainSuffix: string): readonly string[] {
  return (spec.parentRefs ?? []).filter(isService).map((parent) => serviceHost(parent, metadata.namespace, domainSuffix));
}

export function isService({ group, kind }: ParentReference): boolean {
  return kind === 'Service' && (group ?? '') === '';
}

export function serviceHost({ name, namespace }: ParentReference, own: string, domainSuffix: string): string {
  return `${name}.${namespace ?? own}.svc.${domainSuffix}`;
}
