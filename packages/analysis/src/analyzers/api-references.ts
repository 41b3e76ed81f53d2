import { type BackendReference, GATEWAY_API, type HttpApiRouteSpec, type ParentReference, type Resource, refOf } from '@outrigger/resources';
import type { Analyzer } from '../analyzer.ts';
import { apiRouteKinds } from '../api-routes.ts';
import type { Context } from '../context.ts';

type Route = Resource<Pick<HttpApiRouteSpec, 'parentRefs' | 'rules'>>;

/** Parents and backends of Gateway API's routes that are not there, or that no ReferenceGrant lets them name. */
export const apiReferences: Analyzer = {
  name: 'rig.ApiReferences',
  codes: ['RIG0114'],
  ofFiles: true,
  run(context) {
    for (const kind of apiRouteKinds) {
      for (const route of context.ofKind(kind) as readonly Route[]) {
        for (const [index, parent] of (route.spec.parentRefs ?? []).entries())
          tell(context, route, `spec.parentRefs[${index}]`, parentFault(context, route, parent));
        for (const { reference, path } of backendsOf(route)) tell(context, route, path, backendFault(context, route, reference));
      }
    }
  },
};

function tell(context: Context, route: Route, path: string, fault: readonly [what: string, consequence: string] | undefined): void {
  if (fault !== undefined) context.report(route, path, 'RIG0114', ...fault);
}

function backendsOf({ spec }: Route): readonly { readonly reference: BackendReference; readonly path: string }[] {
  return (spec.rules ?? []).flatMap(({ backendRefs = [], filters = [] }, rule) => [
    ...backendRefs.map((reference, index) => ({ reference, path: `spec.rules[${rule}].backendRefs[${index}]` })),
    ...filters.flatMap(({ requestMirror }, index) =>
      requestMirror === undefined ? [] : [{ reference: requestMirror.backendRef, path: `spec.rules[${rule}].filters[${index}].requestMirror.backendRef` }],
    ),
  ]);
}

function parentFault(context: Context, route: Route, parent: ParentReference): readonly [string, string] | undefined {
  const { group = GATEWAY_API, kind = 'Gateway', name, sectionName } = parent;
  const namespace = parent.namespace ?? route.metadata.namespace;
  const nobody = 'nothing is routed by it there';
  if (group === '' && kind === 'Service') {
    const host = `${name}.${namespace}.svc.${context.clusterDomain}`;
    return context.serviceFor(host, [route.metadata.namespace]) === undefined ? [`Service ${namespace}/${name} is not there`, nobody] : undefined;
  }
  if (group !== GATEWAY_API || (kind !== 'Gateway' && kind !== 'ListenerSet')) return undefined;
  const owners = kind === 'Gateway' ? context.ofKind('ApiGateway') : context.ofKind('ListenerSet');
  // Gateways are often somebody else's to keep: only where the files hold those of a namespace is one of it missing.
  const ofNamespace = owners.filter(({ metadata }) => metadata.namespace === namespace);
  const owner = ofNamespace.find(({ metadata }) => metadata.name === name);
  if (owner === undefined) return ofNamespace.length === 0 ? undefined : [`${kind} ${namespace}/${name} is not there`, nobody];
  if (sectionName === undefined || (owner.spec.listeners ?? []).some((listener) => listener.name === sectionName)) return undefined;
  return [`${kind} ${namespace}/${name} has no listener ${sectionName}`, nobody];
}

function backendFault(context: Context, route: Route, reference: BackendReference): readonly [string, string] | undefined {
  const { group = '', kind = 'Service', name, port } = reference;
  const namespace = reference.namespace ?? route.metadata.namespace;
  if (group !== '' || kind !== 'Service') return undefined;
  const consequence =
    route.kind === 'HTTPRoute'
      ? 'its share of the requests gets 500'
      : route.kind === 'GRPCRoute'
        ? 'its share of the calls is UNAVAILABLE'
        : 'its share of the connections is closed';
  const service = context.serviceFor(`${name}.${namespace}.svc.${context.clusterDomain}`, [namespace]);
  if (service === undefined) return [`Service ${namespace}/${name} is not there`, consequence];
  if (port !== undefined && !service.ports.some((one) => one.port === port)) return [`Service ${namespace}/${name} has no port ${port}`, consequence];
  return isGranted(context, route, namespace, name)
    ? undefined
    : [`no ReferenceGrant of namespace ${namespace} lets a ${route.kind} of ${route.metadata.namespace} name its Service ${name}`, consequence];
}

function isGranted(context: Context, route: Route, namespace: string, name: string): boolean {
  const from = refOf(route);
  if (from.namespace === namespace) return true;
  return context
    .ofKind('ReferenceGrant')
    .some(
      ({ metadata, spec }) =>
        metadata.namespace === namespace &&
        spec.from.some((one) => one.group === from.group && one.kind === from.kind && one.namespace === from.namespace) &&
        spec.to.some((one) => one.group === '' && one.kind === 'Service' && ((one.name ?? '') === '' || one.name === name)),
    );
}
