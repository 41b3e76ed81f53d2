import { isJsonObject, type Json, type JsonObject, type KubernetesDocument, protocolOf, type Service } from '@outrigger/resources';
import { field } from './context.ts';

/** Services of Kubernetes that came with the resources: hosts that exist there, though not in a mesh off Kubernetes. */
export function kubernetesServices(others: readonly KubernetesDocument[], clusterDomain: string): readonly Service[] {
  return others.filter((document) => document.kind === 'Service' && document.apiVersion === 'v1').map((document) => serviceOf(document, clusterDomain));
}

function serviceOf(document: KubernetesDocument, clusterDomain: string): Service {
  const namespace = namespaceOf(document);
  const exportTo = field(document.value, 'metadata', 'annotations', 'networking.istio.io/exportTo');
  return {
    hostname: `${document.name}.${namespace}.svc.${clusterDomain}`,
    name: document.name,
    namespace,
    ports: list(field(document.value, 'spec', 'ports')).flatMap((port) => {
      const number = field(port, 'port');
      if (typeof number !== 'number') return [];
      const name = text(field(port, 'name'));
      const protocol = text(field(port, 'protocol'));
      return [{ name, port: number, protocol: protocolOf(name, protocol === 'TCP' ? '' : protocol, text(field(port, 'appProtocol')), number) }];
    }),
    addresses: [],
    resolution: 'STATIC',
    location: 'MESH_INTERNAL',
    exportTo: typeof exportTo === 'string' ? exportTo.split(',').map((target) => target.trim()) : ['*'],
    labels: labelsOf(document),
    subjectAltNames: [],
    creationTimestamp: '',
  };
}

/** What runs, as far as the files say it: pods, and the pod templates of deployments. */
export interface KubernetesWorkload {
  readonly namespace: string;
  readonly labels: Readonly<Record<string, string>>;
}

export function kubernetesWorkloads(others: readonly KubernetesDocument[]): readonly KubernetesWorkload[] {
  const nodes = new Map(others.filter((document) => document.kind === 'Node').map((node) => [node.name, labelsOf(node)]));
  return others.flatMap((document) => {
    if (document.kind === 'Pod') {
      const node = nodes.get(text(field(document.value, 'spec', 'nodeName'))) ?? {};
      const topology = Object.fromEntries(Object.entries(node).filter(([key, value]) => key.startsWith('topology.') && value !== ''));
      const hostname = text(field(document.value, 'spec', 'nodeName'));
      const place = hostname === '' ? topology : { ...topology, 'kubernetes.io/hostname': hostname };
      return [{ namespace: namespaceOf(document), labels: { ...place, ...labelsOf(document) } }];
    }
    const template = field(document.value, 'spec', 'template', 'metadata', 'labels');
    return isJsonObject(template) ? [{ namespace: namespaceOf(document), labels: strings(template) }] : [];
  });
}

/** The selector of a Kubernetes Service, by full host; undefined where there is none. */
export function serviceSelectors(
  others: readonly KubernetesDocument[],
  clusterDomain: string,
): ReadonlyMap<string, { namespace: string; labels: Readonly<Record<string, string>> }> {
  const selectors = new Map<string, { namespace: string; labels: Readonly<Record<string, string>> }>();
  for (const document of others) {
    const selector = field(document.value, 'spec', 'selector');
    if (document.kind !== 'Service' || !isJsonObject(selector)) continue;
    selectors.set(`${document.name}.${namespaceOf(document)}.svc.${clusterDomain}`, { namespace: namespaceOf(document), labels: strings(selector) });
  }
  return selectors;
}

export interface Container {
  readonly name: string;
  readonly image: string;
  readonly value: Json;
}

export interface Pod {
  readonly document: KubernetesDocument;
  readonly namespace: string;
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  /** Those that run, sidecars in `initContainers` after the rest. */
  readonly containers: readonly Container[];
}

export function podsOf(others: readonly KubernetesDocument[]): readonly Pod[] {
  return others
    .filter(({ kind }) => kind === 'Pod')
    .map((document) => ({
      document,
      namespace: namespaceOf(document),
      name: document.name,
      labels: labelsOf(document),
      annotations: annotationsOf(document),
      containers: containersOf(field(document.value, 'spec')),
    }));
}

/** Containers of a pod's spec or of a pod template's. */
export function containersOf(spec: Json | undefined): readonly Container[] {
  return [...list(field(spec, 'containers')), ...list(field(spec, 'initContainers'))].map((value) => ({
    name: text(field(value, 'name')),
    image: text(field(value, 'image')),
    value,
  }));
}

const assumed = new WeakSet<KubernetesDocument>();

/** Whether no file has this object. */
export function isAssumed(document: KubernetesDocument): boolean {
  return assumed.has(document);
}

/**
 * The objects with the default ingress gateway: who keeps a mesh's configuration in a folder does not keep Istio's own installation
 * there, and is not to hear that it is missing.
 */
export function withAssumed(others: readonly KubernetesDocument[], rootNamespace: string, meshConfig: JsonObject): readonly KubernetesDocument[] {
  if (meshConfig.ingressControllerMode === 'OFF') return others;
  const name = text(meshConfig.ingressService) || 'istio-ingressgateway';
  const labels = { istio: text(meshConfig.ingressSelector) || 'ingressgateway' };
  const ports = [
    { name: 'status-port', port: 15021, targetPort: 15021 },
    { name: 'http2', port: 80, targetPort: 8080 },
    { name: 'https', port: 443, targetPort: 8443 },
    { name: 'tcp', port: 31400, targetPort: 31400 },
    { name: 'tls', port: 15443, targetPort: 15443 },
  ].map((port) => ({ ...port, protocol: 'TCP' }));
  const present = others.some((other) => other.kind === 'Service' && other.name === name && namespaceOf(other) === rootNamespace);
  const pod = assume('Pod', `${name}-assumed`, rootNamespace, { labels }, { containers: [{ name: 'istio-proxy' }] });
  return present ? [...others, pod] : [...others, pod, assume('Service', name, rootNamespace, {}, { ports, selector: labels })];
}

function assume(kind: string, name: string, namespace: string, metadata: JsonObject, spec: JsonObject): KubernetesDocument {
  const value = { apiVersion: 'v1', kind, metadata: { ...metadata, name, namespace }, spec };
  const document = { apiVersion: 'v1', kind, name, namespace, value, origin: { file: '', line: 0 }, lineOf: () => 0 };
  assumed.add(document);
  return document;
}

export function namespaceOf(document: KubernetesDocument): string {
  return document.namespace === '' ? 'default' : document.namespace;
}

export function labelsOf(document: KubernetesDocument): Readonly<Record<string, string>> {
  return stringMap(document.value, 'metadata', 'labels');
}

export function annotationsOf(document: KubernetesDocument): Readonly<Record<string, string>> {
  return stringMap(document.value, 'metadata', 'annotations');
}

/** A field of strings by name; what is no string is left out. */
export function stringMap(value: Json | undefined, ...path: readonly (string | number)[]): Readonly<Record<string, string>> {
  const map = field(value, ...path);
  return isJsonObject(map) ? strings(map) : {};
}

function strings(map: Readonly<Record<string, Json>>): Readonly<Record<string, string>> {
  return Object.fromEntries(Object.entries(map).filter((entry): entry is [string, string] => typeof entry[1] === 'string'));
}

export function list(value: Json | undefined): readonly Json[] {
  return Array.isArray(value) ? value : [];
}

export function text(value: Json | undefined): string {
  return typeof value === 'string' ? value : '';
}
