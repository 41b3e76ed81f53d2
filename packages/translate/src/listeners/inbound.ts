import { create } from '@bufbuild/protobuf';
import { TrafficDirection } from '@outrigger/xds/protos/envoy/config/core/v3/base';
import { type Listener, ListenerSchema } from '@outrigger/xds/protos/envoy/config/listener/v3/listener';
import { HttpInspectorSchema } from '@outrigger/xds/protos/envoy/extensions/filters/listener/http_inspector/v3/http_inspector';
import { TlsInspectorSchema } from '@outrigger/xds/protos/envoy/extensions/filters/listener/tls_inspector/v3/tls_inspector';
import { socketAddress } from '../addresses.ts';
import { inboundCluster } from '../cluster-name.ts';
import { filter, milliseconds } from '../messages.ts';
import type { InboundPort } from '../node.ts';
import { isHttp } from '../protocols.ts';
import type { Reader } from '../reader.ts';
import { inboundTlsMode } from '../security/peer-authentication.ts';
import { inboundChains } from './inbound-chains.ts';

/**
 * Of a port whose protocol may have the server speak first: so long a caller in plain text waits for its greeting. Mesh clients send their
 * first bytes at once; one that was slower would be taken for plain text.
 */
export const SILENT_CALLER_MS = 2_000;

export function inboundListenerName({ mesh }: InboundPort): string {
  return `inbound_${mesh.host}_${mesh.port}`;
}

export function inboundListener(reader: Reader, port: InboundPort): Listener {
  const mode = inboundTlsMode(reader, reader.node, port.application.port);
  const chains = inboundChains(reader, { ...port, cluster: inboundCluster(port.application.port) }, mode, false);
  const sniffed = chains.some(({ name }) => name === 'plaintext-http');
  // With nothing to choose from nobody's first bytes are waited for.
  const inspected = mode !== 'DISABLE' || sniffed || chains.some(({ name }) => name === 'ingress-tls');
  return create(ListenerSchema, {
    name: inboundListenerName(port),
    address: socketAddress(port.mesh.host, port.mesh.port),
    trafficDirection: TrafficDirection.INBOUND,
    listenerFilters: [
      ...(inspected ? [filter('envoy.filters.listener.tls_inspector', TlsInspectorSchema)] : []),
      ...(sniffed ? [filter('envoy.filters.listener.http_inspector', HttpInspectorSchema)] : []),
    ],
    ...(mode !== 'STRICT' && !isHttp(port.protocol) ? { listenerFiltersTimeout: milliseconds(SILENT_CALLER_MS), continueOnListenerFiltersTimeout: true } : {}),
    filterChains: chains,
  });
}
