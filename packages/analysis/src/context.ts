import {
  annotationsOf,
  covers,
  field,
  fullHost,
  type GatewaySpec,
  gatewayName,
  groupOf,
  type Instance,
  isExportedTo,
  isKind,
  type Json,
  type JsonObject,
  type KindInEffect,
  type KubernetesDocument,
  type KubernetesService,
  kubernetesServices,
  LabelIndex,
  type LabelsIn,
  list,
  namespaceOf,
  ofKind,
  type Resource,
  type ResourceRef,
  refKey,
  refOf,
  SelectorIndex,
  type Service,
  type ServiceEntryPort,
  type ServiceEntrySpec,
  type SettingsDocument,
  type SpecByKind,
  servicesOf,
  type VirtualServiceSpec,
} from '@outrigger/resources';
import type { AnalyzeOptions, Mesh } from './analyze.ts';
import { isAssumed, type KubernetesWorkload, kubernetesWorkloads, type Pod, podsOf, withAssumed } from './kubernetes.ts';
import type { Fix, Message } from './message.ts';
import { isSuppressed } from './suppress.ts';
import { type Argument, messageText } from './templates.ts';

/** All that the analyzers look at, indexed once. */
export class Context {
  readonly resources: readonly Resource[];
  readonly instances: readonly Instance[];
  /** Kubernetes objects of other groups. */
  readonly others: readonly KubernetesDocument[];
  readonly rootNamespace: string;
  readonly clusterDomain: string;
  readonly meshConfigDocument: SettingsDocument | undefined;
  /** MeshConfig as it was given; a field that is left out has Istio's default. */
  readonly meshConfig: JsonObject;
  readonly meshNetworks: SettingsDocument | undefined;
  /** What certificates are held against; none, no time is. */
  readonly nowMs: number | undefined;
  /** Whether this is what somebody keeps in files, not a mesh that runs. */
  readonly isOfFiles: boolean;
  /** Whether anything is known to run: else, that a selector finds nothing says nothing. */
  readonly knowsWorkloads: boolean;
  readonly messages: Message[] = [];
  readonly #services: ReadonlyMap<string, readonly Service[]>;
  readonly #kubernetesServices: ReadonlyMap<string, KubernetesService>;
  readonly #wildcardServices: readonly Service[];
  readonly #statuses: ReadonlyMap<string, Json>;
  readonly #byKind = new Map<string, readonly Resource[]>();
  readonly #known = new Map<symbol, unknown>();
  readonly #hosts = new Map<KubernetesWorkload, readonly string[]>();
  #gateways: ReadonlyMap<string, Resource<GatewaySpec>> | undefined;
  #othersByKind: ReadonlyMap<string, readonly KubernetesDocument[]> | undefined;
  #namespaces: ReadonlyMap<string, KubernetesDocument> | undefined;
  #entrySelectors: ReadonlyMap<string, readonly LabelsIn[]> | undefined;
  #selecting: SelectorIndex<KubernetesService> | undefined;
  #labelled: LabelIndex<KubernetesWorkload> | undefined;
  #pods: readonly Pod[] | undefined;
  #workloads: ReadonlyMap<string, readonly KubernetesWorkload[]> | undefined;

  constructor(resources: readonly Resource[], mesh: Mesh, options: AnalyzeOptions) {
    this.resources = resources;
    this.instances = mesh.instances;
    this.meshConfigDocument = options.meshConfig;
    this.meshConfig = options.meshConfig?.value ?? {};
    this.meshNetworks = options.meshNetworks;
    this.nowMs = options.nowMs;
    this.#statuses = options.statuses ?? new Map();
    const root = this.meshConfig.rootNamespace;
    this.rootNamespace = options.rootNamespace ?? (typeof root === 'string' && root !== '' ? root : 'istio-system');
    const given = options.others ?? [];
    this.isOfFiles = options.others !== undefined;
    this.others = options.others === undefined ? [] : withAssumed(given, this.rootNamespace, this.meshConfig);
    this.knowsWorkloads = mesh.instances.length > 0 || given.some(({ kind, value }) => kind === 'Pod' || field(value, 'spec', 'template') !== undefined);
    this.clusterDomain = options.clusterDomain ?? 'cluster.local';
    const kubernetes = kubernetesServices(this.others, this.clusterDomain);
    this.#kubernetesServices = new Map(kubernetes.map((one) => [one.service.hostname, one]));
    const services = [...mesh.services, ...servicesOf(resources.filter(isWhole)), ...kubernetes.map(({ service }) => service)];
    this.#services = Map.groupBy(services, (service) => service.hostname);
    this.#wildcardServices = services.filter((service) => service.hostname.startsWith('*'));
  }

