import { equals, type Registry } from '@bufbuild/protobuf';
import { refKey, refText } from '@outrigger/resources';
import { type Place, type ProxyNode, parseOutboundCluster } from '@outrigger/translate';
import { TypeUrl } from '@outrigger/xds';
import { TrafficDirection } from '@outrigger/xds/protos/envoy/config/core/v3/base';
import type { ClusterLoadAssignment } from '@outrigger/xds/protos/envoy/config/endpoint/v3/endpoint';
import type { Listener } from '@outrigger/xds/protos/envoy/config/listener/v3/listener';
import { type VirtualHost, VirtualHostSchema } from '@outrigger/xds/protos/envoy/config/route/v3/route_components';
import type { PlanInput, PlannedProxy } from './input.ts';
import { type FieldDifference, fieldDifferences } from './message-paths.ts';
import type { Tables } from './tables.ts';
import { routeLines, virtualHostsOf } from './virtual-hosts.ts';
import { type PlannedType, SCHEMAS, type XdsResource, type XdsState } from './xds-state.ts';

export type Change = 'added' | 'changed' | 'removed';

export interface XdsChange {
  /** "CDS" */
  readonly type: string;
  readonly name: string;
  readonly change: Change;
  /** What is sent for it. */
  readonly bytes: number;
  /** Why the proxy would refuse it; absent: it takes it. */
  readonly refusal?: string;
}

export interface ProxyPlan {
  readonly proxy: string;
  readonly workload: string;
  readonly gateway: boolean;
  readonly changes: readonly XdsChange[];
  readonly bytes: number;
}

/** One virtual host, as one group of proxies has it. */
export interface RoutePlan {
  /** "reviews.default.svc.cluster.local:9080" */
  readonly host: string;
  readonly proxies: readonly string[];
  readonly change: Change;
  /** One route each, in order. */
  readonly before: readonly string[];
  readonly after: readonly string[];
  /** The EnvoyFilters that are another now and were or are applied to it: "EnvoyFilter shop/mine". */
  readonly patchedBy: readonly string[];
}

export interface DestinationPlan {
  readonly cluster: string;
  readonly proxies: readonly string[];
  readonly change: Change;
  readonly fields: readonly FieldDifference[];
  /** null: they do not change. */
  readonly endpoints: { readonly added: number; readonly removed: number } | null;
  readonly patchedBy: readonly string[];
}

export interface PolicyPlan {
  readonly listener: string;
  /** In front of the workload; else where its calls begin, or a gateway's. */
  readonly inbound: boolean;
  readonly proxies: readonly string[];
  readonly change: Change;
  /** The resources that are another now and shape it: "AuthorizationPolicy shop/orders". */
  readonly because: readonly string[];
}

export interface ServicePlan {
  /** Full name, or "gateway NAMESPACE/NAME". */
  readonly service: string;
  readonly routes: readonly RoutePlan[];
  readonly destinations: readonly DestinationPlan[];
  /** Of the listeners in front of its workloads. */
  readonly policies: readonly PolicyPlan[];
}

export interface Changes {
  readonly proxies: readonly ProxyPlan[];
  readonly services: readonly ServicePlan[];
}

const DISCOVERY: Readonly<Record<PlannedType, string>> = {
  [TypeUrl.cluster]: 'CDS',
  [TypeUrl.endpoint]: 'EDS',
  [TypeUrl.listener]: 'LDS',
  [TypeUrl.route]: 'RDS',
  [TypeUrl.virtualHost]: 'VHDS',
};

/** Collects what is alike for several proxies once. */
class Grouped<T extends object> {
  readonly #found = new Map<string, { readonly service: string; readonly plan: T; readonly proxies: string[] }>();

  add(service: string, plan: T, proxy: string): void {
    const key = JSON.stringify([service, plan]);
    const known = this.#found.get(key);
    if (known === undefined) this.#found.set(key, { service, plan, proxies: [proxy] });
    else if (!known.proxies.includes(proxy)) known.proxies.push(proxy);
  }

