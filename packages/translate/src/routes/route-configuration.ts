import { create } from '@bufbuild/protobuf';
import { ApiVersion } from '@outrigger/xds/protos/envoy/config/core/v3/config_source';
import { type RouteConfiguration, RouteConfigurationSchema } from '@outrigger/xds/protos/envoy/config/route/v3/route';
import { fullHost, meantHosts, parseAuthority } from '../hosts.ts';
import type { Reader } from '../reader.ts';
import { Visibility } from '../visibility.ts';
import { allVirtualHosts, PROXY_ROUTE, serviceMeant, singleVirtualHost } from './virtual-host.ts';

/** "http_proxy", "upstream|PORT|HOST", or for gRPC clients "HOST:PORT"; undefined where the node has none of that name. */
export function routeConfigurationNamed(reader: Reader, name: string): RouteConfiguration | undefined {
  const visibility = new Visibility(reader);
  if (name === PROXY_ROUTE) return reader.node.httpProxy === undefined ? undefined : forwardProxy(reader, visibility);
  const upstream = /^upstream\|(\d{1,5})\|([^|]+)$/.exec(name);
  const parsed = upstream === null ? parseAuthority(name) : { host: upstream[2]!, port: Number(upstream[1]) };
  if (parsed?.port === undefined) return undefined;
  const meant = serviceMeant(reader, visibility, parsed.host, parsed.port);
  if (meant === undefined) return undefined;
  return create(RouteConfigurationSchema, { name, virtualHosts: [singleVirtualHost(reader, visibility, meant.service, meant.port)] });
}

function forwardProxy(reader: Reader, visibility: Visibility): RouteConfiguration {
  if (reader.node.onDemand) {
    return create(RouteConfigurationSchema, {
      name: PROXY_ROUTE,
      vhds: { configSource: { resourceApiVersion: ApiVersion.V3, configSourceSpecifier: { case: 'ads', value: {} } } },
    });
  }
  return create(RouteConfigurationSchema, { name: PROXY_ROUTE, virtualHosts: allVirtualHosts(reader, visibility) });
}

/** The full host that a declared upstream means: the first of its possible names that is a service, else the first. */
export function upstreamHost(reader: Reader, visibility: Visibility, service: string, port: number): string {
  const meant = serviceMeant(reader, visibility, service, port);
  return (
    meant?.service.hostname ??
    meantHosts(service, reader.node.namespace, reader.settings.domainSuffix)[0] ??
    fullHost(service, reader.node.namespace, reader.settings.domainSuffix)
  );
}
