import { create } from '@bufbuild/protobuf';
import { TrafficDirection } from '@outrigger/xds/protos/envoy/config/core/v3/base';
import { ApiVersion } from '@outrigger/xds/protos/envoy/config/core/v3/config_source';
import { type Listener, ListenerSchema } from '@outrigger/xds/protos/envoy/config/listener/v3/listener';
import type { FilterSchema } from '@outrigger/xds/protos/envoy/config/listener/v3/listener_components';
import type { HttpConnectionManagerSchema } from '@outrigger/xds/protos/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager';
import { socketAddress } from '../addresses.ts';
import { HTTP_TUNNEL } from '../cluster-name.ts';
import type { Init } from '../messages.ts';
import type { UpstreamPort } from '../node.ts';
import { isHttp } from '../protocols.ts';
import type { Reader } from '../reader.ts';
import { PROXY_ROUTE } from '../routes/virtual-host.ts';
import { tcpConnections } from '../tcp-route.ts';
import { upstreamHost, upstreamTarget } from '../upstream.ts';
import { Visibility } from '../visibility.ts';
import { connectionManager, outboundFilters } from './connection-manager.ts';
import { outboundTcpProxy } from './tcp-proxy.ts';

export const PROXY_LISTENER = 'http_proxy';

export function upstreamListenerName({ address }: UpstreamPort): string {
  return `upstream_${address.host}_${address.port}`;
}

export function rds(name: string): Init<typeof HttpConnectionManagerSchema>['routeSpecifier'] & object {
  return {
    case: 'rds',
    value: { routeConfigName: name, configSource: { resourceApiVersion: ApiVersion.V3, configSourceSpecifier: { case: 'ads', value: {} } } },
  };
}

/** Where applications send absolute-form requests and CONNECT. */
export function forwardProxy(reader: Reader): Listener | undefined {
  const { httpProxy } = reader.node;
  if (httpProxy === undefined) return undefined;
  const manager = connectionManager(reader, {
    statPrefix: PROXY_LISTENER,
    routes: rds(PROXY_ROUTE),
    direction: 'outbound',
    filters: outboundFilters(true),
    upgrades: ['CONNECT', 'websocket'],
  });
  return create(ListenerSchema, {
    name: PROXY_LISTENER,
    address: socketAddress(httpProxy.host, httpProxy.port),
    trafficDirection: TrafficDirection.OUTBOUND,
    filterChains: [{ filters: [manager] }],
  });
}

/** What comes out of a CONNECT to an HTTP port. */
export function tunnel(reader: Reader): Listener | undefined {
  if (reader.node.httpProxy === undefined) return undefined;
  const manager = connectionManager(reader, {
    statPrefix: HTTP_TUNNEL,
    routes: rds(PROXY_ROUTE),
    direction: 'outbound',
    filters: outboundFilters(true),
    upgrades: ['websocket'],
  });
  return create(ListenerSchema, {
    name: HTTP_TUNNEL,
    listenerSpecifier: { case: 'internalListener', value: {} },
    trafficDirection: TrafficDirection.OUTBOUND,
    filterChains: [{ filters: [manager] }],
  });
}

/** A declared loopback port. Its routes follow the service; a service that is not there yet is taken to be HTTP. */
export function upstream(reader: Reader, declared: UpstreamPort): Listener {
  const visibility = new Visibility(reader);
  const target = upstreamTarget(reader, visibility, declared.service.toLowerCase(), declared.port);
  const name = upstreamListenerName(declared);
  const filters: Init<typeof FilterSchema>[] =
    target?.port === undefined || isHttp(target.port.protocol)
      ? [
          connectionManager(reader, {
            statPrefix: name,
            routes: rds(`upstream|${declared.port}|${upstreamHost(reader, visibility, declared.service.toLowerCase(), declared.port)}`),
            direction: 'outbound',
            filters: outboundFilters(false),
            upgrades: ['websocket'],
          }),
        ]
      : [outboundTcpProxy(reader, name, tcpConnections(reader, visibility, target.service, target.port))];
  return create(ListenerSchema, {
    name,
    address: socketAddress(declared.address.host, declared.address.port),
    trafficDirection: TrafficDirection.OUTBOUND,
    filterChains: [{ filters }],
  });
}