  get services(): Iterable<string> {
    return [...this.#found.values()].map(({ service }) => service);
  }

  of(service: string): (T & { readonly proxies: readonly string[] })[] {
    return [...this.#found.values()].filter((one) => one.service === service).map(({ plan, proxies }) => ({ ...plan, proxies }));
  }
}

/** What every proxy that is there before and after gets anew, and what that means for services. `tables`: those of `after`. */
export function changesOf(
  input: PlanInput,
  proxies: readonly PlannedProxy[],
  { before, after, tables, registry }: { readonly before: XdsState; readonly after: XdsState; readonly tables: Tables; readonly registry: Registry },
): Changes {
  const routes = new Grouped<Omit<RoutePlan, 'proxies'>>();
  const destinations = new Grouped<Omit<DestinationPlan, 'proxies'>>();
  const policies = new Grouped<Omit<PolicyPlan, 'proxies'>>();
  const changed = new Set(input.resources.map(({ resource }) => refKey(resource)));
  const patchersOf = (...patched: readonly (readonly Place[] | undefined)[]): readonly string[] => {
    const all = patched.flatMap((places) => (places ?? []).map(({ resource }) => resource));
    return [...new Set(all.filter((resource) => changed.has(refKey(resource))).map(refText))].sort();
  };
  const plans = proxies.map((proxy): ProxyPlan => {
    const { node } = proxy;
    const workload = `${node.namespace}/${node.workload}`;
    const old = before.of(proxy);
    const now = after.of(proxy, old);
    const changes: XdsChange[] = [];
    for (const key of new Set([...old.keys(), ...now.keys()])) {
      const [from, to] = [old.get(key), now.get(key)];
      if (from?.version === to?.version) continue;
      const { typeUrl, name } = (to ?? from)!;
      const change: Change = from === undefined ? 'added' : to === undefined ? 'removed' : 'changed';
      const refusal = to === undefined || node.dataPlane !== 'outrigger' ? undefined : tables.refusal(node, to);
      changes.push({ type: DISCOVERY[typeUrl], name, change, bytes: to?.bytes ?? 0, ...(refusal === undefined ? {} : { refusal }) });
      if (typeUrl === TypeUrl.route || typeUrl === TypeUrl.virtualHost) {
        for (const route of routePlans(from, to, registry, patchersOf))
          routes.add(node.gateway === undefined ? hostOf(route.host) : gatewayText(node), route, workload);
      } else if (typeUrl === TypeUrl.listener) {
        const sources = [...(from?.sources ?? []), ...(to?.sources ?? [])].filter((source) => changed.has(refKey(source))).map(refText);
        policies.add(ownerOf(node, before), { listener: name, inbound: isInbound(to ?? from!), change, because: [...new Set(sources)].sort() }, workload);
      } else if (typeUrl === TypeUrl.cluster) {
        const fields = from === undefined || to === undefined ? [] : fieldDifferences(SCHEMAS[typeUrl], from.message, to.message, registry);
        const patchedBy = patchersOf(...[from, to].map((one) => one?.patches.get(one.message)));
        destinations.add(clusterService(name, node, before), { cluster: name, change, fields, endpoints: null, patchedBy }, workload);
      } else if (typeUrl === TypeUrl.endpoint) {
        // Those of a cluster that comes or goes are told with it.
        if (old.has(`${TypeUrl.cluster} ${name}`) !== now.has(`${TypeUrl.cluster} ${name}`)) continue;
        const endpoints = endpointChange(from, to);
        destinations.add(clusterService(name, node, before), { cluster: name, change: 'changed', fields: [], endpoints, patchedBy: [] }, workload);
      }
    }
    return { proxy: node.id, workload, gateway: node.gateway !== undefined, changes, bytes: changes.reduce((sum, { bytes }) => sum + bytes, 0) };
  });
  const names = [...new Set([...routes.services, ...destinations.services, ...policies.services])].sort();
  return {
    proxies: plans.filter(({ changes }) => changes.length > 0),
    services: names.map((service) => ({ service, routes: routes.of(service), destinations: destinations.of(service), policies: policies.of(service) })),
  };
}

function routePlans(
  from: XdsResource | undefined,
  to: XdsResource | undefined,
  registry: Registry,
  patchersOf: (...patched: readonly (readonly Place[] | undefined)[]) => readonly string[],
): Omit<RoutePlan, 'proxies'>[] {
  const patchers = (was: VirtualHost | undefined, is: VirtualHost | undefined): readonly string[] =>
    patchersOf(
      ...[from, to].map((one) => one?.patches.get(one.message)),
      ...[was, ...(was?.routes ?? [])].map((message) => message && from?.patches.get(message)),
      ...[is, ...(is?.routes ?? [])].map((message) => message && to?.patches.get(message)),
    );
  const hosts = (resource: XdsResource | undefined): Map<string, VirtualHost> =>
    new Map((resource === undefined ? [] : virtualHostsOf(resource.message)).map((host) => [host.name, host]));
  const [old, now] = [hosts(from), hosts(to)];
  return [...new Set([...old.keys(), ...now.keys()])].flatMap((host): Omit<RoutePlan, 'proxies'>[] => {
    const [was, is] = [old.get(host), now.get(host)];
    if (was === undefined || is === undefined) {
      const change = was === undefined ? 'added' : 'removed';
      return [{ host, change, before: was === undefined ? [] : routeLines(was), after: is === undefined ? [] : routeLines(is), patchedBy: patchers(was, is) }];
    }
    if (equals(VirtualHostSchema, was, is)) return [];
    const [before, after] = [routeLines(was), routeLines(is)];
    if (JSON.stringify(before) !== JSON.stringify(after)) return [{ host, change: 'changed', before, after, patchedBy: patchers(was, is) }];
    // Of what the lines do not have.
    const fields = fieldDifferences(VirtualHostSchema, was, is, registry);
    const line = (field: string, value: string | undefined): string[] => (value === undefined ? [] : [`${field}: ${value}`]);
    return [
      {
        host,
        change: 'changed',
        before: [...before, ...fields.flatMap(({ field, before: value }) => line(field, value))],
        after: [...after, ...fields.flatMap(({ field, after: value }) => line(field, value))],
        patchedBy: patchers(was, is),
      },
    ];
  });
}

function isInbound({ message }: XdsResource): boolean {
  return (message as Listener).trafficDirection === TrafficDirection.INBOUND;
}

function endpointChange(from: XdsResource | undefined, to: XdsResource | undefined): { readonly added: number; readonly removed: number } {
  const addresses = (resource: XdsResource | undefined): ReadonlySet<string> =>
    new Set(
      ((resource?.message as ClusterLoadAssignment | undefined)?.endpoints ?? []).flatMap(({ lbEndpoints }) =>
        lbEndpoints.map(({ hostIdentifier }) => {
          const socket = hostIdentifier.case === 'endpoint' ? hostIdentifier.value.address?.address : undefined;
          return socket?.case === 'socketAddress' ? `${socket.value.address}:${socket.value.portSpecifier.value}` : '';
        }),
      ),
    );
  const [old, now] = [addresses(from), addresses(to)];
  return { added: now.difference(old).size, removed: old.difference(now).size };
}

function hostOf(virtualHost: string): string {
  return virtualHost.replace(/:\d+$/, '');
}

function clusterService(cluster: string, node: ProxyNode, state: XdsState): string {
  return parseOutboundCluster(cluster)?.host ?? ownerOf(node, state);
}

/** Whose proxy it is. */
function ownerOf(node: ProxyNode, { mesh }: XdsState): string {
  return node.gateway === undefined ? `${node.service}.${node.namespace}.svc.${mesh.settings.domainSuffix}` : gatewayText(node);
}

function gatewayText(node: ProxyNode): string {
  return `gateway ${node.namespace}/${node.workload}`;
}
