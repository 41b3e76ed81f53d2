import type { DescMessage, JsonObject } from '@bufbuild/protobuf';
import { ProxyProtocolPassThroughTLVsSchema } from '@outrigger/xds/protos/envoy/config/core/v3/proxy_protocol';
import { SocketOptionSchema } from '@outrigger/xds/protos/envoy/config/core/v3/socket_option';
import { AdditionalAddressSchema, ListenerSchema } from '@outrigger/xds/protos/envoy/config/listener/v3/listener';
import { FilterChainMatchSchema, FilterChainSchema, ListenerFilterSchema } from '@outrigger/xds/protos/envoy/config/listener/v3/listener_components';
import { ProxyProtocolSchema } from '@outrigger/xds/protos/envoy/extensions/filters/listener/proxy_protocol/v3/proxy_protocol';
import { ConnectionLimitSchema } from '@outrigger/xds/protos/envoy/extensions/filters/network/connection_limit/v3/connection_limit';
import { LocalRateLimitSchema as NetworkRateLimitSchema } from '@outrigger/xds/protos/envoy/extensions/filters/network/local_ratelimit/v3/local_rate_limit';
import { TcpProxy_TunnelingConfigSchema, TcpProxySchema } from '@outrigger/xds/protos/envoy/extensions/filters/network/tcp_proxy/v3/tcp_proxy';
import {
  CertificateValidationContextSchema,
  TlsCertificateSchema,
  TlsParametersSchema,
} from '@outrigger/xds/protos/envoy/extensions/transport_sockets/tls/v3/common';
import { CommonTlsContextSchema, DownstreamTlsContextSchema } from '@outrigger/xds/protos/envoy/extensions/transport_sockets/tls/v3/tls';
import { message, typed } from '../../testing/messages.ts';
import { TestAuthority } from '../../tls/testing/certificates.ts';
import { compileListener } from '../compile-listener.ts';
import { ENDPOINT } from './cluster-subjects.ts';
import { type Outcome, outcome, type Subject } from './probe.ts';
import { ROUTES } from './route-subjects.ts';

export const HCM_TYPE = 'envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager';
export const HCM_PATH = 'filter_chains[0].filters[0].typed_config';
export const ROUTER: JsonObject = { name: 'router', typedConfig: typed('envoy.extensions.filters.http.router.v3.Router') };
export const MANAGER: JsonObject = { statPrefix: 'x', routeConfig: ROUTES, httpFilters: [ROUTER] };
const LISTENER: JsonObject = { name: 'l', internalListener: {}, filterChains: [{ filters: [{ name: 'x', typedConfig: typed(HCM_TYPE, MANAGER) }] }] };

const listener = (json: JsonObject): Outcome => outcome(compileListener(message(ListenerSchema, json), 'node'));
export const chain = (json: JsonObject): Outcome => listener({ ...LISTENER, filterChains: [json] });

const DOWNSTREAM_TLS = 'envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext';
const ISSUED = new TestAuthority().issue({ dns: ['a'] });
const CERTIFICATE = { certificateChain: { inlineString: ISSUED.chainPem }, privateKey: { inlineString: ISSUED.keyPem } };
const COMMON_TLS: JsonObject = { tlsCertificates: [CERTIFICATE] };
const downstreamTls = (json: JsonObject): Outcome =>
  chain({ filters: [{ name: 'x', typedConfig: typed(HCM_TYPE, MANAGER) }], transportSocket: { name: 'tls', typedConfig: typed(DOWNSTREAM_TLS, json) } });
const commonTls = (json: JsonObject): Outcome => downstreamTls({ commonTlsContext: json });
const TLS_PATH = 'filter_chains[0].transport_socket.typed_config';

const TLS_INSPECTOR = 'envoy.extensions.filters.listener.tls_inspector.v3.TlsInspector';
const proxyProtocol = (json: JsonObject): Outcome =>
  listener({
    ...LISTENER,
    listenerFilters: [{ name: 'x', typedConfig: typed('envoy.extensions.filters.listener.proxy_protocol.v3.ProxyProtocol', json) }],
  });
/** A network filter before the TCP proxy. */
const gate = (type: string, schema: DescMessage, base: JsonObject): Subject => ({
  schema,
  base,
  path: HCM_PATH,
  compile: (json) =>
    chain({
      filters: [
        { name: 'x', typedConfig: typed(`envoy.extensions.filters.network.${type}`, json) },
        { name: 'y', typedConfig: typed('envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy', { statPrefix: 'x', cluster: 'c' }) },
      ],
    }),
});

