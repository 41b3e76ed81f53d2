import {
  field,
  GATEWAY_API,
  GATEWAY_CONTROLLER,
  type GatewayClassSpec,
  type Instance,
  instancesOf,
  isKind,
  type Json,
  type KubernetesDocument,
  kubernetesServices,
  labelsOf,
  namespaceOf,
  type Resource,
  type Service,
  servicesOf,
  stringMap,
} from '@outrigger/resources';
import { buildMesh, type Mesh, type MeshSettings } from '@outrigger/translate';
import { ingressResources } from './ingress.ts';
import { kubernetesInstances } from './kubernetes-instances.ts';

/** All that a simulation looks at. */
export interface World {
  readonly mesh: Mesh;
  readonly resources: readonly Resource[];
  readonly others: readonly KubernetesDocument[];
  readonly services: readonly Service[];
  readonly instances: readonly Instance[];
  /** What the files name and do not hold, taken to be there. */
  readonly assumed: readonly string[];
}

/** The mesh that files describe, nothing else being there. `others` are the Kubernetes objects among them. */
export function worldOf(written: readonly Resource[], others: readonly KubernetesDocument[], settings: Partial<MeshSettings> = {}): World {
  const assumed: string[] = [];
  const resources = [...written, ...ingressResources(others)];
  const config = [...resources.map((resource) => servedClass(resource, assumed)), ...classesNamed(resources, assumed)];
  const kubernetes = kubernetesServices(others);
  const services = [...servicesOf(resources), ...kubernetes.map(({ service }) => service)];
  const instances = [...instancesOf(resources), ...kubernetesInstances(kubernetes, others)];
  const namespaceLabels = Object.fromEntries(others.filter(({ kind }) => kind === 'Namespace').map((namespace) => [namespace.name, labelsOf(namespace)]));
  return {
    mesh: buildMesh({ config, services, instances, settings: { namespaceLabels, ...settings } }),
    resources,
    others,
    services,
    instances,
    assumed,
  };
}

/** Whoever's class it is: what is asked is what we would do. */
function servedClass(resource: Resource, assumed: string[]): Resource {
  if (!isKind(resource, 'GatewayClass') || resource.spec.controllerName === GATEWAY_CONTROLLER) return resource;
  assumed.push(`GatewayClass ${resource.metadata.name} is Outrigger's, not ${resource.spec.controllerName}'s`);
  return { ...(resource as Resource<GatewayClassSpec>), spec: { ...resource.spec, controllerName: GATEWAY_CONTROLLER } } as Resource;
}

function classesNamed(resources: readonly Resource[], assumed: string[]): readonly Resource[] {
  const written = new Set(resources.filter(({ kind }) => kind === 'GatewayClass').map(({ metadata }) => metadata.name));
  const named = new Set(
    resources
      .filter(({ kind, apiVersion }) => kind === 'Gateway' && apiVersion.startsWith(`${GATEWAY_API}/`))
      .map(({ spec }) => (spec as { gatewayClassName: string }).gatewayClassName),
  );
  return [...named.difference(written)].map((name) => {
    assumed.push(`GatewayClass ${name} exists and is Outrigger's`);
    return {
      apiVersion: `${GATEWAY_API}/v1`,
      kind: 'GatewayClass',
      metadata: { name, namespace: '', labels: {}, annotations: {}, creationTimestamp: '', resourceVersion: '', uid: '', generation: 0 },
      spec: { controllerName: GATEWAY_CONTROLLER },
    };
  });
}

/** The labels of a workload: of a pod or a pod template of that name. undefined: there is none of it. */
export function workloadLabels(others: readonly KubernetesDocument[], namespace: string, name: string): Readonly<Record<string, string>> | undefined {
  for (const document of others) {
    if (document.name !== name || namespaceOf(document) !== namespace) continue;
    const labels: Json | undefined =
      document.kind === 'Pod' ? (field(document.value, 'metadata', 'labels') ?? {}) : field(document.value, 'spec', 'template', 'metadata', 'labels');
    if (labels !== undefined) return stringMap(labels);
  }
  return undefined;
}
