import { create } from '@bufbuild/protobuf';
import { TrafficDirection } from '@outrigger/xds/protos/envoy/config/core/v3/base';
import { type Listener, ListenerSchema } from '@outrigger/xds/protos/envoy/config/listener/v3/listener';
import { type RouteConfiguration, RouteConfigurationSchema } from '@outrigger/xds/protos/envoy/config/route/v3/route';
import { socketAddress } from '../addresses.ts';
import { HTTP_TUNNEL } from '../cluster-name.ts';
import type { Reader } from '../reader.ts';
import { peerOf } from '../routes/headers.ts';
import { allVirtualHosts } from '../routes/virtual-host.ts';
import type { EgressProxy, Visibility } from '../visibility.ts';
import { connectionManager, outboundFilters } from './connection-manager.ts';
import { rds } from './outbound.ts';

/** A port of HTTP_PROXY in a Sidecar's egress: a forward proxy of its own, for the hosts of that listener alone. */
export function egressProxyNames(visibility: Visibility): readonly string[] {
  return visibility.egressProxies.flatMap((proxy) => [listenerName(proxy), egressTunnel(proxy.port)]);
}

function listenerName({ address, port }: EgressProxy): string {
  return `${address}_${port}`;
}

/** The listener inside the proxy, and the cluster of one endpoint that leads to it, for what comes out of a CONNECT to a port of HTTP. */
export function egressTunnel(port: number): string {
  return `${HTTP_TUNNEL}_${port}`;
}

/** undefined: a name of another kind. */
export function parseEgressTunnel(name: string): number | undefined {
  const match = /^http_tunnel_(\d{1,5})$/.exec(name);
  return match === null ? undefined : Number(match[1]);
}

export function egressProxyListener(reader: Reader, visibility: Visibility, name: string): Listener | undefined {
  const tunnelled = parseEgressTunnel(name);
  const proxy = visibility.egressProxies.find((one) => (tunnelled === undefined ? listenerName(one) === name : one.port === tunnelled));
  if (proxy === undefined) return undefined;
  const manager = connectionManager(reader, {
    statPrefix: tunnelled === undefined ? `outbound_${name}` : name,
    routes: rds(String(proxy.port)),
    direction: 'outbound',
    filters: outboundFilters(true),
    upgrades: tunnelled === undefined ? ['CONNECT', 'websocket'] : ['websocket'],
  });
  return create(ListenerSchema, {
    name,
    ...(tunnelled === undefined
      ? { address: socketAddress(proxy.address, proxy.port), bindToPort: proxy.bound }
      : { listenerSpecifier: { case: 'internalListener', value: {} } }),
    trafficDirection: TrafficDirection.OUTBOUND,
    filterChains: [{ filters: [manager] }],
  });
}

/** Every host of the listener on all its ports; where a request names no port it is 80. */
export function egressProxyRoutes(reader: Reader, visibility: Visibility, name: string): RouteConfiguration | undefined {
  const proxy = visibility.egressProxies.find(({ port }) => String(port) === name);
  if (proxy === undefined) return undefined;
  return create(RouteConfigurationSchema, {
    name,
    virtualHosts: allVirtualHosts(reader, visibility.ofEgressProxy(proxy), egressTunnel(proxy.port)),
    requestHeadersToAdd: peerOf(reader.node),
  });
}