/** A listener, its filters but for HTTP, and its chains with their TLS. */
export const LISTENER_SUBJECTS: Readonly<Record<string, Subject>> = {
  Listener: {
    schema: ListenerSchema,
    base: LISTENER,
    right: { listenerFilters: [{ name: 'x', typedConfig: typed(TLS_INSPECTOR) }] },
    path: '',
    compile: listener,
  },
  ListenerFilter: {
    schema: ListenerFilterSchema,
    base: { name: 'x', typedConfig: typed(TLS_INSPECTOR) },
    path: 'listener_filters[0]',
    compile: (json) => listener({ ...LISTENER, listenerFilters: [json] }),
  },
  ProxyProtocol: { schema: ProxyProtocolSchema, base: {}, path: 'listener_filters[0].typed_config', compile: proxyProtocol },
  ProxyProtocolPassThroughTLVs: {
    schema: ProxyProtocolPassThroughTLVsSchema,
    base: {},
    path: 'listener_filters[0].typed_config.pass_through_tlvs',
    compile: (json) => proxyProtocol({ passThroughTlvs: json }),
  },
  'Listener.AdditionalAddress': {
    schema: AdditionalAddressSchema,
    base: ENDPOINT,
    path: 'additional_addresses[0]',
    compile: (json) => listener({ ...LISTENER, additionalAddresses: [json] }),
  },
  SocketOption: {
    schema: SocketOptionSchema,
    base: { level: '1', name: '9', intValue: '1' },
    path: 'socket_options[0]',
    compile: (json) => listener({ ...LISTENER, socketOptions: [json] }),
  },
  ConnectionLimit: gate('connection_limit.v3.ConnectionLimit', ConnectionLimitSchema, { maxConnections: '1' }),
  LocalRateLimit: gate('local_ratelimit.v3.LocalRateLimit', NetworkRateLimitSchema, { tokenBucket: { maxTokens: 1, fillInterval: '1s' } }),
  TcpProxy: {
    schema: TcpProxySchema,
    base: { statPrefix: 'x', cluster: 'c' },
    right: { hashPolicy: [{ sourceIp: {} }] },
    path: HCM_PATH,
    compile: (json) => chain({ filters: [{ name: 'x', typedConfig: typed('envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy', json) }] }),
  },
  'TcpProxy.TunnelingConfig': {
    schema: TcpProxy_TunnelingConfigSchema,
    base: { hostname: 'h' },
    right: { postPath: '/', headersToAdd: [{ header: { key: 'x', value: 'y' } }] },
    path: `${HCM_PATH}.tunneling_config`,
    compile: (json) =>
      chain({
        filters: [
          {
            name: 'x',
            typedConfig: typed('envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy', {
              statPrefix: 'x',
              cluster: 'c',
              tunnelingConfig: { usePost: true, ...json },
            }),
          },
        ],
      }),
  },
  FilterChain: {
    schema: FilterChainSchema,
    base: { filters: [{ name: 'x', typedConfig: typed(HCM_TYPE, MANAGER) }] },
    right: { transportSocket: { name: 'tls', typedConfig: typed(DOWNSTREAM_TLS, { commonTlsContext: COMMON_TLS }) } },
    path: 'filter_chains[0]',
    compile: chain,
  },
  FilterChainMatch: {
    schema: FilterChainMatchSchema,
    base: {},
    path: 'filter_chains[0].filter_chain_match',
    compile: (json) => chain({ filters: [{ name: 'x', typedConfig: typed(HCM_TYPE, MANAGER) }], filterChainMatch: json }),
  },
  DownstreamTlsContext: { schema: DownstreamTlsContextSchema, base: { commonTlsContext: COMMON_TLS }, path: TLS_PATH, compile: downstreamTls },
  CommonTlsContext: { schema: CommonTlsContextSchema, base: COMMON_TLS, path: `${TLS_PATH}.common_tls_context`, compile: commonTls },
  TlsCertificate: {
    schema: TlsCertificateSchema,
    base: CERTIFICATE,
    path: `${TLS_PATH}.common_tls_context.tls_certificates[0]`,
    compile: (json) => commonTls({ tlsCertificates: [json] }),
  },
  TlsParameters: {
    schema: TlsParametersSchema,
    base: {},
    path: `${TLS_PATH}.common_tls_context.tls_params`,
    compile: (json) => commonTls({ ...COMMON_TLS, tlsParams: json }),
  },
  CertificateValidationContext: {
    schema: CertificateValidationContextSchema,
    base: {},
    path: `${TLS_PATH}.common_tls_context.validation_context`,
    compile: (json) => commonTls({ ...COMMON_TLS, validationContext: json }),
  },
};
