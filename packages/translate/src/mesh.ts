import type { Registry } from '@bufbuild/protobuf';
import {
  type AuthorizationPolicySpec,
  type DestinationRuleSpec,
  type EnvoyFilterSpec,
  fullHost,
  GATEWAY_API,
  type GatewaySpec,
  type Instance,
  isKind,
  kindInEffect,
  MESH_GATEWAY,
  type PeerAuthenticationSpec,
  type Resource,
  type ResourceRef,
  refKey,
  refOf,
  type Service,
  type SidecarSpec,
  type TelemetrySpec,
  type VirtualServiceSpec,
} from '@outrigger/resources';
import type { ApiRouteSpec } from './gateways/api/attachment.ts';
import { parentServices } from './gateways/api/parent-services.ts';
import { gatewayNames } from './gateways/names.ts';
import { type Key, keys } from './keys.ts';
import type { DataPlane } from './node.ts';
import { PersistentMap } from './persistent-map.ts';
import { defaultSettings, type MeshSettings } from './settings.ts';

export type VirtualService = Resource<VirtualServiceSpec>;
export type DestinationRule = Resource<DestinationRuleSpec>;
export type PeerAuthentication = Resource<PeerAuthenticationSpec>;
export type AuthorizationPolicy = Resource<AuthorizationPolicySpec>;
export type Sidecar = Resource<SidecarSpec>;
export type Gateway = Resource<GatewaySpec>;
export type EnvoyFilter = Resource<EnvoyFilterSpec>;
export type Telemetry = Resource<TelemetrySpec>;

/** Everything that translation looks at, indexed and immutable: `changeMesh` makes the next one. Lists are in order of precedence, oldest first. */
export interface Mesh {
  readonly settings: MeshSettings;
  /** By hostname: several where namespaces declare the same host. */
  readonly services: PersistentMap<readonly Service[]>;
  /** Hostnames by virtual address. */
  readonly hostnames: PersistentMap<readonly string[]>;
  /** By hostname of a service. */
  readonly instances: PersistentMap<readonly Instance[]>;
  /** By full host, for those bound to "mesh". */
  readonly virtualServices: PersistentMap<readonly VirtualService[]>;
  /** By full host. */
  readonly destinationRules: PersistentMap<readonly DestinationRule[]>;
  /** By namespace. */
  readonly peerAuthentications: PersistentMap<readonly PeerAuthentication[]>;
  readonly authorizationPolicies: PersistentMap<readonly AuthorizationPolicy[]>;
  readonly sidecars: PersistentMap<readonly Sidecar[]>;
  /** By namespace. */
  readonly envoyFilters: PersistentMap<readonly EnvoyFilter[]>;
  readonly telemetries: PersistentMap<readonly Telemetry[]>;
  /** What the values of EnvoyFilters are made of; undefined: none is applied. */
  readonly types: Registry | undefined;
  /** Why proxies refused what an EnvoyFilter makes, by `refusalKey`. */
  readonly refusals: PersistentMap<string>;
  /** Under `ALL`. */
  readonly gateways: PersistentMap<readonly Gateway[]>;
  /** By kind. */
  readonly gatewayApi: PersistentMap<readonly Resource[]>;
  /** Gateway API's routes, by the host of the Service that they name. */
  readonly serviceRoutes: PersistentMap<readonly Resource<ApiRouteSpec>[]>;
  /** By the gateway that they name: "NAMESPACE/NAME". */
  readonly boundVirtualServices: PersistentMap<readonly VirtualService[]>;
  /** Those without hosts, by "NAMESPACE/NAME". */
  readonly delegates: PersistentMap<readonly VirtualService[]>;
  /** By id. */
  readonly instanceById: PersistentMap<Instance>;
  /** By `refKey`. */
  readonly resources: PersistentMap<Resource>;
}

export interface MeshInput {
  /** Kinds that translation does not use are passed over. ServiceEntries too: their services and instances come in as such. */
  readonly config: readonly Resource[];
  readonly services: readonly Service[];
  readonly instances: readonly Instance[];
  readonly settings?: Partial<MeshSettings>;
  readonly types?: Registry | undefined;
}

