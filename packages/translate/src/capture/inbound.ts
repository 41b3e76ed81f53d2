import { create } from '@bufbuild/protobuf';
import { TrafficDirection } from '@outrigger/xds/protos/envoy/config/core/v3/base';
import { type Listener, ListenerSchema } from '@outrigger/xds/protos/envoy/config/listener/v3/listener';
import { type FilterChain, FilterChainSchema } from '@outrigger/xds/protos/envoy/config/listener/v3/listener_components';
import { OriginalDstSchema } from '@outrigger/xds/protos/envoy/extensions/filters/listener/original_dst/v3/original_dst';
import { socketAddress } from '../addresses.ts';
import { INBOUND_PASSTHROUGH_CLUSTER, inboundCluster } from '../cluster-name.ts';
import { SILENT_CALLER_MS } from '../listeners/inbound.ts';
import { type InboundTarget, inboundChains } from '../listeners/inbound-chains.ts';
import { filter, milliseconds } from '../messages.ts';
import { NO_PORT } from '../node.ts';
import type { Reader } from '../reader.ts';
import { inboundTlsMode, portsWithMode } from '../security/peer-authentication.ts';
import { inspectors, loopGuard } from './outbound.ts';

export const VIRTUAL_INBOUND = 'virtualInbound';

/** Where the kernel turns calls of the workload to: a set of chains for each of its ports, and one for all others. */
export function virtualInbound(reader: Reader): Listener | undefined {
  const { node } = reader;
  const { capture } = node;
  if (capture === undefined) return undefined;
  const known = new Set(node.inbound.map(({ application }) => application.port));
  // Ports that a policy names have their own mode, whether a service has them or not.
  const named = portsWithMode(reader, node).filter((port) => !known.has(port));
  const chains = [
    ...node.inbound.flatMap((port) => chainsFor(reader, { ...port, cluster: inboundCluster(port.application.port) }, port.application.port)),
    ...[...named, NO_PORT].flatMap((port) => chainsFor(reader, unknownTarget(capture.inbound.host, port), port)),
  ];
  return create(ListenerSchema, {
    name: VIRTUAL_INBOUND,
    address: socketAddress(capture.inbound.host, capture.inbound.port),
    trafficDirection: TrafficDirection.INBOUND,
    listenerFilters: [filter('envoy.filters.listener.original_dst', OriginalDstSchema), ...inspectors(true)],
    listenerFiltersTimeout: milliseconds(SILENT_CALLER_MS),
    continueOnListenerFiltersTimeout: true,
    filterChains: [loopGuard(reader, VIRTUAL_INBOUND, capture.inbound.port), ...chains],
  });
}

function unknownTarget(host: string, port: number): InboundTarget {
  const place = { host, port };
  return { name: '', protocol: 'UNSUPPORTED', servicePort: NO_PORT, mesh: place, application: place, cluster: INBOUND_PASSTHROUGH_CLUSTER };
}

function chainsFor(reader: Reader, target: InboundTarget, port: number): FilterChain[] {
  return inboundChains(reader, target, inboundTlsMode(reader, reader.node, port), true).map(({ name, filterChainMatch, ...chain }) =>
    create(FilterChainSchema, {
      ...chain,
      name: `${port === NO_PORT ? 'passthrough' : port}-${name}`,
      filterChainMatch: { ...filterChainMatch, ...(port === NO_PORT ? {} : { destinationPort: port }) },
    }),
  );
}
