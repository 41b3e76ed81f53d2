import type { Registry } from '@bufbuild/protobuf';
import { type Instance, type Resource, type ResourceRef, refKey, refOf, type Service } from '@outrigger/resources';
import type { ApiRouteSpec } from './gateways/api/attachment.ts';
import { type Key, keys } from './keys.ts';
import {
  ALL,
  type AuthorizationPolicy,
  type DestinationRule,
  type EnvoyFilter,
  type Gateway,
  type Mesh,
  type PeerAuthentication,
  refusalKey,
  type Sidecar,
  type Telemetry,
  type VirtualService,
} from './mesh.ts';
import type { DataPlane, ProxyNode } from './node.ts';
import type { MeshSettings } from './settings.ts';
import { TracedNode } from './traced-node.ts';
import type { Note, Place, Translated } from './translated.ts';

/** The mesh as one translation reads it: what is looked at is written down, so that a result knows what it depends upon. */
export class Reader {
  readonly #node: TracedNode;
  readonly keys = new Set<Key>();
  readonly #mesh: Mesh;
  readonly #sources = new Map<string, ResourceRef>();
  readonly #notes = new Map<string, Note>();
  readonly #places = new Map<object, Place>();
  readonly #patches = new Map<object, readonly Place[]>();
  readonly #known = new Map<symbol, unknown>();

  constructor(mesh: Mesh, node: ProxyNode) {
    this.#mesh = mesh;
    this.#node = new TracedNode(node);
  }

  get node(): ProxyNode {
    return this.#node;
  }

  get settings(): MeshSettings {
    return this.#mesh.settings;
  }

  services(hostname: string): readonly Service[] {
    this.keys.add(keys.service(hostname));
    return this.#mesh.services.get(hostname) ?? [];
  }

  hostnamesAt(address: string): readonly string[] {
    this.keys.add(keys.address(address));
    return this.#mesh.hostnames.get(address) ?? [];
  }

