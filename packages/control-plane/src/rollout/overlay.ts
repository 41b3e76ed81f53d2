import {
  type Destination,
  type DestinationRuleSpec,
  fullHost,
  type HttpRoute,
  type HttpRouteDestination,
  isExportedTo,
  isKind,
  MESH_GATEWAY,
  type Resource,
  refOf,
  refText,
  type Service,
  type VirtualServiceSpec,
} from '@outrigger/resources';
import { coveringHosts } from '@outrigger/translate';
import { backendReferences } from './backend-references.ts';
import type { Split } from './decide.ts';
import { sharesOf, unitOf } from './shares.ts';

export interface OverlayInput {
  /** What people have written. */
  readonly resources: readonly Resource[];
  readonly service: Pick<Service, 'hostname' | 'name' | 'namespace'>;
  /** Names of the subsets. */
  readonly from: string;
  readonly to: string;
  readonly split: Split;
  readonly sticky?: { readonly header?: string; readonly cookie?: string } | undefined;
  readonly domainSuffix: string;
}

/** What goes to translation in place of, and beside, what people have written. */
export interface Overlay {
  readonly put: readonly Resource[];
  /** The routes whose traffic is shifted, as people know them. */
  readonly routes: readonly string[];
  /** Why it cannot be done as asked: what somebody has written says otherwise. */
  readonly conflict: string | undefined;
}

/** In names of resources that nobody wrote. */
const OWN_NAME = 'outrigger-rollout';
/** Younger than everything that people write: of two for one host the older is in force. */
const LATE = '9999-12-31T23:59:59Z';

/** The split laid over routes and rules. The resources stay as they are: what is changed is a copy. A route in conflict is left as it is. */
export function overlay(input: OverlayInput): Overlay {
  const found = virtualServices(input);
  return { ...found, put: [...destinationRules(input), ...found.put] };
}

function virtualServices(input: OverlayInput): Overlay {
  const { resources, service, domainSuffix } = input;
  const put: Resource[] = [];
  const routes: string[] = [];
  let conflict: string | undefined;
  const attached = backendReferences(input);
  put.push(...attached.put);
  routes.push(...attached.routes);
  let exact = attached.isParent;
  let everywhere = false;
  let wildcard = false;
  const covering = new Set(coveringHosts(service.hostname));
  for (const resource of resources) {
    if (!isKind(resource, 'VirtualService')) continue;
    const { spec, metadata } = resource;
    const { namespace } = metadata;
    const isMesh = spec.gateways === undefined || spec.gateways.length === 0 || spec.gateways.includes(MESH_GATEWAY);
    const hosts = isMesh ? (spec.hosts ?? []).map((host) => fullHost(host, namespace, domainSuffix)) : [];
    const isExact = hosts.includes(service.hostname);
    if (isExact) {
      exact = true;
      everywhere ||= isExportedTo(spec.exportTo, namespace, '*');
    } else wildcard ||= hosts.some((host) => covering.has(host));
    const leads = (destination: Destination): boolean => fullHost(destination.host, namespace, domainSuffix) === service.hostname;
    const shifted: number[] = [];
    let http = (spec.http ?? []).map((route, index) => {
      const result = shift(route, leads, input);
      if (typeof result === 'string') conflict ??= `${refText(refOf(resource))} spec.http[${index}] ${result}`;
      else if (result !== route) {
        shifted.push(index);
        return result;
      }
      return route;
    });
    if (isExact && http.length === 0) {
      http = [everyCall(input)];
      routes.push(`every call of ${service.name} (${refText(refOf(resource))} has no HTTP route)`);
    } else if (shifted.length === 0) continue;
    routes.push(...shifted.map((index) => `${refText(refOf(resource))} spec.http[${index}]`));
    put.push({ ...resource, spec: { ...spec, http } satisfies VirtualServiceSpec });
  }
  // Somebody's own for this host goes before ours, being older; a wildcard's does not, being less specific, so that must stay alone.
  if (!everywhere && !(wildcard && !exact)) {
    put.push(own('VirtualService', 'networking.istio.io/v1', service, { hosts: [service.hostname], http: [everyCall(input)] }));
    routes.push(exact ? `every other call of ${service.name}` : `every call of ${service.name}`);
  }
  if (routes.length === 0) conflict ??= `no HTTP route leads to ${service.hostname} in a way that could be split`;
  return { put, routes, conflict };
}

function everyCall(input: OverlayInput): HttpRoute {
  return mirrored({ route: parts({ destination: { host: input.service.hostname } }, unitOf(1), input), ...stickiness(input) }, input, {
    host: input.service.hostname,
  });
}

/** The route with its share split; the same where it has no such share; a text where its own split cannot be kept. */
function shift(route: HttpRoute, leads: (destination: Destination) => boolean, input: OverlayInput): HttpRoute | string {
  const entries = route.route ?? [];
  const weightOf = ({ weight }: HttpRouteDestination): number => (entries.length === 1 ? 1 : (weight ?? 0));
  const ours = entries.filter(({ destination }) => leads(destination) && ['', input.from, input.to].includes(destination.subset ?? ''));
  const weighted = ours.filter((entry) => weightOf(entry) > 0);
  const subsets = new Set(weighted.map(({ destination }) => destination.subset ?? ''));
  if (subsets.has(input.to) && subsets.size > 1) return `splits ${input.service.name} between ${input.from} and ${input.to} itself: leave that to the rollout`;
  // What leads to the new version alone was meant for those who try it.
  if (weighted.length === 0 || subsets.has(input.to)) return route;
  if (subsets.has('') && entries.some((entry) => leads(entry.destination) && (entry.destination.subset ?? '') !== '' && weightOf(entry) > 0))
    return `sends to ${input.service.name} with a subset and without one: which versions the latter means is not said`;
  const unit = unitOf(entries.reduce((sum, entry) => sum + weightOf(entry), 0));
  const kept = entries.filter((entry) => !ours.includes(entry)).map((entry) => ({ ...entry, weight: weightOf(entry) * unit }));
  const split = [...weighted.flatMap((entry) => parts(entry, weightOf(entry) * unit, input)), ...kept];
  const only = split.length === 1 ? split.map(({ weight: _, ...entry }) => entry) : split;
  return mirrored({ ...route, route: only, ...(split.length > 1 ? stickiness(input) : {}) }, input, weighted[0]!.destination);
}

