import { EntrySelectors, workloadLabels } from './entry-selectors.ts';
import { ofKind } from './kinds/known.ts';
import type { ServiceEntrySpec, WorkloadEntrySpec } from './kinds/workloads.ts';
import type { Instance, InstancePort, Protocol } from './mesh.ts';
import { protocolOf } from './protocol.ts';
import type { Resource } from './resource.ts';
import { endpointOfSrvName, type ResolvedSrv, type SrvName, srvNamesOf } from './srv-names.ts';

export interface InstanceOptions {
  /** Default `TRUST_DOMAIN`. */
  readonly trustDomain?: string;
  /** Default: nothing is known of DNS, and no query is made. */
  readonly resolvedSrv?: ResolvedSrv;
}

const TRUST_DOMAIN = 'cluster.local';
const tlsModeLabel = 'security.istio.io/tlsMode';
/** A port of a service that names none on the workload's side is the same there. */
const noPorts: Readonly<Record<string, number>> = {};

/**
 * The instances that ServiceEntry endpoints and WorkloadEntries declare; a WorkloadEntry belongs to the ServiceEntries of its
 * namespace whose workloadSelector matches its labels.
 */
export function instancesOf(resources: readonly Resource[], options: InstanceOptions = {}): readonly Instance[] {
  const entries = new EntrySelectors();
  const instances: Instance[] = [];
  for (const entry of ofKind(resources, 'ServiceEntry')) {
    entries.put(entry);
    instances.push(...instancesOfEntry(entry, options));
  }
  for (const workload of ofKind(resources, 'WorkloadEntry')) instances.push(...instancesOfWorkload(workload, entries.selectingWorkload(workload), options));
  return instances;
}

/**
 * Of a ServiceEntry's own endpoints, or of its SRV records. A DNS service without any has its hosts themselves. Meshed where labelled
 * `security.istio.io/tlsMode: istio`.
 */
export function instancesOfEntry(entry: Resource<ServiceEntrySpec>, options: InstanceOptions = {}): readonly Instance[] {
  const { metadata, spec } = entry;
  const { trustDomain = TRUST_DOMAIN } = options;
  const srvNames = srvNamesOf(entry);
  if (srvNames.length > 0) return instancesOfSrv(entry, srvNames, options);
  return (spec.endpoints ?? hostEndpoints(spec)).map((endpoint, index) => {
    const services = spec.endpoints === undefined ? [endpoint.address as string] : hostsOf(spec);
    const id = `${metadata.namespace}/${metadata.name}-${index + 1}`;
    return instance(id, metadata.namespace, metadata.name, endpoint, portsOf(spec, endpoint), services, trustDomain);
  });
}

/** One for each port and endpoint; of several names that have an endpoint in common the first says its place. */
function instancesOfSrv(
  { metadata: { namespace, name }, spec }: Resource<ServiceEntrySpec>,
  srvNames: readonly SrvName[],
  { trustDomain = TRUST_DOMAIN, resolvedSrv }: InstanceOptions,
): readonly Instance[] {
  const found = new Map<string, Instance>();
  for (const { port, name: srvName } of srvNames) {
    for (const { address, port: number, priority, weight } of resolvedSrv?.(srvName) ?? []) {
      const id = `${namespace}/${name}-${port.name}-${address.includes(':') ? `[${address}]` : address}:${number}`;
      if (found.has(id)) continue;
      const endpoint = { ...endpointOfSrvName(spec, srvName), address, weight };
      const ports = portsOf({ ports: [{ ...port, targetPort: number }] }, endpoint);
      const made = instance(id, namespace, name, endpoint, ports, hostsOf(spec), trustDomain);
      found.set(id, priority === 0 ? made : Object.freeze({ ...made, priority }));
    }
  }
  return [...found.values()];
}

/** `entries`: those that select it, in their order. A workload whose services want different ports of it for one service port is several instances. */
export function instancesOfWorkload(
  workload: Resource<WorkloadEntrySpec>,
  entries: readonly Resource<ServiceEntrySpec>[],
  { trustDomain = TRUST_DOMAIN }: InstanceOptions = {},
): readonly Instance[] {
  const { name, namespace } = workload.metadata;
  const labels = workloadLabels(workload);
  const endpoint = { ...workload.spec, labels };
  const groups = compatible(entries.map((entry) => ({ hosts: hostsOf(entry.spec), ports: portsOf(entry.spec, endpoint) })));
  return groups.map(({ hosts, ports }, index) =>
    instance(`${namespace}/${name}${index === 0 ? '' : `~${index + 1}`}`, namespace, workloadName(labels, name), endpoint, ports, hosts, trustDomain),
  );
}

/** Which registered workloads a ServiceEntry selects as its endpoints, beside WorkloadEntries. */
export interface WorkloadSelection {
  readonly name: string;
  readonly namespace: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly hosts: readonly string[];
  readonly ports: readonly { readonly name: string; readonly number: number; readonly targetPort?: number; readonly protocol: Protocol }[];
}

export function workloadSelectionsOf(resources: readonly Resource[]): readonly WorkloadSelection[] {
  return ofKind(resources, 'ServiceEntry').flatMap(({ metadata: { name, namespace }, spec }) => {
    if (spec.workloadSelector === undefined) return [];
    const ports = (spec.ports ?? []).map((port) => ({
      name: port.name,
      number: port.number,
      ...(port.targetPort === undefined ? {} : { targetPort: port.targetPort }),
      protocol: protocolOf(port.name, port.protocol, '', port.number),
    }));
    return [{ name, namespace, labels: spec.workloadSelector.labels ?? {}, hosts: hostsOf(spec), ports }];
  });
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

/** As their services are called. */
function hostsOf({ hosts }: ServiceEntrySpec): readonly string[] {
  return hosts.map((host) => host.toLowerCase());
}

/** DNS resolves the hosts themselves where no endpoint is given; NONE and STATIC have nothing then. */
function hostEndpoints(spec: ServiceEntrySpec): readonly WorkloadEntrySpec[] {
  const byDns = spec.resolution === 'DNS' || spec.resolution === 'DNS_ROUND_ROBIN';
  if (!byDns || spec.workloadSelector !== undefined) return [];
  return hostsOf(spec)
    .filter((host) => !host.startsWith('*'))
    .map((address) => ({ address }));
}

function portsOf(spec: Pick<ServiceEntrySpec, 'ports'>, endpoint: WorkloadEntrySpec): readonly InstancePort[] {
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
