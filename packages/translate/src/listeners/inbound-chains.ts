import type { Protocol } from '@outrigger/resources';
import type { FilterChainMatchSchema, FilterChainSchema, FilterSchema } from '@outrigger/xds/protos/envoy/config/listener/v3/listener_components';
import { TcpProxySchema } from '@outrigger/xds/protos/envoy/extensions/filters/network/tcp_proxy/v3/tcp_proxy';
import { downstreamMeshTls, type TransportSocketInit } from '../clusters/tls.ts';
import { tlsOf } from '../gateways/istio-gateway.ts';
import { serverTls } from '../gateways/server-tls.ts';
import { filter, type Init, milliseconds } from '../messages.ts';
import type { InboundPort } from '../node.ts';
import { isHttp } from '../protocols.ts';
import type { Reader } from '../reader.ts';
import { PEER_HEADER } from '../routes/headers.ts';
import { httpAuthorization, tcpAuthorization } from '../security/authorization.ts';
import type { InboundTlsMode } from '../security/peer-authentication.ts';
import { Visibility } from '../visibility.ts';
import { accessLogs } from './access-log.ts';
import { connectionManager } from './connection-manager.ts';
import { rememberPeer } from './peer.ts';

type Chain = Init<typeof FilterChainSchema>;
type Match = Init<typeof FilterChainMatchSchema>;

/** By what mesh clients offer, Istio's names, it is told what comes in the mesh's TLS: requests, or anything else. */
const MESH_HTTP = ['istio-http/1.0', 'istio-http/1.1', 'istio-h2'];
const MESH_TCP = ['istio-peer-exchange', 'istio'];
export const MESH_ALPN = ['istio', 'istio-peer-exchange', ...MESH_HTTP];
/** gRPC clients with xDS credentials offer h2 alone; so does an application's own TLS, where it is not for requests. */
const MESH_AT_HTTP = [...MESH_ALPN, 'h2'];
/** What we choose from: Envoy's codec AUTO goes by the protocol that was chosen. */
const HTTP_ALPN = ['h2', 'http/1.1'];
/** What the HTTP inspector finds. */
export const PLAIN_HTTP = ['http/1.0', 'http/1.1', 'h2c'];

const TLS: Match = { transportProtocol: 'tls' };
const RAW: Match = { transportProtocol: 'raw_buffer' };

/** Where what comes in is carried: one port of the workload, or whatever was dialled. */
export interface InboundTarget extends InboundPort {
  readonly cluster: string;
}

/** The chains of one port of the workload; `inspected`: whether what is TLS is told from what is not, even where none is wanted. */
export function inboundChains(reader: Reader, target: InboundTarget, mode: InboundTlsMode, inspected: boolean): Chain[] {
  const own = mode === 'DISABLE' ? ingressTls(reader, target) : undefined;
  if (own !== undefined) {
    const ended = { ...target, protocol: withoutTls(target.protocol) };
    const filters = isHttp(ended.protocol) ? requests(reader, ended, false) : connections(reader, ended);
    return [{ name: 'ingress-tls', filterChainMatch: TLS, transportSocket: own, filters }];
  }
  if (isHttp(target.protocol)) return requestChains(reader, target, mode);
  return target.protocol === 'UNSUPPORTED' ? sniffedChains(reader, target, mode) : connectionChains(reader, target, mode, inspected);
}

function requestChains(reader: Reader, target: InboundTarget, mode: InboundTlsMode): Chain[] {
  const chains: Chain[] = [];
  if (mode !== 'DISABLE') {
    // Where nothing else is taken, it need not be told by its name.
    const match = mode === 'STRICT' ? TLS : { ...TLS, applicationProtocols: MESH_AT_HTTP };
    chains.push({ name: 'mtls', filterChainMatch: match, transportSocket: meshTls(reader, HTTP_ALPN), filters: requests(reader, target, true) });
  }
  if (mode !== 'STRICT') chains.push({ name: 'plaintext', filterChainMatch: RAW, filters: requests(reader, target, false) });
  return chains;
}

