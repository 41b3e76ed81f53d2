import type { Message } from '@bufbuild/protobuf';
import { anyUnpack } from '@bufbuild/protobuf/wkt';
import type { ResourceRef } from '@outrigger/resources';
import {
  clusterNames,
  type Key,
  listenerNames,
  type Mesh,
  type NodeField,
  type Place,
  type ProxyNode,
  parseOutboundCluster,
  SharedByNode,
  translate,
} from '@outrigger/translate';
import { packResource, TypeUrl } from '@outrigger/xds';
import { ClusterSchema } from '@outrigger/xds/protos/envoy/config/cluster/v3/cluster';
import { ClusterLoadAssignmentSchema } from '@outrigger/xds/protos/envoy/config/endpoint/v3/endpoint';
import { type Listener, ListenerSchema } from '@outrigger/xds/protos/envoy/config/listener/v3/listener';
import { RouteConfigurationSchema } from '@outrigger/xds/protos/envoy/config/route/v3/route';
import { VirtualHostSchema } from '@outrigger/xds/protos/envoy/config/route/v3/route_components';
import { HttpConnectionManagerSchema } from '@outrigger/xds/protos/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager';
import type { PlannedProxy } from './input.ts';
import { clustersNamed, virtualHostsOf } from './virtual-hosts.ts';

export const SCHEMAS = {
  [TypeUrl.cluster]: ClusterSchema,
  [TypeUrl.endpoint]: ClusterLoadAssignmentSchema,
  [TypeUrl.listener]: ListenerSchema,
  [TypeUrl.route]: RouteConfigurationSchema,
  [TypeUrl.virtualHost]: VirtualHostSchema,
} as const;
export type PlannedType = keyof typeof SCHEMAS;

/** One xDS resource that a proxy has. */
export interface XdsResource {
  readonly typeUrl: PlannedType;
  /** As it was asked for. */
  readonly name: string;
  readonly message: Message;
  /** A hash of the content. */
  readonly version: string;
  /** Of the message alone: what a push of it costs, but for its envelope. */
  readonly bytes: number;
  readonly keys: ReadonlySet<Key>;
  readonly sources: readonly ResourceRef[];
  /** Where its routes are written. */
  readonly places: ReadonlyMap<object, Place>;
  /** What of EnvoyFilters was done to it and its parts. */
  readonly patches: ReadonlyMap<object, readonly Place[]>;
}

/** What was found, and what could change that. */
interface Known {
  readonly resource: XdsResource | undefined;
  readonly keys: ReadonlySet<Key>;
  readonly reads: ReadonlySet<NodeField>;
}

const NOTHING: ReadonlySet<Key> = new Set();

/** What the proxies of one mesh have. What several share is translated once. */
export class XdsState {
  readonly mesh: Mesh;
  /** By type and name. */
  readonly #known = new Map<string, SharedByNode<Known>>();
  readonly #earlier: XdsState | undefined;
  readonly #touched: ReadonlySet<Key> | undefined;

  /** `earlier`, where given, has the same resources but for those that hang on a touched key. */
  constructor(mesh: Mesh, earlier?: XdsState, touched?: ReadonlySet<Key>) {
    this.mesh = mesh;
    this.#earlier = earlier;
    this.#touched = touched;
  }

  get(node: ProxyNode, typeUrl: PlannedType, name: string): XdsResource | undefined {
    const id = `${typeUrl}\n${name}`;
    let shared = this.#known.get(id);
    if (shared === undefined) {
      shared = new SharedByNode();
      this.#known.set(id, shared);
    }
    let known = shared.get(node);
    if (known === undefined) {
      known = this.#unchanged(id, node) ?? this.#translate(node, typeUrl, name);
      shared.set(node, known.reads, known);
    }
    return known.resource;
  }

