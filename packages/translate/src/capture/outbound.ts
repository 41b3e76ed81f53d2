import { create } from '@bufbuild/protobuf';
import type { Protocol } from '@outrigger/resources';
import { TrafficDirection } from '@outrigger/xds/protos/envoy/config/core/v3/base';
import { type Listener, ListenerSchema } from '@outrigger/xds/protos/envoy/config/listener/v3/listener';
import { type FilterChain, FilterChainSchema } from '@outrigger/xds/protos/envoy/config/listener/v3/listener_components';
import { HttpInspectorSchema } from '@outrigger/xds/protos/envoy/extensions/filters/listener/http_inspector/v3/http_inspector';
import { TlsInspectorSchema } from '@outrigger/xds/protos/envoy/extensions/filters/listener/tls_inspector/v3/tls_inspector';
import { socketAddress } from '../addresses.ts';
import { BLACK_HOLE_CLUSTER } from '../cluster-name.ts';
import { effectivePolicy, mergedRules } from '../clusters/traffic-policy.ts';
import { connectionManager, outboundFilters } from '../listeners/connection-manager.ts';
import { SILENT_CALLER_MS } from '../listeners/inbound.ts';
import { PLAIN_HTTP } from '../listeners/inbound-chains.ts';
import { rds } from '../listeners/outbound.ts';
import { carriedTo } from '../listeners/tcp-proxy.ts';
import { filter, milliseconds } from '../messages.ts';
import { outwardCluster } from '../outward.ts';
import { isHttp } from '../protocols.ts';
import type { Reader } from '../reader.ts';
import { unknownVirtualHost } from '../routes/virtual-host.ts';
import type { Visibility } from '../visibility.ts';
import { connectionChains } from './connection-chains.ts';
import { offerRequests } from './offered-protocol.ts';
import { ANY_ADDRESS, type CapturedPort, capturedAt, captureListenerName, parseCaptureListener } from './places.ts';
import { TakenMatches } from './taken-matches.ts';

export const VIRTUAL_OUTBOUND = 'virtualOutbound';

/** How much of what comes at a place is looked at. */
type Kind = 'http' | 'tcp' | 'auto';

function kindOf(protocol: Protocol): Kind {
  if (isHttp(protocol)) return 'http';
  return protocol === 'UNSUPPORTED' ? 'auto' : 'tcp';
}

/** Protocols in which the server may speak first: nobody is made to wait for the client's bytes because of others at the place. */
function speaksFirst(protocol: Protocol): boolean {
  return protocol === 'MONGO' || protocol === 'MYSQL';
}

/** Where the kernel turns the workload's calls to: goes on to the listener for the address that was dialled; for what has none it is an address outside the mesh. */
export function virtualOutbound(reader: Reader, visibility: Visibility): Listener | undefined {
  const { capture } = reader.node;
  if (capture === undefined) return undefined;
  const requests = unknownRequests(reader, visibility);
  return create(ListenerSchema, {
    name: VIRTUAL_OUTBOUND,
    address: socketAddress(capture.outbound.host, capture.outbound.port),
    useOriginalDst: true,
    listenerFilters: requests.length === 0 ? [] : inspectors(true),
    ...patience(requests.length > 0),
    trafficDirection: TrafficDirection.OUTBOUND,
    filterChains: [loopGuard(reader, VIRTUAL_OUTBOUND, capture.outbound.port), ...requests],
    defaultFilterChain: outward(reader, visibility, 'virtualOutbound-catchall-tcp'),
  });
}

/** What is sent to a port where the proxy itself listens would come back for ever. */
export function loopGuard(reader: Reader, listener: string, port: number): FilterChain {
  return create(FilterChainSchema, {
    name: `${listener}-blackhole`,
    filterChainMatch: { destinationPort: port },
    filters: [carriedTo(reader, BLACK_HOLE_CLUSTER)],
  });
}

function outward(reader: Reader, visibility: Visibility, name: string): FilterChain {
  return create(FilterChainSchema, { name, filters: [carriedTo(reader, outwardCluster(reader, visibility, 'connections') ?? BLACK_HOLE_CLUSTER)] });
}

/** Requests to hosts of which nothing is known, where their host says more than their address. */
function unknownRequests(reader: Reader, visibility: Visibility): FilterChain[] {
  if (outwardCluster(reader, visibility, 'requests') === outwardCluster(reader, visibility, 'connections')) return [];
  const name = 'catchall-http';
  const routes = { name, validateClusters: false, virtualHosts: [unknownVirtualHost(reader, visibility, ['*'])] };
  return [
    create(FilterChainSchema, {
      name,
      filterChainMatch: { transportProtocol: 'raw_buffer', applicationProtocols: PLAIN_HTTP },
      filters: [manager(reader, name, { case: 'routeConfig', value: routes })],
    }),
  ];
}

