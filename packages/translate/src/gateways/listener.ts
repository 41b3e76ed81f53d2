import { create } from '@bufbuild/protobuf';
import { TrafficDirection } from '@outrigger/xds/protos/envoy/config/core/v3/base';
import { type Listener, ListenerSchema } from '@outrigger/xds/protos/envoy/config/listener/v3/listener';
import { TlsInspectorSchema } from '@outrigger/xds/protos/envoy/extensions/filters/listener/tls_inspector/v3/tls_inspector';
import { socketAddress } from '../addresses.ts';
import { filter } from '../messages.ts';
import type { Reader } from '../reader.ts';
import { Visibility } from '../visibility.ts';
import { filterChains } from './filter-chains.ts';
import { type GatewayPort, gatewayPorts } from './ports.ts';

/** "0.0.0.0_8080": where it listens. */
function gatewayListenerName({ address, port }: Pick<GatewayPort, 'address' | 'port'>): string {
  return `${address}_${port}`;
}

/** Those that have somewhere to send what comes: a port of opaque bytes without a route is not bound. */
export function gatewayListenerNames(reader: Reader): readonly string[] {
  const visibility = new Visibility(reader);
  return gatewayPorts(reader)
    .filter((port) => filterChains(reader, visibility, port).length > 0)
    .map(gatewayListenerName);
}

export function gatewayListener(reader: Reader, name: string): Listener | undefined {
  const port = gatewayPorts(reader).find((candidate) => gatewayListenerName(candidate) === name);
  if (port === undefined) return undefined;
  const chains = filterChains(reader, new Visibility(reader), port);
  if (chains.length === 0) return undefined;
  for (const { gateway } of port.servers) reader.uses(gateway);
  return create(ListenerSchema, {
    name,
    address: socketAddress(port.address, port.port),
    trafficDirection: TrafficDirection.OUTBOUND,
    listenerFilters: port.family === 'tls' ? [filter('envoy.filters.listener.tls_inspector', TlsInspectorSchema)] : [],
    filterChains: [...chains],
  });
}
