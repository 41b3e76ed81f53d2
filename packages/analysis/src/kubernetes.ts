import {
  annotationsOf,
  field,
  isJsonObject,
  type Json,
  type JsonObject,
  type KubernetesDocument,
  labelsOf,
  list,
  namespaceOf,
  stringMap,
  text,
} from '@outrigger/resources';

/** What runs, as far as the files say it: pods, and the pod templates of deployments. */
export interface KubernetesWorkload {
  readonly namespace: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly serviceAccount: string;
}

export function kubernetesWorkloads(others: readonly KubernetesDocument[]): readonly KubernetesWorkload[] {
  const nodes = new Map(others.filter((document) => document.kind === 'Node').map((node) => [node.name, labelsOf(node)]));
  return others.flatMap((document) => {
    if (document.kind === 'Pod') {
      const node = nodes.get(text(field(document.value, 'spec', 'nodeName'))) ?? {};
      const topology = Object.fromEntries(Object.entries(node).filter(([key, value]) => key.startsWith('topology.') && value !== ''));
      const hostname = text(field(document.value, 'spec', 'nodeName'));
      const place = hostname === '' ? topology : { ...topology, 'kubernetes.io/hostname': hostname };
      return [{ namespace: namespaceOf(document), labels: { ...place, ...labelsOf(document) }, serviceAccount: accountOf(field(document.value, 'spec')) }];
    }
    const template = field(document.value, 'spec', 'template', 'metadata', 'labels');
    const serviceAccount = accountOf(field(document.value, 'spec', 'template', 'spec'));
    return isJsonObject(template) ? [{ namespace: namespaceOf(document), labels: stringMap(template), serviceAccount }] : [];
  });
}

function accountOf(spec: Json | undefined): string {
  return text(field(spec, 'serviceAccountName')) || 'default';
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
