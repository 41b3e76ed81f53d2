import { type BackendReference, type GrpcApiRouteSpec, type HttpApiRouteSpec, isKind, type Resource, refOf, refText } from '@outrigger/resources';
import type { OverlayInput } from './overlay.ts';
import { sharesOf, unitOf } from './shares.ts';

/** Routes of Gateway API that send to the service, with what they send there split. */
export interface SplitReferences {
  readonly put: readonly Resource[];
  readonly routes: readonly string[];
  /** Whether one of them is attached to the service itself, and so takes calls of it within the mesh. */
  readonly isParent: boolean;
}

export function backendReferences(input: OverlayInput): SplitReferences {
  const put: Resource[] = [];
  const routes: string[] = [];
  let isParent = false;
  for (const resource of input.resources) {
    if (!isKind(resource, 'HTTPRoute') && !isKind(resource, 'GRPCRoute')) continue;
    const { namespace } = resource.metadata;
    const isIt = (reference: BackendReference): boolean => isService(reference, namespace, input);
    isParent ||= (resource.spec.parentRefs ?? []).some((parent) => parent.kind === 'Service' && isIt({ ...parent, group: '' }));
    const spec: HttpApiRouteSpec | GrpcApiRouteSpec = resource.spec;
    const rules = (spec.rules ?? []).map((rule, index) => {
      const references = rule.backendRefs ?? [];
      if (!references.some((reference) => isIt(reference) && weightOf(reference) > 0)) return rule;
      routes.push(`${refText(refOf(resource))} spec.rules[${index}]`);
      const unit = unitOf(references.reduce((sum, reference) => sum + weightOf(reference), 0));
      return { ...rule, backendRefs: references.map((reference) => shared(reference, weightOf(reference) * unit, isIt(reference), input)) };
    });
    if (rules.some((rule, index) => rule !== spec.rules?.[index])) put.push({ ...resource, spec: { ...spec, rules } });
  }
  return { put, routes, isParent };
}

function weightOf({ weight = 1 }: BackendReference): number {
  return weight;
}

function isService({ group = '', kind = 'Service', name, namespace }: BackendReference, own: string, { service }: OverlayInput): boolean {
  if (group === 'networking.istio.io' && kind === 'Hostname') return name.toLowerCase() === service.hostname;
  return group === '' && kind === 'Service' && name === service.name && (namespace ?? own) === service.namespace;
}

function shared(reference: BackendReference, weight: number, isIt: boolean, input: OverlayInput): BackendReference {
  if (!isIt || weight === 0) return { ...reference, weight };
  const { split, sticky, to } = input;
  const mirror = split.mirror > 0 ? { mirror: { subset: to, percent: split.mirror } } : {};
  return { ...reference, weight, split: { subsets: sharesOf(weight, input), ...mirror, ...(sticky === undefined ? {} : { sticky }) } };
}