/** One destination as two. */
function parts(entry: HttpRouteDestination, weight: number, input: OverlayInput): HttpRouteDestination[] {
  return sharesOf(weight, input).map(({ name, weight: share }) => ({ ...entry, destination: { ...entry.destination, subset: name }, weight: share }));
}

function mirrored(route: HttpRoute, { to, split }: OverlayInput, destination: Destination): HttpRoute {
  if (split.mirror === 0) return route;
  const mirror = { destination: { ...destination, subset: to }, percentage: { value: split.mirror } };
  return { ...route, mirrors: [...(route.mirrors ?? []), mirror] };
}

function stickiness({ sticky }: OverlayInput): Pick<HttpRoute, 'sticky'> {
  return sticky === undefined ? {} : { sticky };
}

/** Rules in which the two subsets are, wherever a caller may take its rule from. */
function destinationRules(input: OverlayInput): Resource[] {
  const { resources, service, domainSuffix } = input;
  const hosts = coveringHosts(service.hostname);
  const byNamespace = new Map<string, Map<string, Resource<DestinationRuleSpec>[]>>();
  for (const resource of resources) {
    if (!isKind(resource, 'DestinationRule')) continue;
    const host = fullHost(resource.spec.host, resource.metadata.namespace, domainSuffix);
    if (!hosts.includes(host)) continue;
    const rules = byNamespace.get(resource.metadata.namespace) ?? new Map<string, Resource<DestinationRuleSpec>[]>();
    byNamespace.set(resource.metadata.namespace, rules);
    rules.set(host, [...(rules.get(host) ?? []), resource]);
  }
  const labelsOf = subsetLabels(input);
  const complete = (spec: DestinationRuleSpec): DestinationRuleSpec => {
    const missing = [input.from, input.to].filter((name) => !spec.subsets?.some((subset) => subset.name === name));
    return { ...spec, subsets: [...(spec.subsets ?? []), ...missing.map((name) => ({ name, labels: labelsOf(name) }))] };
  };
  const put: Resource[] = [];
  let everywhere = false;
  for (const [namespace, rules] of byNamespace) {
    const exact = rules.get(service.hostname);
    if (exact === undefined) {
      // Less specific: a rule for this host alone takes its place, and says the same.
      const nearest = hosts.map((host) => rules.get(host)?.[0]).find((rule) => rule !== undefined)!;
      put.push(own('DestinationRule', nearest.apiVersion, { ...service, namespace }, complete({ ...nearest.spec, host: service.hostname })));
      if (namespace === service.namespace) everywhere ||= isEverywhere(nearest);
      continue;
    }
    for (const rule of exact) {
      put.push({ ...rule, spec: complete(rule.spec) });
      if (namespace === service.namespace) everywhere ||= isEverywhere(rule);
    }
  }
  const ownNamed = put.some(({ metadata }) => metadata.namespace === service.namespace && metadata.name.startsWith(`${OWN_NAME}-`));
  if (!everywhere && !ownNamed) put.push(own('DestinationRule', 'networking.istio.io/v1', service, complete({ host: service.hostname })));
  return put;
}

function isEverywhere({ spec, metadata }: Resource<DestinationRuleSpec>): boolean {
  return spec.workloadSelector === undefined && isExportedTo(spec.exportTo, metadata.namespace, '*');
}

/** By which labels a subset is known: as a rule for the service says, else by its version. */
export function subsetLabels({
  resources,
  service,
  domainSuffix,
}: Pick<OverlayInput, 'resources' | 'service' | 'domainSuffix'>): (subset: string) => Readonly<Record<string, string>> {
  const rules = resources
    .filter((resource): resource is Resource<DestinationRuleSpec> => isKind(resource, 'DestinationRule'))
    .filter(({ spec, metadata }) => fullHost(spec.host, metadata.namespace, domainSuffix) === service.hostname)
    // The service's own namespace knows best.
    .sort((a, b) => Number(b.metadata.namespace === service.namespace) - Number(a.metadata.namespace === service.namespace));
  const found = new Map<string, Readonly<Record<string, string>>>();
  for (const { spec } of rules) for (const { name, labels } of spec.subsets ?? []) if (!found.has(name)) found.set(name, labels ?? {});
  return (subset) => found.get(subset) ?? { version: subset };
}

function own(kind: string, apiVersion: string, { name, namespace }: Pick<Service, 'name' | 'namespace'>, spec: unknown): Resource {
  const metadata = {
    name: `${OWN_NAME}-${name}`,
    namespace,
    labels: {},
    annotations: {},
    creationTimestamp: LATE,
    resourceVersion: '',
    uid: '',
    generation: 0,
  };
  return { apiVersion, kind, metadata, spec };
}
