import { create } from '@bufbuild/protobuf';
import { TrafficDirection } from '@outrigger/xds/protos/envoy/config/core/v3/base';
import { type Listener, ListenerSchema } from '@outrigger/xds/protos/envoy/config/listener/v3/listener';
import { HTTPFaultSchema } from '@outrigger/xds/protos/envoy/extensions/filters/http/fault/v3/fault';
import { RouterSchema } from '@outrigger/xds/protos/envoy/extensions/filters/http/router/v3/router';
import { HttpConnectionManagerSchema } from '@outrigger/xds/protos/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager';
import { DownstreamTlsContextSchema } from '@outrigger/xds/protos/envoy/extensions/transport_sockets/tls/v3/tls';
import { socketAddress } from '../addresses.ts';
import { TLS_SOCKET } from '../clusters/tls.ts';
import { parseAuthority } from '../hosts.ts';
import { any, filter } from '../messages.ts';
import type { Reader } from '../reader.ts';
import { FAULT_FILTER } from '../routes/filters.ts';
import { serviceMeant } from '../routes/virtual-host.ts';
import { httpAuthorization } from '../security/authorization.ts';
import { inboundTlsMode } from '../security/peer-authentication.ts';
import { Visibility } from '../visibility.ts';
import { rds } from './outbound.ts';

const router = () => filter('envoy.filters.http.router', RouterSchema);

/** The listener that an `xds:///HOST:PORT` channel asks for. */
export function apiListener(reader: Reader, name: string): Listener | undefined {
  const parsed = parseAuthority(name);
  if (parsed?.port === undefined) return undefined;
  if (serviceMeant(reader, new Visibility(reader), parsed.host, parsed.port) === undefined) return undefined;
  return create(ListenerSchema, {
    name,
    apiListener: {
      apiListener: any(HttpConnectionManagerSchema, { routeSpecifier: rds(name), httpFilters: [filter(FAULT_FILTER, HTTPFaultSchema), router()] }),
    },
  });
}

/** Prefix of what a proxyless gRPC server asks for: server_listener_resource_name_template in its bootstrap. */
export const GRPC_SERVER_PREFIX = 'grpc-server/';

/** The listener of a gRPC server that needs no proxy: "grpc-server/IP:PORT". */
export function serverListener(reader: Reader, name: string): Listener | undefined {
  const parsed = parseAuthority(name.slice(GRPC_SERVER_PREFIX.length));
  if (parsed?.port === undefined) return undefined;
  const { host, port } = { host: parsed.host.replace(/^\[|\]$/g, ''), port: parsed.port };
  const registered = reader.node.inbound.find(({ mesh }) => mesh.port === port) ?? {
    name: 'grpc',
    protocol: 'GRPC' as const,
    servicePort: port,
    mesh: { host, port },
    application: { host, port },
  };
  // gRPC cannot tell TLS from plain text by the first bytes: it is one or the other.
  const mode = inboundTlsMode(reader, reader.node, registered.application.port);
  const tls = reader.node.certificates && mode !== 'DISABLE';
  const provider = { instanceName: 'default', certificateName: '' };
  return create(ListenerSchema, {
    name,
    address: socketAddress(host, port),
    trafficDirection: TrafficDirection.INBOUND,
    filterChains: [
      {
        name: tls ? 'mtls' : 'plaintext',
        filters: [
          filter('envoy.filters.network.http_connection_manager', HttpConnectionManagerSchema, {
            routeSpecifier: {
              case: 'routeConfig',
              value: {
                name: `inbound|${port}||`,
                virtualHosts: [
                  {
                    name: `inbound|http|${port}`,
                    domains: ['*'],
                    routes: [{ name: 'default', match: { pathSpecifier: { case: 'prefix', value: '/' } }, action: { case: 'nonForwardingAction', value: {} } }],
                  },
                ],
              },
            },
            httpFilters: [...httpAuthorization(reader, registered), router()],
          }),
        ],
        ...(tls
          ? {
              transportSocket: {
                name: TLS_SOCKET,
                configType: {
                  case: 'typedConfig',
                  value: any(DownstreamTlsContextSchema, {
                    commonTlsContext: {
                      tlsCertificateProviderInstance: provider,
                      validationContextType: { case: 'validationContext', value: { caCertificateProviderInstance: provider } },
                    },
                    requireClientCertificate: true,
                  }),
                },
              },
            }
          : {}),
      },
    ],
  });
}
