import { ofKind } from './kinds/known.ts';
import type { ServiceEntrySpec, WorkloadEntrySpec } from './kinds/workloads.ts';
import type { Instance, InstancePort } from './mesh.ts';
import { protocolOf } from './protocol.ts';
import type { Resource } from './resource.ts';

export interface InstanceOptions {
  /** Default "cluster.local". */
  readonly trustDomain?: string;
}

const tlsModeLabel = 'security.istio.io/tlsMode';
/** A port of a service that names none on the workload's side is the same there. */
const noPorts: Readonly<Record<string, number>> = {};

/**
 * The instances that ServiceEntry endpoints and WorkloadEntries declare; a WorkloadEntry belongs to the ServiceEntries of its
 * namespace whose workloadSelector matches its labels. Meshed where labelled `security.istio.io/tlsMode: istio`. A DNS service without
 * endpoints has its hosts themselves. A workload whose services want different ports of it for one service port is several instances.
 */
export function instancesOf(resources: readonly Resource[], { trustDomain = 'cluster.local' }: InstanceOptions = {}): readonly Instance[] {
  const entries = ofKind(resources, 'ServiceEntry');
  const instances: Instance[] = [];
  for (const entry of entries) {
    const { metadata, spec } = entry;
    const endpoints = spec.endpoints ?? hostEndpoints(spec);
    for (const [index, endpoint] of endpoints.entries()) {
      const services = spec.endpoints === undefined ? [endpoint.address as string] : spec.hosts;
      instances.push(
        instance(
          `${metadata.namespace}/${metadata.name}-${index + 1}`,
          metadata.namespace,
          metadata.name,
          endpoint,
          portsOf(spec, endpoint),
          services,
          trustDomain,
        ),
      );
    }
  }
  for (const workload of ofKind(resources, 'WorkloadEntry')) {
    const { name, namespace } = workload.metadata;
    const labels = { ...workload.metadata.labels, ...workload.spec.labels };
    const endpoint = { ...workload.spec, labels };
    const memberships = entries.filter((entry) => entry.metadata.namespace === namespace && selects(entry.spec, labels));
    const groups = compatible(memberships.map((entry) => ({ hosts: entry.spec.hosts, ports: portsOf(entry.spec, endpoint) })));
    for (const [index, { hosts, ports }] of groups.entries()) {
      instances.push(
        instance(`${namespace}/${name}${index === 0 ? '' : `~${index + 1}`}`, namespace, workloadName(labels, name), endpoint, ports, hosts, trustDomain),
      );
    }
  }
  return instances;
}

interface Membership {
  readonly hosts: readonly string[];
  readonly ports: readonly InstancePort[];
}

/** Joins memberships that agree on every service port that they share; a workload without any is one instance of no service. */
function compatible(memberships: readonly Membership[]): readonly Membership[] {
  const joined: Membership[] = [];
  for (const membership of memberships) {
    const at = joined.findIndex((group) =>
      membership.ports.every((port) => group.ports.every((other) => !sameServicePort(port, other) || port.meshPort === other.meshPort)),
    );
    const group = joined[at];
    if (group === undefined) joined.push(membership);
    else {
      const added = membership.ports.filter((port) => !group.ports.some((other) => sameServicePort(port, other)));
      joined[at] = { hosts: [...new Set([...group.hosts, ...membership.hosts])], ports: [...group.ports, ...added] };
    }
  }
  return joined.length > 0 ? joined : [{ hosts: [], ports: [] }];
}

function sameServicePort(left: InstancePort, right: InstancePort): boolean {
  return left.name === right.name && left.servicePort === right.servicePort;
}

function selects(spec: ServiceEntrySpec, labels: Readonly<Record<string, string>>): boolean {
  if (spec.workloadSelector === undefined) return false;
  return Object.entries(spec.workloadSelector.labels ?? {}).every(([key, value]) => labels[key] === value);
}

/** DNS resolves the hosts themselves where no endpoint is given; NONE and STATIC have nothing then. */
function hostEndpoints(spec: ServiceEntrySpec): readonly WorkloadEntrySpec[] {
  const byDns = spec.resolution === 'DNS' || spec.resolution === 'DNS_ROUND_ROBIN';
  if (!byDns || spec.workloadSelector !== undefined) return [];
  return spec.hosts.filter((host) => !host.startsWith('*')).map((address) => ({ address }));
}

function portsOf(spec: ServiceEntrySpec, endpoint: WorkloadEntrySpec): readonly InstancePort[] {
  return (spec.ports ?? []).map((port) => {
    const meshPort = (endpoint.ports ?? noPorts)[port.name] ?? port.targetPort ?? port.number;
    return { name: port.name, servicePort: port.number, protocol: protocolOf(port.name, port.protocol, '', port.number), meshPort, applicationPort: meshPort };
  });
}

function instance(
  id: string,
  namespace: string,
  workload: string,
  endpoint: WorkloadEntrySpec,
  ports: readonly InstancePort[],
  services: readonly string[],
  trustDomain: string,
): Instance {
  const labels = endpoint.labels ?? {};
  return Object.freeze({
    id,
    namespace,
    workload,
    labels,
    serviceAccount: endpoint.serviceAccount ?? 'default',
    trustDomain,
    address: endpoint.address ?? '',
    locality: endpoint.locality ?? '',
    // 0 says nothing, and the model's 0 is the default, 1.
    weight: endpoint.weight ?? 0,
    network: endpoint.network ?? '',
    meshed: labels[tlsModeLabel] === 'istio',
    health: 'HEALTHY',
    ports,
    services,
  });
}

/** The name that metrics show: Istio's canonical label where there is one, else the entry's own name. */
function workloadName(labels: Readonly<Record<string, string>>, name: string): string {
  return labels['service.istio.io/workload-name'] ?? name;
}
