import { ofKind } from './kinds/known.ts';
import type { ServiceEntrySpec } from './kinds/workloads.ts';
import type { Service } from './mesh.ts';
import { protocolOf } from './protocol.ts';
import type { Resource } from './resource.ts';
import { srvNamesOf } from './srv-names.ts';

/** The services that ServiceEntries declare, one for each host. Other kinds are passed over. */
export function servicesOf(resources: readonly Resource[]): readonly Service[] {
  return ofKind(resources, 'ServiceEntry').flatMap((entry) => entry.spec.hosts.map((host) => serviceOf(entry, host.toLowerCase())));
}

function serviceOf(entry: Resource<ServiceEntrySpec>, hostname: string): Service {
  const { metadata, spec } = entry;
  const bySrv = srvNamesOf(entry).length > 0;
  return Object.freeze({
    hostname,
    name: shortName(hostname, metadata.namespace),
    namespace: metadata.namespace,
    ports: (spec.ports ?? []).map((port) => ({ name: port.name, port: port.number, protocol: protocolOf(port.name, port.protocol, '', port.number) })),
    addresses: spec.addresses ?? [],
    // Whose endpoints we resolve ourselves a proxy is told of.
    resolution: bySrv ? 'STATIC' : (spec.resolution ?? 'NONE'),
    ...(bySrv ? { bySrv } : {}),
    location: spec.location ?? 'MESH_EXTERNAL',
    exportTo: spec.exportTo ?? [],
    labels: metadata.labels,
    subjectAltNames: spec.subjectAltNames ?? [],
    creationTimestamp: metadata.creationTimestamp,
  });
}

/** "order-service" of "order-service.default.svc.cluster.local"; a name of another form is its own short name. */
function shortName(hostname: string, namespace: string): string {
  const [first, second, third] = hostname.split('.');
  return second === namespace && third === 'svc' && first !== undefined && first !== '*' ? first : hostname;
}