  #unchanged(id: string, node: ProxyNode): Known | undefined {
    if (this.#earlier === undefined || this.#touched === undefined) return undefined;
    const before = this.#earlier.#known.get(id)?.get(node);
    return before?.keys.isDisjointFrom(this.#touched) ? before : undefined;
  }

  #translate(node: ProxyNode, typeUrl: PlannedType, name: string): Known {
    const translated = translate(this.mesh, node, typeUrl, name);
    if (translated === undefined) return { resource: undefined, keys: NOTHING, reads: new Set() };
    const { message, keys, reads, sources, aliases, places, patches } = translated;
    if (message === undefined) return { resource: undefined, keys, reads };
    const { version, body } = packResource(SCHEMAS[typeUrl], translated.name, message as never, aliases);
    return { resource: { typeUrl, name, message, version, bytes: body.value.length, keys, sources, places, patches }, keys, reads };
  }

  /** Everything that a proxy has, by `TYPE NAME`. `earlier`: what it has in the earlier state. */
  of(proxy: PlannedProxy, earlier?: ReadonlyMap<string, XdsResource>): Map<string, XdsResource> {
    const found = new Map<string, XdsResource>();
    const touched = this.#touched;
    const add = (typeUrl: PlannedType, name: string): XdsResource | undefined => {
      const key = `${typeUrl} ${name}`;
      const before = earlier?.get(key);
      const same = before !== undefined && touched !== undefined && before.keys.isDisjointFrom(touched);
      const resource = same ? before : this.get(proxy.node, typeUrl, name);
      if (resource !== undefined) found.set(key, resource);
      return resource;
    };
    const { node, uses } = proxy;
    const all = (typeUrl: PlannedType): boolean => uses === undefined || uses.wildcards.includes(typeUrl);
    for (const [typeUrl, names] of Object.entries(uses?.subscribed ?? {})) {
      if (typeUrl in SCHEMAS) for (const name of names) add(typeUrl as PlannedType, name);
    }
    if (all(TypeUrl.listener)) {
      for (const name of listenerNames(this.mesh, node).names) {
        const listener = add(TypeUrl.listener, name);
        if (listener !== undefined) for (const route of routeNames(listener.message as Listener)) add(TypeUrl.route, route);
      }
    }
    if (all(TypeUrl.cluster)) {
      for (const name of clusterNames(this.mesh, node).names) {
        add(TypeUrl.cluster, name);
        add(TypeUrl.endpoint, name);
      }
    }
    // What its routes name, it asks for.
    for (const { message } of [...found.values()]) {
      for (const host of virtualHostsOf(message)) {
        for (const name of clustersNamed(host)) {
          add(TypeUrl.cluster, name);
          add(TypeUrl.endpoint, name);
        }
      }
    }
    if (uses === undefined && node.onDemand && node.httpProxy !== undefined) for (const name of this.#virtualHostNames(node)) add(TypeUrl.virtualHost, name);
    return found;
  }

  /** Of an on-demand proxy that is taken to ask for all. */
  #virtualHostNames(node: ProxyNode): string[] {
    const names = new Set<string>();
    const hosts = new Set<string>();
    for (const name of clusterNames(this.mesh, node).names) {
      const parsed = parseOutboundCluster(name);
      if (parsed === undefined) continue;
      hosts.add(parsed.host);
      names.add(`http_proxy/${parsed.host}:${parsed.port}`);
    }
    // Hosts that rules alone know of.
    for (const [host] of this.mesh.virtualServices.entries()) if (!hosts.has(host)) names.add(`http_proxy/${host}:80`);
    return [...names];
  }
}

/** The route configurations that a listener asks for. */
export function routeNames(listener: Listener): string[] {
  const names: string[] = [];
  for (const chain of [...listener.filterChains, ...(listener.defaultFilterChain === undefined ? [] : [listener.defaultFilterChain])]) {
    for (const { configType } of chain.filters) {
      const manager = configType.case === 'typedConfig' ? anyUnpack(configType.value, HttpConnectionManagerSchema) : undefined;
      if (manager?.routeSpecifier.case === 'rds') names.push(manager.routeSpecifier.value.routeConfigName);
    }
  }
  return names;
}