  /** Every service; costs what the mesh has. */
  *allServices(): IterableIterator<Service> {
    this.keys.add(keys.allServices);
    for (const list of this.#mesh.services.values()) yield* list;
  }

  instances(hostname: string): readonly Instance[] {
    this.keys.add(keys.instances(hostname));
    return this.#mesh.instances.get(hostname) ?? [];
  }

  /** Instances for their identities alone: not translated again when one only changes its health or address. */
  identities(hostname: string): readonly Instance[] {
    this.keys.add(keys.identities(hostname));
    return this.#mesh.instances.get(hostname) ?? [];
  }

  virtualServices(host: string): readonly VirtualService[] {
    this.keys.add(keys.virtualServices(host));
    return this.#mesh.virtualServices.get(host) ?? [];
  }

  *allVirtualServices(): IterableIterator<[string, readonly VirtualService[]]> {
    this.keys.add(keys.allVirtualServices);
    yield* this.#mesh.virtualServices.entries();
  }

  destinationRules(host: string): readonly DestinationRule[] {
    this.keys.add(keys.destinationRules(host));
    return this.#mesh.destinationRules.get(host) ?? [];
  }

  peerAuthentications(namespace: string): readonly PeerAuthentication[] {
    this.keys.add(keys.peerAuthentication(namespace));
    return this.#mesh.peerAuthentications.get(namespace) ?? [];
  }

  authorizationPolicies(namespace: string): readonly AuthorizationPolicy[] {
    this.keys.add(keys.authorization(namespace));
    return this.#mesh.authorizationPolicies.get(namespace) ?? [];
  }

  sidecars(namespace: string): readonly Sidecar[] {
    this.keys.add(keys.sidecar(namespace));
    return this.#mesh.sidecars.get(namespace) ?? [];
  }

  envoyFilters(namespace: string): readonly EnvoyFilter[] {
    this.keys.add(keys.envoyFilters(namespace));
    return this.#mesh.envoyFilters.get(namespace) ?? [];
  }

  telemetries(namespace: string): readonly Telemetry[] {
    this.keys.add(keys.telemetry(namespace));
    return this.#mesh.telemetries.get(namespace) ?? [];
  }

  /** Why proxies of a kind refused what an EnvoyFilter makes; undefined: none did. */
  refusalOf(filter: EnvoyFilter, dataPlane: DataPlane): string | undefined {
    this.keys.add(keys.envoyFilters(filter.metadata.namespace));
    return this.#mesh.refusals.get(refusalKey(refOf(filter), dataPlane));
  }

  /** What the values of EnvoyFilters are made of. */
  get types(): Registry | undefined {
    return this.#mesh.types;
  }

  /** Every Gateway, of all namespaces. */
  gateways(): readonly Gateway[] {
    this.keys.add(keys.gateways);
    return this.#mesh.gateways.get(ALL) ?? [];
  }

  /** Resources of one kind of Gateway API, oldest first. */
  gatewayApi<Spec>(kind: string): readonly Resource<Spec>[] {
    this.keys.add(keys.gatewayApi(kind));
    return (this.#mesh.gatewayApi.get(kind) ?? []) as readonly Resource<Spec>[];
  }

  /** HTTPRoutes and GRPCRoutes that name a service as their parent, oldest first. */
  serviceRoutes(hostname: string): readonly Resource<ApiRouteSpec>[] {
    this.keys.add(keys.serviceRoutes(hostname));
    return this.#mesh.serviceRoutes.get(hostname) ?? [];
  }

  /** VirtualServices bound to a gateway, "NAMESPACE/NAME". */
  boundVirtualServices(gateway: string): readonly VirtualService[] {
    this.keys.add(keys.boundVirtualServices(gateway));
    return this.#mesh.boundVirtualServices.get(gateway) ?? [];
  }

  /** What other VirtualServices delegate to, by "NAMESPACE/NAME". */
  delegate(name: string): VirtualService | undefined {
    this.keys.add(keys.delegate(name));
    return this.#mesh.delegates.get(name)?.[0];
  }

  /** What a translation asks for again and again, worked out once. */
  once<Value>(what: symbol, make: () => Value): Value {
    if (!this.#known.has(what)) this.#known.set(what, make());
    return this.#known.get(what) as Value;
  }

  /** The resource shapes what is being translated. */
  uses(resource: Resource): void {
    const ref = refOf(resource);
    this.#sources.set(refKey(ref), ref);
  }

  /** Where a message that is being made is written. */
  places(messages: readonly object[], resource: Resource, field: string): void {
    const place = { resource: refOf(resource), field };
    for (const message of messages) this.#places.set(message, place);
  }

  /** A message that takes another's place is written where that is. */
  replaced(before: object, after: object): void {
    const place = this.#places.get(before);
    if (place !== undefined) this.#places.set(after, place);
  }

  /** EnvoyFilters made a message, or a part of one, what it is. */
  patched(message: object, patches: readonly Place[]): void {
    this.#patches.set(message, [...this.patchesOf(message), ...patches]);
  }

  patchesOf(message: object): readonly Place[] {
    return this.#patches.get(message) ?? [];
  }

  /** A field that does nothing. */
  ignored(resource: Resource, field: string, message: string, on: Note['on'] = 'all'): void {
    this.#note({ resource: refOf(resource), field, effect: 'none', on, message });
  }

  /** A field that does something else than it says. */
  differs(resource: Resource, field: string, message: string, on: Note['on'] = 'all'): void {
    this.#note({ resource: refOf(resource), field, effect: 'differs', on, message });
  }

  #note(note: Note): void {
    this.#notes.set(`${refKey(note.resource)} ${note.field} ${note.message}`, note);
  }

  result<Message>(name: string, message: Message | undefined, aliases: readonly string[] = []): Translated<Message> {
    return {
      name,
      message,
      aliases,
      keys: this.keys,
      reads: this.#node.reads,
      sources: [...this.#sources.values()],
      notes: [...this.#notes.values()],
      places: this.#places,
      patches: this.#patches,
    };
  }
}