  ofKind<K extends KindInEffect>(kind: K): readonly Resource<SpecByKind[K]>[] {
    const known = this.#byKind.get(kind) ?? ofKind(this.resources, kind);
    this.#byKind.set(kind, known);
    return known as readonly Resource<SpecByKind[K]>[];
  }

  /** Resources of a kind that this version does not act on, with their spec as JSON. */
  ofOtherKind(group: string, kind: string): readonly Resource<Json>[] {
    return this.resources.filter((resource) => resource.kind === kind && resource.apiVersion.startsWith(`${group}/`)) as readonly Resource<Json>[];
  }

  otherOfKind(kind: string): readonly KubernetesDocument[] {
    this.#othersByKind ??= Map.groupBy(this.others, (document) => document.kind);
    return this.#othersByKind.get(kind) ?? [];
  }

  /** Pods as they are written, and the one of the ingress gateway that is taken to run. */
  get pods(): readonly Pod[] {
    this.#pods ??= podsOf(this.others);
    return this.#pods;
  }

  /** What Kubernetes runs, as far as the files say, by namespace. */
  get workloads(): ReadonlyMap<string, readonly KubernetesWorkload[]> {
    this.#workloads ??= Map.groupBy(kubernetesWorkloads(this.others), ({ namespace }) => namespace);
    return this.#workloads;
  }

  /** Those of a namespace that have these labels; without labels all of them. */
  workloadsWith(selector: LabelsIn): readonly KubernetesWorkload[] {
    if (this.#labelled === undefined) {
      this.#labelled = new LabelIndex((workload) => workload);
      for (const workload of [...this.workloads.values()].flat()) this.#labelled.put(workload);
    }
    return this.#labelled.selected(selector);
  }

  /** What the Service of Kubernetes of a full host selects; undefined where it selects nothing. */
  selectorOf(host: string): LabelsIn | undefined {
    const found = this.#kubernetesServices.get(host);
    return found?.selector === undefined ? undefined : { namespace: found.service.namespace, labels: found.selector };
  }

  /** What several analyzers ask for, worked out once. */
  once<Value>(what: symbol, make: () => Value): Value {
    if (!this.#known.has(what)) this.#known.set(what, make());
    return this.#known.get(what) as Value;
  }

  /** Hosts of the Services of Kubernetes that select a workload. */
  hostsOf(workload: KubernetesWorkload): readonly string[] {
    const known = this.#hosts.get(workload) ?? this.#hostsSelecting(workload);
    this.#hosts.set(workload, known);
    return known;
  }

  #hostsSelecting(workload: KubernetesWorkload): readonly string[] {
    if (this.#selecting === undefined) {
      this.#selecting = new SelectorIndex(({ service: { namespace }, selector }) =>
        selector === undefined || Object.keys(selector).length === 0 ? undefined : { namespace, labels: selector },
      );
      for (const service of this.#kubernetesServices.values()) this.#selecting.put(service);
    }
    return this.#selecting.selecting(workload).map(({ service }) => service.hostname);
  }