/** One address and port of services, or a port of any address. Not bound: connections come from the listener above. */
export function captureListener(reader: Reader, visibility: Visibility, name: string): Listener | undefined {
  const place = parseCaptureListener(name);
  if (place === undefined || reader.node.capture === undefined) return undefined;
  const { address, port } = place;
  const captured = capturedAt(reader, visibility, address, port);
  if (captured.length === 0) return undefined;
  const chains = chainsAt(reader, visibility, captured, address, port);
  const own = chains.find(matchesAll);
  const others = chains.filter((chain) => chain !== own);
  const looksAtRequests = ({ filterChainMatch }: FilterChain): boolean => (filterChainMatch?.applicationProtocols.length ?? 0) > 0;
  if (own === undefined && !others.some(looksAtRequests)) others.push(...unknownRequests(reader, visibility));
  const last = own ?? outward(reader, visibility, 'passthrough');
  const sniffed = others.some(looksAtRequests);
  const named = others.some(({ filterChainMatch }) => (filterChainMatch?.transportProtocol ?? '') !== '');
  return create(ListenerSchema, {
    name,
    address: socketAddress(address, port),
    bindToPort: captured.some(({ bound }) => bound),
    trafficDirection: TrafficDirection.OUTBOUND,
    listenerFilters: named ? inspectors(sniffed) : [],
    ...patience(named),
    ...(others.length === 0 ? { filterChains: [last] } : { filterChains: others, defaultFilterChain: last }),
  });
}

/** What is learnt of a connection before its chain is chosen. */
export function inspectors(http: boolean) {
  return [
    filter('envoy.filters.listener.tls_inspector', TlsInspectorSchema),
    ...(http ? [filter('envoy.filters.listener.http_inspector', HttpInspectorSchema)] : []),
  ];
}

function patience(inspected: boolean) {
  return inspected ? { listenerFiltersTimeout: milliseconds(SILENT_CALLER_MS), continueOnListenerFiltersTimeout: true } : {};
}

function manager(reader: Reader, statPrefix: string, routes: Parameters<typeof connectionManager>[1]['routes'], offered = false) {
  const filters = [...outboundFilters(true), ...(offered ? [offerRequests()] : [])];
  return connectionManager(reader, { statPrefix, routes, direction: 'outbound', filters, upgrades: ['websocket'] });
}

/** Services that share a place: requests are told apart by host, connections by what their chains match. Of two that match the same the older has it. */
function chainsAt(reader: Reader, visibility: Visibility, captured: readonly CapturedPort[], address: string, port: number): readonly FilterChain[] {
  let chains: FilterChain[] = [];
  let taken = new TakenMatches();
  let kind: Kind | undefined;
  const first = captured[0]!.protocol;
  for (const one of captured) {
    const incoming = kindOf(one.protocol);
    if (kind !== undefined) {
      if (incoming === 'http' ? kind !== 'tcp' : incoming === 'auto' && kind === 'auto') continue;
      if (one.protocol !== first && (speaksFirst(one.protocol) || speaksFirst(first))) continue;
    }
    const made = [
      ...(incoming === 'http' ? [] : connectionChains(reader, visibility, one, address)),
      ...(incoming === 'tcp' ? [] : [requestChain(reader, visibility, one, incoming === 'auto', address, port)]),
    ];
    if (incoming === 'auto' && kind === 'http') {
      chains = [];
      taken = new TakenMatches();
    }
    chains.push(...made.flatMap((chain) => taken.take(chain) ?? []));
    // At any address what is no request goes on to where it was sent.
    if (kind === undefined) kind = incoming === 'http' && address === ANY_ADDRESS ? 'auto' : incoming;
    else if (kind !== incoming) kind = 'auto';
  }
  return chains;
}

/** What is no request is not taken, unless the address is known to be for requests alone. */
function requestChain(reader: Reader, visibility: Visibility, { service }: CapturedPort, sniffed: boolean, address: string, port: number): FilterChain {
  const own = sniffed && address !== ANY_ADDRESS;
  const routes = own ? `${service.hostname}:${port}` : String(port);
  const mode = effectivePolicy(mergedRules(visibility, service), port, undefined).tls?.value.mode ?? 'ISTIO_MUTUAL';
  const offered = own && reader.node.dataPlane === 'envoy' && service.location === 'MESH_INTERNAL' && mode === 'ISTIO_MUTUAL';
  return create(FilterChainSchema, {
    ...(sniffed || address === ANY_ADDRESS ? { filterChainMatch: { transportProtocol: 'raw_buffer', applicationProtocols: PLAIN_HTTP } } : {}),
    filters: [manager(reader, `outbound_${captureListenerName(address, port)}`, rds(routes), offered)],
  });
}

function matchesAll({ filterChainMatch }: FilterChain): boolean {
  return filterChainMatch === undefined;
}
