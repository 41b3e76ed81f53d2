import { type Destination, fullHost, type Resource, type Service } from '@outrigger/resources';
import type { RouteAction_HashPolicySchema } from '@outrigger/xds/protos/envoy/config/route/v3/route_components';
import { outboundCluster } from '../cluster-name.ts';
import { effectivePolicy, mergedRules } from '../clusters/traffic-policy.ts';
import { durationOf } from '../durations.ts';
import type { Init } from '../messages.ts';
import type { Reader } from '../reader.ts';
import type { Visibility } from '../visibility.ts';

/** Stands for a backend that is none; the status of its route says which. A cluster of this host is nowhere. */
export const INVALID_BACKEND = 'invalid-backend.invalid';

export interface ResolvedDestination {
  readonly cluster: string;
  readonly service: Service | undefined;
  readonly port: number;
  readonly subset: string;
}

/** The whole of a service. An alias leads to what it stands for. */
export function serviceDestination(visibility: Visibility, service: Service, port: number, subset = ''): ResolvedDestination {
  const meant = (service.aliasOf === undefined ? undefined : visibility.service(service.aliasOf)) ?? service;
  return { cluster: outboundCluster(port, subset, meant.hostname), service: meant, port, subset };
}

/** Where a destination of a route leads; `owner` is the resource that the route is of. One that leads nowhere is noted; its cluster does not exist. */
export function resolveDestination(
  reader: Reader,
  visibility: Visibility,
  owner: Resource,
  field: string,
  destination: Destination,
  hostPort: number,
): ResolvedDestination {
  const host = fullHost(destination.host, owner.metadata.namespace, reader.settings.domainSuffix);
  const service = visibility.service(host);
  const port = destination.port?.number ?? (service?.ports.length === 1 ? service.ports[0]!.port : hostPort);
  const subset = destination.subset ?? '';
  if (host === INVALID_BACKEND) return { cluster: outboundCluster(port, subset, host), service, port, subset };
  if (service === undefined) reader.ignored(owner, `${field}.host`, `there is no service ${host} that ${reader.node.namespace} can see`);
  else if (!service.ports.some((candidate) => candidate.port === port)) reader.ignored(owner, `${field}.port`, `service ${host} has no port ${port}`);
  else if (subset !== '' && !mergedRules(visibility, service).subsets.has(subset))
    reader.ignored(owner, `${field}.subset`, `no DestinationRule of ${host} has a subset ${subset}`);
  return service === undefined
    ? { cluster: outboundCluster(port, subset, host), service, port, subset }
    : serviceDestination(visibility, service, port, subset);
}

/** What a consistent hash of a destination's DestinationRule looks at. */
export function hashPolicy(reader: Reader, visibility: Visibility, destination: ResolvedDestination): Init<typeof RouteAction_HashPolicySchema>[] {
  if (destination.service === undefined) return [];
  const merged = mergedRules(visibility, destination.service);
  const placed = effectivePolicy(merged, destination.port, merged.subsets.get(destination.subset)).loadBalancer;
  const hash = placed?.value.consistentHash;
  if (placed === undefined || hash === undefined) return [];
  reader.uses(placed.rule);
  if (hash.httpHeaderName !== undefined) return [{ policySpecifier: { case: 'header', value: { headerName: hash.httpHeaderName } } }];
  if (hash.httpQueryParameterName !== undefined) return [{ policySpecifier: { case: 'queryParameter', value: { name: hash.httpQueryParameterName } } }];
  if (hash.useSourceIp === true) return [{ policySpecifier: { case: 'connectionProperties', value: { sourceIp: true } } }];
  if (hash.httpCookie !== undefined) {
    const ttl = durationOf(reader, placed.rule, `${placed.field}.consistentHash.httpCookie.ttl`, hash.httpCookie.ttl);
    const attributes = (hash.httpCookie.attributes ?? []).map(({ name, value }) => ({ name, value: value ?? '' }));
    return [
      {
        policySpecifier: {
          case: 'cookie',
          value: { name: hash.httpCookie.name, path: hash.httpCookie.path ?? '', ...(ttl === undefined ? {} : { ttl }), attributes },
        },
      },
    ];
  }
  return [];
}
