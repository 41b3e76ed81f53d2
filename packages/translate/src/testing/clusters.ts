import { createRegistry, toJson } from '@bufbuild/protobuf';
import type { DestinationRuleSpec, Instance, Resource, Service } from '@outrigger/resources';
import { ClusterSchema } from '@outrigger/xds/protos/envoy/config/cluster/v3/cluster';
import { ClusterConfigSchema } from '@outrigger/xds/protos/envoy/extensions/clusters/dynamic_forward_proxy/v3/cluster';
import { RawBufferSchema } from '@outrigger/xds/protos/envoy/extensions/transport_sockets/raw_buffer/v3/raw_buffer';
import { UpstreamTlsContextSchema } from '@outrigger/xds/protos/envoy/extensions/transport_sockets/tls/v3/tls';
import { HttpProtocolOptionsSchema } from '@outrigger/xds/protos/envoy/extensions/upstreams/http/v3/http_protocol_options';
import { buildMesh } from '../mesh.ts';
import type { ProxyNode } from '../node.ts';
import { cluster } from '../translate.ts';
import { node, resource, shopInstances, shopServices } from './shop.ts';

const registry = createRegistry(ClusterConfigSchema, RawBufferSchema, UpstreamTlsContextSchema, HttpProtocolOptionsSchema);
export const payment = 'outbound|8080||payment-service.default.svc.cluster.local';

export interface ShopWorld {
  readonly config?: readonly Resource[];
  readonly services?: readonly Service[];
  readonly instances?: readonly Instance[];
  readonly node?: ProxyNode;
}

export const meshOf = ({ config = [], services = shopServices, instances = shopInstances }: ShopWorld) => buildMesh({ config, services, instances });

/** The cluster that a caller in the shop has, as JSON. */
// biome-ignore lint/suspicious/noExplicitAny: JSON, looked into by tests
export function clusterJson(world: ShopWorld = {}, name = payment): any {
  const { message } = cluster(meshOf(world), world.node ?? node('web'), name);
  return message === undefined ? undefined : toJson(ClusterSchema, message, { registry });
}

/** A DestinationRule for the payment service. */
export const rule = (
  trafficPolicy: DestinationRuleSpec['trafficPolicy'],
  more: Partial<DestinationRuleSpec> = {},
  metadata: Partial<Resource['metadata']> = {},
) =>
  resource(
    'DestinationRule',
    metadata.name ?? 'rule',
    { host: 'payment-service', ...(trafficPolicy === undefined ? {} : { trafficPolicy }), ...more },
    metadata,
  );