/** An EnvoyFilter, and the kind of proxy that has refused what it makes. */
export interface RefusedFilter {
  readonly ref: ResourceRef;
  readonly dataPlane: DataPlane;
  readonly message: string;
}

export interface MeshChange {
  readonly put?: readonly Resource[];
  readonly remove?: readonly ResourceRef[];
  readonly putServices?: readonly Service[];
  readonly removeServices?: readonly Pick<Service, 'hostname' | 'namespace'>[];
  readonly putInstances?: readonly Instance[];
  /** Ids. */
  readonly removeInstances?: readonly string[];
  /** EnvoyFilters that proxies of a kind are to be spared, until they change. */
  readonly refusals?: readonly RefusedFilter[];
  /** All of them, but for `domainSuffix`, which stays as it is. */
  readonly settings?: MeshSettings;
}

export interface MeshUpdate {
  readonly mesh: Mesh;
  /** What is different now. Empty where the change changed nothing. */
  readonly touched: ReadonlySet<Key>;
}

export function buildMesh(input: MeshInput): Mesh {
  const empty: Mesh = {
    settings: { ...defaultSettings, ...input.settings },
    services: PersistentMap.empty(),
    hostnames: PersistentMap.empty(),
    instances: PersistentMap.empty(),
    virtualServices: PersistentMap.empty(),
    destinationRules: PersistentMap.empty(),
    peerAuthentications: PersistentMap.empty(),
    authorizationPolicies: PersistentMap.empty(),
    sidecars: PersistentMap.empty(),
    envoyFilters: PersistentMap.empty(),
    telemetries: PersistentMap.empty(),
    types: input.types,
    refusals: PersistentMap.empty(),
    gateways: PersistentMap.empty(),
    gatewayApi: PersistentMap.empty(),
    serviceRoutes: PersistentMap.empty(),
    boundVirtualServices: PersistentMap.empty(),
    delegates: PersistentMap.empty(),
    instanceById: PersistentMap.empty(),
    resources: PersistentMap.empty(),
  };
  return changeMesh(empty, { put: input.config, putServices: input.services, putInstances: input.instances }).mesh;
}

/** The next mesh, at a cost that grows with what the change touches. The old one stays as it is. */
export function changeMesh(mesh: Mesh, change: MeshChange): MeshUpdate {
  const touched = new Set<Key>();
  const config = changeConfig(mesh, change, touched);
  const services = changeServices(mesh, change, touched);
  const instances = changeInstances(mesh, change, touched);
  const refusals = changeRefusals(mesh, config.resources, change, touched);
  const { domainSuffix } = mesh.settings;
  const settings = change.settings === undefined ? mesh.settings : { ...change.settings, domainSuffix };
  if (settings !== mesh.settings && JSON.stringify(settings) !== JSON.stringify(mesh.settings)) touched.add(keys.settings);
  return { mesh: { ...mesh, ...config, ...services, ...instances, refusals, settings }, touched };
}

const DATA_PLANES: readonly DataPlane[] = ['outrigger', 'envoy', 'grpc'];

export function refusalKey(filter: ResourceRef, dataPlane: DataPlane): string {
  return `${refKey(filter)} ${dataPlane}`;
}

/** All that are in force. */
export function refusalsOf(mesh: Mesh): readonly RefusedFilter[] {
  return [...mesh.envoyFilters.entries()].flatMap(([, filters]) =>
    filters.map(refOf).flatMap((ref) =>
      DATA_PLANES.flatMap((dataPlane): RefusedFilter[] => {
        const message = mesh.refusals.get(refusalKey(ref, dataPlane));
        return message === undefined ? [] : [{ ref, dataPlane, message }];
      }),
    ),
  );
}

function changeRefusals(mesh: Mesh, resources: Mesh['resources'], change: MeshChange, touched: Set<Key>): Mesh['refusals'] {
  const refusals = new Map<string, string | undefined>();
  for (const ref of [...(change.put ?? []).map(refOf), ...(change.remove ?? [])]) {
    if (mesh.resources.get(refKey(ref)) === resources.get(refKey(ref))) continue;
    for (const dataPlane of DATA_PLANES) if (mesh.refusals.get(refusalKey(ref, dataPlane)) !== undefined) refusals.set(refusalKey(ref, dataPlane), undefined);
  }
  for (const { ref, dataPlane, message } of change.refusals ?? []) {
    if (resources.get(refKey(ref)) === undefined) continue;
    refusals.set(refusalKey(ref, dataPlane), message);
    touched.add(keys.envoyFilters(ref.namespace));
  }
  return mesh.refusals.with(refusals);
}