  /** What the ServiceEntries of a host select by its workloadSelector. */
  entrySelectorsOf(host: string): readonly LabelsIn[] {
    this.#entrySelectors ??= Map.groupBy(
      this.ofKind('ServiceEntry').flatMap(({ metadata: { namespace }, spec }) => {
        const labels = spec.workloadSelector?.labels;
        return labels === undefined ? [] : (spec.hosts ?? []).map((name) => ({ host: name.toLowerCase(), namespace, labels }));
      }),
      (selector) => selector.host,
    );
    return this.#entrySelectors.get(host) ?? [];
  }

  namespace(name: string): KubernetesDocument | undefined {
    this.#namespaces ??= new Map(this.otherOfKind('Namespace').map((document) => [document.name, document]));
    return this.#namespaces.get(name);
  }

  /** The Gateway of Istio that a VirtualService of `namespace` names: "NAMESPACE/NAME", and itself where it is there. */
  gatewayOf(name: string, namespace: string): { readonly fullName: string; readonly gateway: Resource<GatewaySpec> | undefined } {
    this.#gateways ??= new Map(this.ofKind('Gateway').map((gateway) => [`${gateway.metadata.namespace}/${gateway.metadata.name}`, gateway]));
    const fullName = gatewayName(name, namespace);
    return { fullName, gateway: this.#gateways.get(fullName) };
  }

  /** `status` as a resource's document has it. */
  statusOf(resource: Resource): Json | undefined {
    return this.#statuses.get(refKey(refOf(resource)));
  }

  fullHost(host: string, namespace: string): string {
    return fullHost(host, namespace, this.clusterDomain);
  }

  /** The service of a full host that any of the namespaces can see; a wildcard service covers its names. */
  serviceFor(host: string, namespaces: readonly string[]): Service | undefined {
    const candidates = [...(this.#services.get(host) ?? []), ...this.#wildcardServices.filter((service) => covers(service.hostname, host))];
    return candidates.find(({ exportTo, namespace: owner }) => {
      const targets = exportTo.length > 0 ? exportTo : this.#defaultExportTo('Service');
      return namespaces.some((namespace) => isExportedTo(targets, owner, namespace));
    });
  }

  /** The namespaces that see it; 'all' for everybody. */
  scopeOf({ kind, metadata, spec }: Resource<VirtualServiceSpec | ServiceEntrySpec>): ExportScope {
    const own = spec.exportTo ?? [];
    const targets = own.length > 0 ? own : this.#defaultExportTo(kind === 'VirtualService' ? kind : 'Service');
    if (targets.length === 0 || targets.includes('*')) return 'all';
    return new Set(targets.map((target) => (target === '.' ? metadata.namespace : target)));
  }

  /** What the mesh's settings say for what does not say it itself. */
  #defaultExportTo(kind: 'Service' | 'VirtualService'): readonly string[] {
    return list(this.meshConfig[`default${kind}ExportTo`]).filter((target) => typeof target === 'string');
  }

  /** `field`: where in the resource; its line becomes the message's. */
  report(resource: Resource, field: string, code: string, ...args: Argument[]): void {
    if (isSuppressed(resource.metadata.annotations, code)) return;
    const line = resource.origin === undefined ? 0 : (resource.lineOf?.(field) ?? resource.origin.line);
    this.#say(refOf(resource), resource.origin?.file ?? '', line, code, args);
  }

  /** The same, with what to write in its place. */
  reportWithFix(resource: Resource, field: string, fix: Fix | undefined, code: string, ...args: Argument[]): void {
    const before = this.messages.length;
    this.report(resource, field, code, ...args);
    const message = this.messages[before];
    if (fix !== undefined && message !== undefined && message.file !== '') this.messages[before] = { ...message, fix };
  }

  /** The same of a Kubernetes object. */
  reportOn(document: KubernetesDocument, field: string, code: string, ...args: Argument[]): void {
    if (isAssumed(document) || isSuppressed(annotationsOf(document), code)) return;
    const namespace = clusterScoped.has(document.kind) ? '' : namespaceOf(document);
    const ref = { group: groupOf(document.apiVersion), kind: document.kind, namespace, name: document.name };
    this.#say(ref, document.origin.file, document.lineOf(field), code, args);
  }

  /** The same of the mesh's settings, which Istio calls by these names. */
  reportOnSettings(kind: 'MeshConfig' | 'MeshNetworks', settings: SettingsDocument, field: string, code: string, ...args: Argument[]): void {
    const ref = { group: '', kind, namespace: this.rootNamespace, name: kind.toLowerCase() };
    this.#say(ref, settings.file, settings.lineOf(field), code, args);
  }

  #say(resource: ResourceRef, file: string, line: number, code: string, args: readonly Argument[]): void {
    const { level, text } = messageText(code, args);
    this.messages.push({ code, level, message: text, resource, file, line });
  }
}

const clusterScoped: ReadonlySet<string> = new Set([
  'Namespace',
  'Node',
  'CustomResourceDefinition',
  'MutatingWebhookConfiguration',
  'ValidatingWebhookConfiguration',
  'ClusterRole',
  'ClusterRoleBinding',
  'IngressClass',
]);

/** A ServiceEntry that was refused for what it lacks declares no service. */
function isWhole(resource: Resource): boolean {
  if (!isKind(resource, 'ServiceEntry')) return true;
  const { hosts, ports } = resource.spec as Partial<ServiceEntrySpec>;
  return hosts !== undefined && (ports ?? []).every((port: Partial<ServiceEntryPort>) => port.name !== undefined && port.number !== undefined);
}

export type ExportScope = 'all' | ReadonlySet<string>;

export function scopesMeet(left: ExportScope, right: ExportScope): boolean {
  return left === 'all' || right === 'all' || !left.isDisjointFrom(right);
}
