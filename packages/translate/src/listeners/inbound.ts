import { create } from '@bufbuild/protobuf';
import { TrafficDirection } from '@outrigger/xds/protos/envoy/config/core/v3/base';
import { type Listener, ListenerSchema } from '@outrigger/xds/protos/envoy/config/listener/v3/listener';
import type { FilterChainSchema, FilterSchema } from '@outrigger/xds/protos/envoy/config/listener/v3/listener_components';
import { TlsInspectorSchema } from '@outrigger/xds/protos/envoy/extensions/filters/listener/tls_inspector/v3/tls_inspector';
import { TcpProxySchema } from '@outrigger/xds/protos/envoy/extensions/filters/network/tcp_proxy/v3/tcp_proxy';
import { socketAddress } from '../addresses.ts';
import { inboundCluster } from '../cluster-name.ts';
import { downstreamMeshTls, type TransportSocketInit } from '../clusters/tls.ts';
import { tlsOf } from '../gateways/istio-gateway.ts';
import { serverTls } from '../gateways/server-tls.ts';
import { filter, type Init, milliseconds } from '../messages.ts';
import type { InboundPort } from '../node.ts';
import { isHttp } from '../protocols.ts';
import type { Reader } from '../reader.ts';
import { PEER_HEADER } from '../routes/headers.ts';
import { httpAuthorization, tcpAuthorization } from '../security/authorization.ts';
import { inboundTlsMode } from '../security/peer-authentication.ts';
import { Visibility } from '../visibility.ts';
import { accessLogs } from './access-log.ts';
import { connectionManager } from './connection-manager.ts';
import { rememberPeer } from './peer.ts';

/** What mesh clients offer: Istio's names, and h2 for gRPC clients with xDS credentials. */
const MESH_ALPN = ['istio', 'istio-peer-exchange', 'istio-http/1.0', 'istio-http/1.1', 'istio-h2', 'h2'];
/** What we choose from: Envoy's codec AUTO goes by the protocol that was chosen. */
const HTTP_ALPN = ['h2', 'http/1.1'];
const TCP_ALPN = ['istio-peer-exchange', 'istio'];

/**
 * Of a port whose protocol may have the server speak first: so long a caller in plain text waits for its greeting. Mesh clients send their
 * first bytes at once; one that was slower would be taken for plain text.
 */
const SILENT_CALLER_MS = 2_000;

export function inboundListenerName({ mesh }: InboundPort): string {
  return `inbound_${mesh.host}_${mesh.port}`;
}

export function inboundListener(reader: Reader, port: InboundPort): Listener {
  const { node } = reader;
  const mode = inboundTlsMode(reader, node, port.application.port);
  const chains: Init<typeof FilterChainSchema>[] = [];
  const own = mode === 'DISABLE' ? ingressTls(reader, port) : undefined;
  if (own !== undefined)
    chains.push({ name: 'ingress-tls', filterChainMatch: { transportProtocol: 'tls' }, transportSocket: own, filters: filters(reader, port, false) });
  if (mode !== 'DISABLE') {
    chains.push({
      name: 'mtls',
      filterChainMatch: { transportProtocol: 'tls', applicationProtocols: MESH_ALPN },
      transportSocket: downstreamMeshTls({ prefix: trustDomains(reader).map((domain) => `spiffe://${domain}/`) }, isHttp(port.protocol) ? HTTP_ALPN : TCP_ALPN),
      filters: filters(reader, port, true),
    });
  }
  // TLS that is the application's own affair: told from the mesh's by what it offers.
  if (mode === 'PERMISSIVE' && !isHttp(port.protocol))
    chains.push({ name: 'own-tls', filterChainMatch: { transportProtocol: 'tls' }, filters: filters(reader, port, false) });
  if (mode !== 'STRICT' && own === undefined)
    chains.push({ name: 'plaintext', filterChainMatch: { transportProtocol: 'raw_buffer' }, filters: filters(reader, port, false) });
  return create(ListenerSchema, {
    name: inboundListenerName(port),
    address: socketAddress(port.mesh.host, port.mesh.port),
    trafficDirection: TrafficDirection.INBOUND,
    // With nothing to choose from nobody's first bytes are waited for.
    listenerFilters: mode === 'DISABLE' && own === undefined ? [] : [filter('envoy.filters.listener.tls_inspector', TlsInspectorSchema)],
    ...(mode !== 'STRICT' && !isHttp(port.protocol) ? { listenerFiltersTimeout: milliseconds(SILENT_CALLER_MS), continueOnListenerFiltersTimeout: true } : {}),
    filterChains: chains,
  });
}

/** TLS that a Sidecar says of a port where the mesh's own is off: no plain text is taken there then. */
function ingressTls(reader: Reader, port: InboundPort): TransportSocketInit | undefined {
  const { sidecar } = new Visibility(reader);
  const index = (sidecar?.spec.ingress ?? []).findIndex((ingress) => ingress.port.number === port.application.port);
  const written = sidecar?.spec.ingress?.[index]?.tls;
  if (sidecar === undefined || written === undefined) return undefined;
  const tls = tlsOf(written);
  const field = `spec.ingress[${index}].tls`;
  if (typeof tls === 'string' || tls.kind !== 'terminate') {
    reader.ignored(sidecar, field, typeof tls === 'string' ? tls : 'a sidecar ends TLS of the modes SIMPLE and MUTUAL');
    return undefined;
  }
  reader.uses(sidecar);
  return serverTls(reader, tls, isHttp(port.protocol) ? HTTP_ALPN : []);
}

function trustDomains(reader: Reader): readonly string[] {
  return [reader.settings.trustDomain, ...reader.settings.trustDomainAliases];
}

function filters(reader: Reader, port: InboundPort, authenticated: boolean): Init<typeof FilterSchema>[] {
  const { node } = reader;
  const name = inboundCluster(port.application.port);
  if (!isHttp(port.protocol)) {
    return [
      ...tcpAuthorization(reader, port),
      filter('envoy.filters.network.tcp_proxy', TcpProxySchema, {
        statPrefix: name,
        clusterSpecifier: { case: 'cluster', value: name },
        accessLog: accessLogs(node, 'tcp'),
      }),
    ];
  }
  return [
    connectionManager(node, {
      statPrefix: name,
      direction: 'inbound',
      forwardPeer: authenticated,
      upgrades: ['websocket'],
      filters: [...(authenticated && node.dataPlane === 'envoy' ? [rememberPeer()] : []), ...httpAuthorization(reader, port)],
      routes: {
        case: 'routeConfig',
        value: {
          name,
          validateClusters: false,
          requestHeadersToRemove: [PEER_HEADER],
          virtualHosts: [
            {
              name: `inbound|http|${port.servicePort}`,
              domains: ['*'],
              routes: [
                {
                  name: 'default',
                  match: { pathSpecifier: { case: 'prefix', value: '/' } },
                  action: { case: 'route', value: { clusterSpecifier: { case: 'cluster', value: name }, timeout: milliseconds(0) } },
                },
              ],
            },
          ],
        },
      },
    }),
  ];
}
