import { type ConnectionApiRouteSpec, type HttpRouteDestination, matchesLabels, type Resource, type VirtualServiceSpec } from '@outrigger/resources';
import type { Analyzer } from '../analyzer.ts';
import { apiRouteKinds } from '../api-routes.ts';
import type { Context } from '../context.ts';

/** Destinations with a share of the requests, in whose host or subset no pod of the files is. */
export const weightsWithoutEndpoints: Analyzer = {
  name: 'rig.WeightsWithoutEndpoints',
  codes: ['RIG0102'],
  ofFiles: true,
  run(context) {
    if (!context.knowsWorkloads) return;
    const emptiness = new Emptiness(context);
    for (const resource of context.ofKind('VirtualService')) {
      for (const [rule, { route }] of (resource.spec.http ?? []).entries()) reportRule(context, resource, rule, route ?? [], emptiness);
    }
    for (const kind of apiRouteKinds)
      for (const resource of context.ofKind(kind)) reportApiRoute(context, resource as Resource<ConnectionApiRouteSpec>, emptiness);
  },
};

function reportRule(
  context: Context,
  resource: Resource<VirtualServiceSpec>,
  rule: number,
  route: readonly HttpRouteDestination[],
  emptiness: Emptiness,
): void {
  const weights = route.map(({ weight }) => weight ?? (route.length === 1 ? 1 : 0));
  const sum = weights.reduce((left, right) => left + right, 0);
  for (const [index, { destination }] of route.entries()) {
    const weight = weights[index]!;
    if (weight === 0 || destination?.host === undefined) continue;
    const subset = destination.subset ?? '';
    if (!emptiness.isEmpty(context.fullHost(destination.host, resource.metadata.namespace), subset)) continue;
    const place = `spec.http[${rule}].route[${index}]`;
    context.report(resource, place, 'RIG0102', Math.round((weight / sum) * 100), subset === '' ? destination.host : `subset ${subset} of ${destination.host}`);
  }
}

function reportApiRoute(context: Context, resource: Resource<ConnectionApiRouteSpec>, emptiness: Emptiness): void {
  for (const [rule, { backendRefs = [] }] of (resource.spec.rules ?? []).entries()) {
    const sum = backendRefs.reduce((total, { weight = 1 }) => total + weight, 0);
    for (const [index, { group = '', kind = 'Service', name, namespace = resource.metadata.namespace, weight = 1 }] of backendRefs.entries()) {
      if (weight === 0 || group !== '' || kind !== 'Service' || !emptiness.isEmpty(`${name}.${namespace}.svc.${context.clusterDomain}`, '')) continue;
      context.report(resource, `spec.rules[${rule}].backendRefs[${index}]`, 'RIG0102', Math.round((weight / sum) * 100), name);
    }
  }
}

/** Which Services of Kubernetes, and subsets of theirs, have no pod; each is looked at once. */
class Emptiness {
  readonly #context: Context;
  readonly #subsets: ReadonlyMap<string | undefined, readonly { readonly labels?: Readonly<Record<string, string>> }[]>;
  readonly #known = new Map<string, boolean>();

  constructor(context: Context) {
    this.#context = context;
    const subsets = context
      .ofKind('DestinationRule')
      .flatMap(({ spec, metadata }) =>
        (spec.subsets ?? []).map((subset) => ({ ...subset, key: `${context.fullHost(spec.host ?? '', metadata.namespace)} ${subset.name}` })),
      );
    this.#subsets = Map.groupBy(subsets, ({ key }) => key);
  }

  isEmpty(host: string, subset: string): boolean {
    const key = `${host} ${subset}`;
    const known = this.#known.get(key) ?? this.#find(host, subset);
    this.#known.set(key, known);
    return known;
  }

  #find(host: string, subset: string): boolean {
    const selector = this.#context.selectorOf(host);
    // Files that hold none of a namespace's workloads say nothing of them.
    if (selector === undefined || Object.keys(selector.labels).length === 0 || !this.#context.workloads.has(selector.namespace)) return false;
    const subsets = subset === '' ? [{}] : (this.#subsets.get(`${host} ${subset}`) ?? []);
    // A subset that no rule has is another message.
    if (subsets.length === 0) return false;
    const inHost = this.#context.workloadsWith(selector);
    return !inHost.some(({ labels }) => subsets.some((candidate) => matchesLabels(candidate.labels, labels)));
  }
}
