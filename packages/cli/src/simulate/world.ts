import type { Registry } from '@bufbuild/protobuf';
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
  podOf,
  type Resource,
  type Service,
  servicesOf,
  stringMap,
  text,
} from '@outrigger/resources';
import { buildMesh, type Mesh, type MeshSettings } from '@outrigger/translate';
import { ingressResources } from './ingress.ts';
import { kubernetesInstances } from './kubernetes-instances.ts';
import { type MeshConfig, meshConfigOf } from './mesh-config.ts';
import { unresolvedSrv } from './unresolved-srv.ts';

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

/** Addresses of a service that says none of its own. */
export type Addresses = (service: Service, index: number) => readonly string[];

const NO_ADDRESS: Addresses = () => [];

/** A cluster gives each of its Services an address; here one of a range that nobody has. */
export function clusterAddresses(others: readonly KubernetesDocument[]): Addresses {
  const hosts = new Set(kubernetesServices(others).map(({ service }) => service.hostname));
  return ({ hostname }, index) => (hosts.has(hostname) ? [`240.240.${(index + 1) >> 8}.${(index + 1) & 0xff}`] : []);
}

export interface WorldOptions {
  readonly addressesFor?: Addresses;
  readonly meshConfig?: MeshConfig;
  /** `patchTypes` of the resources. */
  readonly types?: Registry | undefined;
}

/** The mesh that files describe, nothing else being there. `others` are the Kubernetes objects among them. */
export function worldOf(
  written: readonly Resource[],
  others: readonly KubernetesDocument[],
  settings: Partial<MeshSettings> = {},
  { addressesFor = NO_ADDRESS, meshConfig = meshConfigOf({}), types }: WorldOptions = {},
): World {
  const { ingress, unread } = meshConfig;
  const assumed = [
    ...unread.map((name) => `${name} of the mesh's settings has no effect on what is told here`),
    ...unresolvedSrv(written),
    ...rolloutsAside(written),
  ];
  const ingresses = ingress === undefined ? [] : ingressResources(others, meshConfig.settings.rootNamespace, ingress);
  const resources = [...written, ...ingresses];
  const config = [...resources.map((resource) => servedClass(resource, assumed)), ...classesNamed(resources, assumed)];
  const kubernetes = kubernetesServices(others);
  const services = [...servicesOf(resources), ...kubernetes.map(({ service }) => service)].map((service, index) =>
    service.addresses.length > 0 || service.headless === true || service.aliasOf !== undefined
      ? service
      : { ...service, addresses: addressesFor(service, index) },
  );
  const instances = [...instancesOf(resources), ...kubernetesInstances(kubernetes, others)];
  const namespaceLabels = Object.fromEntries(others.filter(({ kind }) => kind === 'Namespace').map((namespace) => [namespace.name, labelsOf(namespace)]));
  return {
    mesh: buildMesh({ config, services, instances, settings: { namespaceLabels, ...meshConfig.settings, ...settings }, types }),
    resources,
    others,
    services,
    instances,
    assumed,
  };
}

/** How far one has come, and so which share it has shifted, only a mesh that runs knows. */
function rolloutsAside(resources: readonly Resource[]): readonly string[] {
  return resources
    .filter((resource) => isKind(resource, 'Rollout'))
    .map(
      ({ metadata }) => `the Rollout ${metadata.namespace}/${metadata.name} has no effect here, since files do not say how far it is: weights are as written`,
    );
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
  const labels = podField(others, namespace, name, 'metadata', 'labels');
  return labels === undefined ? undefined : stringMap(labels);
}

/** As whom a workload of that name is known. */
export function workloadAccount(others: readonly KubernetesDocument[], namespace: string, name: string): string {
  return text(podField(others, namespace, name, 'spec', 'serviceAccountName')) || 'default';
}

/** A field of the first pod of that name, or pod template, that has it. */
function podField(others: readonly KubernetesDocument[], namespace: string, name: string, ...path: readonly string[]): Json | undefined {
  for (const document of others) {
    if (document.name !== name || namespaceOf(document) !== namespace) continue;
    const found = field(podOf(document), ...path);
    if (found !== undefined) return found;
    if (document.kind === 'Pod') return {};
  }
  return undefined;
}
