import { isJsonObject, type Json, type KubernetesDocument, protocolOf, type Service } from '@outrigger/resources';
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
      return [{ namespace: namespaceOf(document), labels: { ...topology, ...labelsOf(document) } }];
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

export function namespaceOf(document: KubernetesDocument): string {
  return document.namespace === '' ? 'default' : document.namespace;
}

export function labelsOf(document: KubernetesDocument): Readonly<Record<string, string>> {
  const labels = field(document.value, 'metadata', 'labels');
  return isJsonObject(labels) ? strings(labels) : {};
}

function strings(map: Readonly<Record<string, Json>>): Readonly<Record<string, string>> {
  return Object.fromEntries(Object.entries(map).filter((entry): entry is [string, string] => typeof entry[1] === 'string'));
}

function list(value: Json | undefined): readonly Json[] {
  return Array.isArray(value) ? value : [];
}

function text(value: Json | undefined): string {
  return typeof value === 'string' ? value : '';
}
