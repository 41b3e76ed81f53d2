import type { DescMessage, Message } from '@bufbuild/protobuf';
import { packResource, TypeUrl, type VersionedResource } from '@outrigger/xds';
import { ClusterSchema } from '@outrigger/xds/protos/envoy/config/cluster/v3/cluster';
import { ClusterLoadAssignmentSchema } from '@outrigger/xds/protos/envoy/config/endpoint/v3/endpoint';
import { ListenerSchema } from '@outrigger/xds/protos/envoy/config/listener/v3/listener';
import { RouteConfigurationSchema } from '@outrigger/xds/protos/envoy/config/route/v3/route';
import { VirtualHostSchema } from '@outrigger/xds/protos/envoy/config/route/v3/route_components';

const SCHEMAS: Partial<Record<TypeUrl, DescMessage>> = {
  [TypeUrl.cluster]: ClusterSchema,
  [TypeUrl.endpoint]: ClusterLoadAssignmentSchema,
  [TypeUrl.listener]: ListenerSchema,
  [TypeUrl.route]: RouteConfigurationSchema,
  [TypeUrl.virtualHost]: VirtualHostSchema,
};

/** In the order of pushing. */
export const PUSHED_TYPES: readonly TypeUrl[] = [TypeUrl.cluster, TypeUrl.endpoint, TypeUrl.listener, TypeUrl.route, TypeUrl.virtualHost];

/** As people know them. */
export const DISCOVERY_NAMES: Readonly<Record<TypeUrl, string>> = {
  [TypeUrl.cluster]: 'CDS',
  [TypeUrl.endpoint]: 'EDS',
  [TypeUrl.listener]: 'LDS',
  [TypeUrl.route]: 'RDS',
  [TypeUrl.virtualHost]: 'VHDS',
  [TypeUrl.secret]: 'SDS',
};

export function encodeResource(typeUrl: TypeUrl, name: string, message: Message, aliases: readonly string[]): VersionedResource {
  const schema = SCHEMAS[typeUrl];
  if (schema === undefined) throw new Error(`no schema for ${typeUrl}`);
  return packResource(schema, name, message, aliases);
}
