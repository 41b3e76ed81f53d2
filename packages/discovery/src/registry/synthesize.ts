import type { Health, Instance, InstancePort, Service, ServicePort } from '@outrigger/resources';
import type { Registration } from './registration.ts';

/** Of a registration: "gateway" has no application, and what its ports speak its resources say. */
const ROLE_LABEL = 'outrigger.dev/role';

export function isGateway({ labels }: Pick<Registration, 'labels'>): boolean {
  return labels[ROLE_LABEL] === 'gateway';
}

export interface Naming {
  readonly trustDomain: string;
  /** The end of services' names: "cluster.local". */
  readonly dnsDomain: string;
}

export function instanceId(registration: Pick<Registration, 'namespace' | 'instance'>): string {
  return `${registration.namespace}/${registration.instance}`;
}

export function hostnameOf(registration: Pick<Registration, 'namespace' | 'service'>, naming: Naming): string {
  return `${registration.service}.${registration.namespace}.svc.${naming.dnsDomain}`;
}

export function toInstance(registration: Registration, health: Health, naming: Naming): Instance {
  const { namespace, service, labels } = registration;
  const version = labels.version ?? '';
  return Object.freeze({
    id: instanceId(registration),
    namespace,
    workload: version === '' ? service : `${service}-${version}`,
    labels,
    serviceAccount: registration.serviceAccount,
    trustDomain: naming.trustDomain,
    address: registration.address,
    locality: registration.locality,
    weight: registration.weight,
    network: '',
    // A gRPC server without a proxy has its certificates by its bootstrap.
    meshed: registration.dataPlane !== 'none' && !isGateway(registration),
    health,
    ports: Object.freeze(registration.ports.map((port): InstancePort => Object.freeze({ ...port }))),
    services: Object.freeze(registration.ports.length === 0 ? [] : [hostnameOf(registration, naming)]),
  });
}

/** The service that instances make by being there. */
export function toService(hostname: string, name: string, namespace: string, ports: readonly ServicePort[], createdAtMs: number): Service {
  return Object.freeze({
    hostname,
    name,
    namespace,
    ports: Object.freeze(ports.map((port) => Object.freeze({ ...port }))),
    addresses: Object.freeze([]),
    resolution: 'STATIC',
    location: 'MESH_INTERNAL',
    exportTo: Object.freeze([]),
    labels: Object.freeze({}),
    subjectAltNames: Object.freeze([]),
    creationTimestamp: new Date(createdAtMs).toISOString(),
  });
}

/** All ports of a service's instances, by number. Where two disagree on a number's name or protocol, the one that came first is right. */
export function mergePorts(registrations: Iterable<Registration>): readonly ServicePort[] {
  const ports = new Map<number, ServicePort>();
  for (const registration of registrations) {
    for (const { name, servicePort, protocol } of registration.ports) {
      if (!ports.has(servicePort)) ports.set(servicePort, { name, port: servicePort, protocol });
    }
  }
  return [...ports.values()].sort((a, b) => a.port - b.port);
}

export function samePorts(a: readonly ServicePort[], b: readonly ServicePort[]): boolean {
  return (
    a.length === b.length && a.every((port, index) => port.port === b[index]!.port && port.name === b[index]!.name && port.protocol === b[index]!.protocol)
  );
}