function connectionChains(reader: Reader, target: InboundTarget, mode: InboundTlsMode, inspected: boolean): Chain[] {
  const filters = connections(reader, target);
  if (mode === 'DISABLE') return [{ name: 'plaintext', ...(inspected ? {} : { filterChainMatch: RAW }), filters }];
  const match = mode === 'STRICT' ? TLS : { ...TLS, applicationProtocols: MESH_ALPN };
  const chains: Chain[] = [{ name: 'mtls', filterChainMatch: match, transportSocket: meshTls(reader, MESH_TCP), filters }];
  if (mode === 'STRICT') return chains;
  // TLS that is the application's own affair: told from the mesh's by what it offers.
  return [...chains, { name: 'own-tls', filterChainMatch: TLS, filters }, { name: 'plaintext', filterChainMatch: RAW, filters }];
}

/** Nothing is declared of the port: it is seen whether requests come. */
function sniffedChains(reader: Reader, target: InboundTarget, mode: InboundTlsMode): Chain[] {
  const filters = connections(reader, target);
  const chains: Chain[] = [];
  if (mode !== 'DISABLE') {
    chains.push({
      name: 'mtls-http',
      filterChainMatch: { ...TLS, applicationProtocols: MESH_HTTP },
      transportSocket: meshTls(reader, HTTP_ALPN),
      filters: requests(reader, target, true),
    });
    chains.push({
      name: 'mtls',
      filterChainMatch: mode === 'STRICT' ? TLS : { ...TLS, applicationProtocols: MESH_TCP },
      transportSocket: meshTls(reader, MESH_TCP),
      filters,
    });
  }
  if (mode === 'STRICT') return chains;
  return [
    ...chains,
    { name: 'plaintext-http', filterChainMatch: { ...RAW, applicationProtocols: PLAIN_HTTP }, filters: requests(reader, target, false) },
    { name: 'own-tls', filterChainMatch: TLS, filters },
    { name: 'plaintext', filterChainMatch: RAW, filters },
  ];
}

function meshTls(reader: Reader, alpn: readonly string[]): TransportSocketInit {
  const { trustDomain, trustDomainAliases, minMeshTls } = reader.settings;
  return downstreamMeshTls({ prefix: [trustDomain, ...trustDomainAliases].map((domain) => `spiffe://${domain}/`) }, alpn, minMeshTls);
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
  return serverTls(reader, tls, isHttp(withoutTls(port.protocol)) ? HTTP_ALPN : []);
}

/** What is left of a protocol once its TLS is ended here. */
function withoutTls(protocol: Protocol): Protocol {
  return protocol === 'HTTPS' ? 'HTTP' : protocol === 'TLS' ? 'TCP' : protocol;
}

function connections(reader: Reader, target: InboundTarget): Init<typeof FilterSchema>[] {
  const { cluster } = target;
  return [
    ...tcpAuthorization(reader, target),
    filter('envoy.filters.network.tcp_proxy', TcpProxySchema, {
      statPrefix: cluster,
      clusterSpecifier: { case: 'cluster', value: cluster },
      accessLog: accessLogs(reader, 'tcp', 'inbound'),
    }),
  ];
}

function requests(reader: Reader, target: InboundTarget, authenticated: boolean): Init<typeof FilterSchema>[] {
  const { node } = reader;
  const { cluster } = target;
  return [
    connectionManager(reader, {
      statPrefix: cluster,
      direction: 'inbound',
      forwardPeer: authenticated,
      upgrades: ['websocket'],
      filters: [...(authenticated && node.dataPlane === 'envoy' ? [rememberPeer()] : []), ...httpAuthorization(reader, target)],
      routes: {
        case: 'routeConfig',
        value: {
          name: cluster,
          validateClusters: false,
          requestHeadersToRemove: [PEER_HEADER],
          virtualHosts: [
            {
              name: `inbound|http|${target.servicePort}`,
              domains: ['*'],
              routes: [
                {
                  name: 'default',
                  match: { pathSpecifier: { case: 'prefix', value: '/' } },
                  action: { case: 'route', value: { clusterSpecifier: { case: 'cluster', value: cluster }, timeout: milliseconds(0) } },
                },
              ],
            },
          ],
        },
      },
    }),
  ];
}
