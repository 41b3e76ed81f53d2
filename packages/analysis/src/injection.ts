import { annotationsOf, field, type Json, type KubernetesDocument, labelsOf, namespaceOf, stringMap, text } from '@outrigger/resources';
import type { Context } from './context.ts';
import { type Container, containersOf, type Pod } from './kubernetes.ts';

export const PROXY_CONTAINER = 'istio-proxy';
export const REVISION_LABEL = 'istio.io/rev';
export const INJECTION_LABEL = 'istio-injection';
export const INJECT_LABEL = 'sidecar.istio.io/inject';
export const DATAPLANE_MODE_LABEL = 'istio.io/dataplane-mode';

/** Namespaces of Kubernetes itself, which nobody injects into. */
const systemNamespaces: ReadonlySet<string> = new Set(['kube-system', 'kube-public', 'kube-node-lease', 'local-path-storage']);

export function isSystemNamespace(name: string): boolean {
  return systemNamespaces.has(name);
}

/** Whether an object is part of Istio's own installation. */
export function isControlPlane(document: KubernetesDocument): boolean {
  const labels = labelsOf(document);
  return labels.istio !== undefined || labels.release === 'istio';
}

/** Whether a namespace's workloads are in ambient mode: a label for sidecars outweighs that for ambient. */
export function isAmbient(namespace: KubernetesDocument | undefined): boolean {
  if (namespace === undefined) return false;
  const labels = labelsOf(namespace);
  return labels[DATAPLANE_MODE_LABEL] === 'ambient' && labels[INJECTION_LABEL] !== 'enabled' && (labels[REVISION_LABEL] ?? '') === '';
}

/** Whether the mesh sees a pod's traffic without a sidecar: it says so itself where it was taken over, else its namespace asks for it. */
export function isPodAmbient(context: Context, { annotations, namespace }: Pod): boolean {
  return annotations['ambient.istio.io/redirection'] === 'enabled' || isAmbient(context.namespace(namespace));
}

/** Whether a pod has a sidecar, or gets one: it has its container, it says so itself, or its namespace does. */
export function isPodInMesh(context: Context, pod: KubernetesDocument): boolean {
  return isInMesh(context, namespaceOf(pod), labelsOf(pod), annotationsOf(pod), containersOf(field(pod.value, 'spec')));
}

/** The same of the pods of a Deployment. */
export function isDeploymentInMesh(context: Context, deployment: KubernetesDocument): boolean {
  const template = field(deployment.value, 'spec', 'template');
  const labels = stringMap(template, 'metadata', 'labels');
  return isInMesh(context, namespaceOf(deployment), labels, stringMap(template, 'metadata', 'annotations'), containersOf(field(template, 'spec')));
}

function isInMesh(
  context: Context,
  namespace: string,
  labels: Readonly<Record<string, string>>,
  annotations: Readonly<Record<string, string>>,
  containers: readonly Container[],
): boolean {
  if (containers.some(({ name, image }) => name === PROXY_CONTAINER && image !== '')) return true;
  const said = labels[INJECT_LABEL] ?? annotations[INJECT_LABEL];
  if (said !== undefined) return said === 'true';
  const document = context.namespace(namespace);
  if (document === undefined) return false;
  const ofNamespace = labelsOf(document);
  const injection = ofNamespace[INJECTION_LABEL] ?? '';
  return injection === 'enabled' || (injection === '' && (ofNamespace[REVISION_LABEL] ?? '') !== '');
}

/** The values of the injector of a revision, as its ConfigMap keeps them in JSON. */
export function injectorValues(context: Context, revision: string): Json | undefined {
  const name = revision === '' || revision === 'default' ? 'istio-sidecar-injector' : `istio-sidecar-injector-${revision}`;
  // Of several in the files the last is the one that stays when all are applied.
  const map = context.otherOfKind('ConfigMap').findLast((document) => document.name === name);
  if (map === undefined) return undefined;
  try {
    return JSON.parse(text(field(map.value, 'data', 'values'))) as Json;
  } catch {
    // What is no JSON says nothing; the injector itself refuses it.
    return undefined;
  }
}
