import { create } from '@bufbuild/protobuf';
import { ApiVersion } from '@outrigger/xds/protos/envoy/config/core/v3/config_source';
import { type RouteConfiguration, RouteConfigurationSchema } from '@outrigger/xds/protos/envoy/config/route/v3/route';
import { capturedRoutes } from '../capture/route-table.ts';
import { gatewayRoutes } from '../gateways/routes.ts';
import { parseAuthority } from '../hosts.ts';
import { egressProxyRoutes } from '../listeners/egress-proxy.ts';
import type { Reader } from '../reader.ts';
import { absentVirtualHost, ambiguousVirtualHost, upstreamHost, upstreamTarget } from '../upstream.ts';
import { Visibility } from '../visibility.ts';
import { peerOf } from './headers.ts';
import { allVirtualHosts, PROXY_ROUTE, singleVirtualHost } from './virtual-host.ts';

/** "http_proxy", "upstream|PORT|HOST" (PORT 0: the only one), or for gRPC clients "HOST:PORT", or of a gateway what `routeNameOf` says; undefined where the node has none of that name. */
export function routeConfigurationNamed(reader: Reader, name: string): RouteConfiguration | undefined {
  if (reader.node.gateway !== undefined) return gatewayRoutes(reader, name);
  const visibility = new Visibility(reader);
  const proxied = egressProxyRoutes(reader, visibility, name);
  if (proxied !== undefined) return proxied;
  const captured = reader.node.capture === undefined ? undefined : capturedRoutes(reader, visibility, name);
  if (captured !== undefined) return captured;
  if (name === PROXY_ROUTE) return reader.node.httpProxy === undefined ? undefined : forwardProxy(reader, visibility);
  const upstream = /^upstream\|(\d{1,5})\|([^|]+)$/.exec(name);
  const parsed = upstream === null ? parseAuthority(name) : { host: upstream[2]!, port: Number(upstream[1]) };
  if (parsed?.port === undefined) return undefined;
  const target = upstreamTarget(reader, visibility, parsed.host, parsed.port);
  if (target === undefined) {
    const { node } = reader;
    const declared =
      upstream !== null &&
      node.upstreams.some((one) => one.port === parsed.port && upstreamHost(reader, visibility, one.service.toLowerCase(), one.port) === parsed.host);
    return declared ? create(RouteConfigurationSchema, { name, virtualHosts: [absentVirtualHost(node, parsed.host, parsed.port)] }) : undefined;
  }
  const virtualHost =
    target.port === undefined ? ambiguousVirtualHost(reader.node, target.service) : singleVirtualHost(reader, visibility, target.service, target.port);
  return create(RouteConfigurationSchema, { name, virtualHosts: [virtualHost], requestHeadersToAdd: peerOf(reader.node) });
}

function forwardProxy(reader: Reader, visibility: Visibility): RouteConfiguration {
  if (reader.node.onDemand) {
    return create(RouteConfigurationSchema, {
      name: PROXY_ROUTE,
      requestHeadersToAdd: peerOf(reader.node),
      vhds: { configSource: { resourceApiVersion: ApiVersion.V3, configSourceSpecifier: { case: 'ads', value: {} } } },
    });
  }
  return create(RouteConfigurationSchema, { name: PROXY_ROUTE, virtualHosts: allVirtualHosts(reader, visibility), requestHeadersToAdd: peerOf(reader.node) });
}