/** Of an index that is not divided. */
export const ALL = '';

/** What one kind of resource is found by, and the keys that change with it. */
interface Filing {
  readonly index:
    | 'virtualServices'
    | 'boundVirtualServices'
    | 'delegates'
    | 'destinationRules'
    | 'peerAuthentications'
    | 'authorizationPolicies'
    | 'sidecars'
    | 'envoyFilters'
    | 'telemetries'
    | 'gateways'
    | 'gatewayApi'
    | 'serviceRoutes';
  readonly under: readonly string[];
  readonly keyOf: (under: string) => Key;
  readonly all?: Key;
}

function filingsOf(resource: Resource, settings: MeshSettings): readonly Filing[] {
  const { namespace } = resource.metadata;
  if (isKind(resource, 'VirtualService')) {
    if ((resource.spec.hosts?.length ?? 0) === 0)
      return [{ index: 'delegates', under: [`${namespace}/${resource.metadata.name}`], keyOf: keys.delegate, all: keys.allVirtualServices }];
    const gateways = gatewayNames(resource.spec.gateways, namespace);
    const bound: Filing = { index: 'boundVirtualServices', under: gateways.filter((name) => name !== MESH_GATEWAY), keyOf: keys.boundVirtualServices };
    if (!gateways.includes(MESH_GATEWAY)) return [bound];
    const hosts = (resource.spec.hosts ?? []).map((host) => fullHost(host, namespace, settings.domainSuffix));
    return [bound, { index: 'virtualServices', under: [...new Set(hosts)], keyOf: keys.virtualServices, all: keys.allVirtualServices }];
  }
  if (isKind(resource, 'DestinationRule')) {
    return [
      {
        index: 'destinationRules',
        under: [fullHost(resource.spec.host, namespace, settings.domainSuffix)],
        keyOf: keys.destinationRules,
        all: keys.allDestinationRules,
      },
    ];
  }
  if (isKind(resource, 'PeerAuthentication')) return [{ index: 'peerAuthentications', under: [namespace], keyOf: keys.peerAuthentication }];
  if (isKind(resource, 'AuthorizationPolicy')) return [{ index: 'authorizationPolicies', under: [namespace], keyOf: keys.authorization }];
  if (isKind(resource, 'Sidecar')) return [{ index: 'sidecars', under: [namespace], keyOf: keys.sidecar }];
  if (isKind(resource, 'EnvoyFilter')) return [{ index: 'envoyFilters', under: [namespace], keyOf: keys.envoyFilters }];
  if (isKind(resource, 'Telemetry')) return [{ index: 'telemetries', under: [namespace], keyOf: keys.telemetry }];
  if (isKind(resource, 'Gateway')) return [{ index: 'gateways', under: [ALL], keyOf: () => keys.gateways }];
  if (resource.apiVersion.startsWith(`${GATEWAY_API}/`) && kindInEffect(GATEWAY_API, resource.kind) !== undefined)
    return [
      { index: 'gatewayApi', under: [resource.kind], keyOf: keys.gatewayApi },
      ...(isKind(resource, 'HTTPRoute') || isKind(resource, 'GRPCRoute')
        ? [{ index: 'serviceRoutes', under: [...new Set(parentServices(resource, settings.domainSuffix))], keyOf: keys.serviceRoutes } as const]
        : []),
    ];
  return [];
}

type ConfigIndexes = Pick<Mesh, Filing['index'] | 'resources'>;

