import { type Destination, fullHost, type HttpRoute, type KubernetesDocument, ofKind, type Resource, servicesOf } from '@outrigger/resources';
import { listed } from './listed.ts';

const CLUSTER_DOMAIN = 'cluster.local';

export interface AssumedServices {
  readonly services: readonly KubernetesDocument[];
  /** What is to be said of it; '' : nothing is assumed. */
  readonly told: string;
}

/**
 * Off Kubernetes services come with the workloads that register themselves, and no file has them. Where there is no Service in the files at all,
 * those that VirtualServices and DestinationRules name are taken to be there, with the port that is asked for.
 */
export function assumedServices(resources: readonly Resource[], others: readonly KubernetesDocument[], port: number): AssumedServices {
  if (others.some(({ kind }) => kind === 'Service')) return { services: [], told: '' };
  const declared = new Set(servicesOf(resources).map(({ hostname }) => hostname));
  const ports = new Map<string, Set<number>>();
  const name = (host: string, namespace: string, number = port): void => {
    const full = fullHost(host, namespace, CLUSTER_DOMAIN);
    if (!full.endsWith(`.svc.${CLUSTER_DOMAIN}`) || full.includes('*') || declared.has(full)) return;
    const known = ports.get(full) ?? new Set([port]);
    ports.set(full, known.add(number));
  };
  for (const { metadata, spec } of ofKind(resources, 'VirtualService')) {
    for (const host of spec.hosts ?? []) name(host, metadata.namespace);
    const connections = [...(spec.tcp ?? []), ...(spec.tls ?? [])].flatMap(({ route = [] }) => route.map(({ destination }) => destination));
    for (const destination of [...(spec.http ?? []).flatMap(destinationsOf), ...connections])
      name(destination.host, metadata.namespace, destination.port?.number);
  }
  for (const { metadata, spec } of ofKind(resources, 'DestinationRule')) name(spec.host, metadata.namespace);
  const services = [...ports].map(([full, numbers]) => serviceNamed(full, [...numbers]));
  const names = services.map((service) => (service.namespace === 'default' ? service.name : `${service.namespace}/${service.name}`));
  return {
    services,
    told: names.length === 0 ? '' : `${listed(names.sort())}: taken to be services of HTTP, since no file has a Service and workloads register their own`,
  };
}

function destinationsOf({ route = [], mirror, mirrors = [] }: HttpRoute): Destination[] {
  return [...route.map(({ destination }) => destination), ...(mirror == null ? [] : [mirror]), ...mirrors.map(({ destination }) => destination)];
}

function serviceNamed(full: string, ports: readonly number[]): KubernetesDocument {
  const [name = '', namespace = ''] = full.split('.');
  const value = { apiVersion: 'v1', kind: 'Service', metadata: { name, namespace }, spec: { ports: ports.map((port) => ({ name: `http-${port}`, port })) } };
  return { apiVersion: 'v1', kind: 'Service', name, namespace, value, origin: { file: '', line: 1 }, lineOf: () => 1 };
}
