import { create } from '@bufbuild/protobuf';
import { type Health, type Instance, matchesLabels, type Service } from '@outrigger/resources';
import { HealthStatus } from '@outrigger/xds/protos/envoy/config/core/v3/health_check';
import { type ClusterLoadAssignment, ClusterLoadAssignmentSchema } from '@outrigger/xds/protos/envoy/config/endpoint/v3/endpoint';
import type { LocalityLbEndpointsSchema } from '@outrigger/xds/protos/envoy/config/endpoint/v3/endpoint_components';
import { endpointAddress } from '../addresses.ts';
import { isSniCluster, type OutboundName, parseOutboundCluster } from '../cluster-name.ts';
import type { Init } from '../messages.ts';
import type { Reader } from '../reader.ts';
import { Visibility } from '../visibility.ts';
import { localityLbSetting } from './load-balancer.ts';
import { type LocatedEndpoint, placeLocalities } from './locality.ts';
import { takesMeshTls } from './mesh-tls.ts';
import { byReach, withGateways } from './remote.ts';
import { effectivePolicy, type FoundSubset, mergedRules } from './traffic-policy.ts';

const healthStatus: Readonly<Record<Health, HealthStatus>> = {
  HEALTHY: HealthStatus.HEALTHY,
  UNHEALTHY: HealthStatus.UNHEALTHY,
  DRAINING: HealthStatus.DRAINING,
};

/** Instances of a service that are in a subset. */
export function inSubset(instances: readonly Instance[], subset: FoundSubset | undefined): readonly Instance[] {
  return subset === undefined ? instances : instances.filter((instance) => matchesLabels(subset.subset.labels, instance.labels));
}

export function spiffeId(instance: Instance): string {
  return `spiffe://${instance.trustDomain}/ns/${instance.namespace}/sa/${instance.serviceAccount}`;
}

/** Endpoints of an EDS cluster; undefined where the cluster is none. */
export function endpointAssignment(reader: Reader, name: string): ClusterLoadAssignment | undefined {
  const parsed = parseOutboundCluster(name);
  if (parsed === undefined) return undefined;
  const visibility = new Visibility(reader);
  const service = visibility.service(parsed.host);
  if (service === undefined || service.resolution !== 'STATIC' || !service.ports.some(({ port }) => port === parsed.port)) return undefined;
  const merged = mergedRules(visibility, service);
  const subset = parsed.subset === '' ? undefined : merged.subsets.get(parsed.subset);
  if (parsed.subset !== '' && subset === undefined) return undefined;
  if (subset !== undefined) reader.uses(subset.rule);
  const policy = effectivePolicy(merged, parsed.port, subset);
  const all = inSubset(reader.instances(service.hostname), subset);
  // What is passed through is taken for the mesh's TLS by its name alone: only who ends and checks that may get it. It has come to its network, and goes to no other.
  const instances = isSniCluster(name) ? byReach(reader, all, parsed.port).near.filter((instance) => takesMeshTls(reader, instance, parsed.port)) : all;
  return create(ClusterLoadAssignmentSchema, {
    clusterName: name,
    endpoints: localities(reader, instances, parsed, localityLbSetting(reader, policy)),
  });
}

/** The load_assignment of a DNS cluster: names, each resolved by the proxy. */
export function dnsAssignment(
  reader: Reader,
  service: Service,
  parsed: OutboundName,
  subset: FoundSubset | undefined,
  name: string,
  most: number,
): Init<typeof ClusterLoadAssignmentSchema> {
  const instances = inSubset(reader.instances(service.hostname), subset);
  if (instances.length > 0) return { clusterName: name, endpoints: localities(reader, instances.slice(0, most), parsed, undefined) };
  // A ServiceEntry without endpoints: its host is what is resolved.
  return {
    clusterName: name,
    endpoints: [
      { lbEndpoints: [{ hostIdentifier: { case: 'endpoint', value: { address: endpointAddress(parsed.host, parsed.port) } } }], loadBalancingWeight: 1 },
    ],
  };
}

function localities(
  reader: Reader,
  instances: readonly Instance[],
  parsed: OutboundName,
  setting: Parameters<typeof placeLocalities>[2],
): Init<typeof LocalityLbEndpointsSchema>[] {
  const { near, far } = byReach(reader, instances, parsed.port);
  const located = near.flatMap((instance): LocatedEndpoint[] => {
    const port = instance.ports.find(({ servicePort }) => servicePort === parsed.port);
    if (port === undefined && !instance.address.startsWith('unix://')) return [];
    const version = instance.labels['version'] ?? '';
    const service = parsed.host.split('.', 1)[0];
    const endpoint = {
      hostIdentifier: { case: 'endpoint', value: { address: endpointAddress(instance.address, port?.meshPort ?? 0) } },
      healthStatus: healthStatus[instance.health],
      loadBalancingWeight: instance.weight || 1,
      metadata: {
        filterMetadata: {
          ...(takesMeshTls(reader, instance, parsed.port) ? { 'envoy.transport_socket_match': { tlsMode: 'istio' } } : {}),
          istio: { workload: `${instance.workload};${instance.namespace};${service};${version};` },
        },
      },
    } as const;
    return [{ endpoint, locality: instance.locality, labels: instance.labels, priority: instance.priority ?? 0 }];
  });
  if (far.length === 0) return placeLocalities(located, reader.node, setting);
  return placeLocalities(withGateways(located, far), reader.node, setting);
}