function changeConfig(mesh: Mesh, change: MeshChange, touched: Set<Key>): ConfigIndexes {
  const lists: Record<Filing['index'], Map<string, Resource[]>> = {
    virtualServices: new Map(),
    boundVirtualServices: new Map(),
    delegates: new Map(),
    destinationRules: new Map(),
    peerAuthentications: new Map(),
    authorizationPolicies: new Map(),
    sidecars: new Map(),
    envoyFilters: new Map(),
    telemetries: new Map(),
    gateways: new Map(),
    gatewayApi: new Map(),
    serviceRoutes: new Map(),
  };
  const stored = new Map<string, Resource | undefined>();
  const listOf = (index: Filing['index'], under: string): Resource[] => {
    let list = lists[index].get(under);
    if (list === undefined) {
      list = [...(mesh[index].get(under) ?? [])];
      lists[index].set(under, list);
    }
    return list;
  };
  const touch = (filing: Filing, under: string): void => {
    touched.add(filing.keyOf(under));
    if (filing.all !== undefined) touched.add(filing.all);
  };
  const take = (name: string): void => {
    const old = stored.has(name) ? stored.get(name) : mesh.resources.get(name);
    for (const filing of old === undefined ? [] : filingsOf(old, mesh.settings)) {
      for (const under of filing.under) {
        const list = listOf(filing.index, under);
        list.splice(list.indexOf(old!), 1);
        touch(filing, under);
      }
    }
    stored.set(name, undefined);
  };
  for (const ref of change.remove ?? []) take(refKey(ref));
  for (const resource of change.put ?? []) {
    const name = refKey(refOf(resource));
    const old = stored.has(name) ? stored.get(name) : mesh.resources.get(name);
    if (old !== undefined && sameContent(old, resource)) continue;
    take(name);
    for (const filing of filingsOf(resource, mesh.settings)) {
      for (const under of filing.under) {
        listOf(filing.index, under).push(resource);
        touch(filing, under);
      }
    }
    stored.set(name, resource);
  }
  const indexed = <T extends Resource>(index: Filing['index'], map: PersistentMap<readonly T[]>): PersistentMap<readonly T[]> =>
    map.with(new Map([...lists[index]].map(([under, list]) => [under, list.length === 0 ? undefined : (list.sort(byAge) as T[])])));
  return {
    virtualServices: indexed('virtualServices', mesh.virtualServices),
    destinationRules: indexed('destinationRules', mesh.destinationRules),
    peerAuthentications: indexed('peerAuthentications', mesh.peerAuthentications),
    authorizationPolicies: indexed('authorizationPolicies', mesh.authorizationPolicies),
    sidecars: indexed('sidecars', mesh.sidecars),
    envoyFilters: indexed('envoyFilters', mesh.envoyFilters),
    telemetries: indexed('telemetries', mesh.telemetries),
    gateways: indexed('gateways', mesh.gateways),
    gatewayApi: indexed('gatewayApi', mesh.gatewayApi),
    serviceRoutes: indexed('serviceRoutes', mesh.serviceRoutes),
    boundVirtualServices: indexed('boundVirtualServices', mesh.boundVirtualServices),
    delegates: indexed('delegates', mesh.delegates),
    resources: mesh.resources.with(stored),
  };
}

/** Istio's order: creation time, then name, then namespace. */
export function byAge(a: Resource, b: Resource): number {
  return (
    compare(a.metadata.creationTimestamp, b.metadata.creationTimestamp) ||
    compare(a.metadata.name, b.metadata.name) ||
    compare(a.metadata.namespace, b.metadata.namespace)
  );
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

function sameContent(a: Resource, b: Resource): boolean {
  return (
    a === b ||
    (a.metadata.creationTimestamp === b.metadata.creationTimestamp &&
      JSON.stringify(a.spec) === JSON.stringify(b.spec) &&
      JSON.stringify([a.metadata.labels, a.metadata.annotations]) === JSON.stringify([b.metadata.labels, b.metadata.annotations]))
  );
}

function changeServices(mesh: Mesh, change: MeshChange, touched: Set<Key>): Pick<Mesh, 'services' | 'hostnames'> {
  const lists = new Map<string, readonly Service[] | undefined>();
  const listOf = (hostname: string): readonly Service[] => (lists.has(hostname) ? lists.get(hostname) : mesh.services.get(hostname)) ?? [];
  const touch = (hostname: string): void => {
    touched.add(keys.service(hostname));
    touched.add(keys.allServices);
  };
  for (const { hostname, namespace } of change.removeServices ?? []) {
    const left = listOf(hostname).filter((service) => service.namespace !== namespace);
    if (left.length === listOf(hostname).length) continue;
    lists.set(hostname, left.length === 0 ? undefined : left);
    touch(hostname);
  }
  for (const service of change.putServices ?? []) {
    const { hostname } = service;
    const old = listOf(hostname).find(({ namespace }) => namespace === service.namespace);
    if (old !== undefined && JSON.stringify(old) === JSON.stringify(service)) continue;
    const others = listOf(hostname).filter((other) => other !== old);
    lists.set(
      hostname,
      [...others, service].sort((a, b) => compare(a.creationTimestamp, b.creationTimestamp) || compare(a.namespace, b.namespace)),
    );
    touch(hostname);
  }
  return { services: mesh.services.with(lists), hostnames: changeHostnames(mesh, lists, touched) };
}

/** The addresses of services that have changed. */
function changeHostnames(mesh: Mesh, lists: ReadonlyMap<string, readonly Service[] | undefined>, touched: Set<Key>): PersistentMap<readonly string[]> {
  const changed = new Map<string, readonly string[] | undefined>();
  const at = (address: string): readonly string[] => (changed.has(address) ? changed.get(address) : mesh.hostnames.get(address)) ?? [];
  const addressesOf = (services: readonly Service[] | undefined): Set<string> => new Set((services ?? []).flatMap(({ addresses }) => addresses));
  for (const [hostname, services] of lists) {
    const [before, after] = [addressesOf(mesh.services.get(hostname)), addressesOf(services)];
    for (const address of before.symmetricDifference(after)) {
      const others = at(address).filter((other) => other !== hostname);
      const hostnames = after.has(address) ? [...others, hostname].sort() : others;
      changed.set(address, hostnames.length === 0 ? undefined : hostnames);
      touched.add(keys.address(address));
    }
  }
  return mesh.hostnames.with(changed);
}

function changeInstances(mesh: Mesh, change: MeshChange, touched: Set<Key>): Pick<Mesh, 'instances' | 'instanceById'> {
  const lists = new Map<string, readonly Instance[] | undefined>();
  const byId = new Map<string, Instance | undefined>();
  const listOf = (hostname: string): readonly Instance[] => (lists.has(hostname) ? lists.get(hostname) : mesh.instances.get(hostname)) ?? [];
  const take = (id: string): void => {
    const old = byId.has(id) ? byId.get(id) : mesh.instanceById.get(id);
    for (const hostname of old?.services ?? []) {
      lists.set(
        hostname,
        listOf(hostname).filter((instance) => instance.id !== id),
      );
    }
    byId.set(id, undefined);
  };
  for (const id of change.removeInstances ?? []) take(id);
  const added = new Map<string, Instance[]>();
  for (const instance of change.putInstances ?? []) {
    const old = byId.has(instance.id) ? byId.get(instance.id) : mesh.instanceById.get(instance.id);
    if (old === instance || (old !== undefined && JSON.stringify(old) === JSON.stringify(instance))) continue;
    take(instance.id);
    for (const list of added.values()) {
      const index = list.findIndex(({ id }) => id === instance.id);
      if (index >= 0) list.splice(index, 1);
    }
    for (const hostname of instance.services) {
      const list = added.get(hostname);
      if (list === undefined) added.set(hostname, [instance]);
      else list.push(instance);
    }
    byId.set(instance.id, instance);
  }
  for (const [hostname, list] of added) lists.set(hostname, [...listOf(hostname), ...list]);
  for (const [hostname, list] of lists) {
    const sorted = [...(list ?? [])].sort((a, b) => compare(a.id, b.id));
    lists.set(hostname, sorted.length === 0 ? undefined : sorted);
    const before = mesh.instances.get(hostname) ?? [];
    if (JSON.stringify(before) === JSON.stringify(sorted)) continue;
    touched.add(keys.instances(hostname));
    if (identitiesOf(before) !== identitiesOf(sorted)) touched.add(keys.identities(hostname));
  }
  return { instances: mesh.instances.with(lists), instanceById: mesh.instanceById.with(byId) };
}

/** Who the instances are, as a text that is equal for equal sets. */
function identitiesOf(instances: readonly Instance[]): string {
  const all = instances.map(({ labels, namespace, serviceAccount, trustDomain, meshed }) =>
    JSON.stringify([Object.entries(labels).sort(), trustDomain, namespace, serviceAccount, meshed]),
  );
  return [...new Set(all)].sort().join('\n');
}
