import { TrafficDirection } from '@outrigger/xds/protos/envoy/config/core/v3/base';
import { ProxyProtocolConfig_Version } from '@outrigger/xds/protos/envoy/config/core/v3/proxy_protocol';
import { type Listener, ListenerSchema } from '@outrigger/xds/protos/envoy/config/listener/v3/listener';
import {
  type FilterChain,
  type FilterChainMatch,
  FilterChainMatch_ConnectionSourceType,
  FilterChainMatchSchema,
  FilterChainSchema,
  type ListenerFilter,
  ListenerFilterSchema,
} from '@outrigger/xds/protos/envoy/config/listener/v3/listener_components';
import { ProxyProtocolSchema } from '@outrigger/xds/protos/envoy/extensions/filters/listener/proxy_protocol/v3/proxy_protocol';
import { DownstreamTlsContextSchema } from '@outrigger/xds/protos/envoy/extensions/transport_sockets/tls/v3/tls';
import { compileCidr } from '../filters/rbac/ip-address.ts';
import { CompileReport, type CompileResult } from '../routing/compile-result.ts';
import { durationMs } from '../routing/duration.ts';
import { compileAddress } from './compile-endpoints.ts';
import { compileNetworkFilters, type NetworkContext } from './compile-network-filters.ts';
import { compileDownstreamTls } from './compile-tls.ts';
import type { EndpointAddress } from './endpoint-config.ts';
import { checkFields, fieldPolicy, typeNameOf, unpack } from './fields.ts';
import type { CidrConfig, FilterChainConfig, FilterChainMatchConfig, ListenerConfig, ListenerFilterConfig } from './listener-config.ts';
import { type DownstreamTlsSettings, secretNames } from './tls-settings.ts';

const DEFAULT_LISTENER_FILTERS_TIMEOUT_MS = 15_000;
const DEFAULT_BUFFER_LIMIT_BYTES = 1024 * 1024;

const LISTENER = fieldPolicy(
  `name address filter_chains default_filter_chain per_connection_buffer_limit_bytes listener_filters listener_filters_timeout
   continue_on_listener_filters_timeout traffic_direction internal_listener`,
  `stat_prefix metadata drain_type socket_options tcp_fast_open_queue_length connection_balance_config reuse_port enable_reuse_port tcp_backlog_size
   max_connections_to_accept_per_socket_event enable_mptcp ignore_global_conn_limit bypass_overload_manager access_log freebind`,
);
const CHAIN = fieldPolicy('filter_chain_match filters transport_socket transport_socket_connect_timeout name', 'metadata');
const MATCH = fieldPolicy(
  'destination_port prefix_ranges direct_source_prefix_ranges source_prefix_ranges source_ports server_names transport_protocol application_protocols source_type',
);
const LISTENER_FILTER = fieldPolicy('name typed_config');
const PROXY_PROTOCOL = fieldPolicy('allow_requests_without_proxy_protocol disallowed_versions', 'stat_prefix');
const TLS_INSPECTOR = 'envoy.extensions.filters.listener.tls_inspector.v3.TlsInspector';
const HTTP_INSPECTOR = 'envoy.extensions.filters.listener.http_inspector.v3.HttpInspector';

const ANY: FilterChainMatchConfig = {
  destinationPort: 0,
  prefixRanges: [],
  directSourcePrefixRanges: [],
  sourcePrefixRanges: [],
  sourcePorts: [],
  serverNames: [],
  transportProtocol: '',
  applicationProtocols: [],
};

function compileMatch(match: FilterChainMatch | undefined, path: string, report: CompileReport): FilterChainMatchConfig {
  if (match === undefined) return ANY;
  checkFields(FilterChainMatchSchema, match, MATCH, path, report);
  if (match.sourceType !== FilterChainMatch_ConnectionSourceType.ANY) report.error(`${path}.source_type`, 'not supported by this proxy');
  const ranges = (list: FilterChainMatch['prefixRanges'], field: string): CidrConfig[] =>
    list.map((range, index) => {
      // A range that cannot be read would match nobody, and whoever it was meant for would fall to another chain.
      compileCidr(range, `${path}.${field}[${index}]`, report);
      return { address: range.addressPrefix, prefixLength: range.prefixLen ?? 0 };
    });
  match.serverNames.forEach((name, index) => {
    if (name.includes('*') && !/^\*(\.[^*]+)?$/.test(name)) report.error(`${path}.server_names[${index}]`, 'a wildcard must be the first label');
  });
  return {
    destinationPort: match.destinationPort ?? 0,
    prefixRanges: ranges(match.prefixRanges, 'prefix_ranges'),
    directSourcePrefixRanges: ranges(match.directSourcePrefixRanges, 'direct_source_prefix_ranges'),
    sourcePrefixRanges: ranges(match.sourcePrefixRanges, 'source_prefix_ranges'),
    sourcePorts: match.sourcePorts,
    serverNames: match.serverNames.map((name) => name.toLowerCase()),
    transportProtocol: match.transportProtocol,
    applicationProtocols: match.applicationProtocols,
  };
}

function compileTransport(chain: FilterChain, path: string, report: CompileReport): DownstreamTlsSettings | null {
  const socket = chain.transportSocket;
  if (socket === undefined) return null;
  const any = socket.configType.case === 'typedConfig' ? socket.configType.value : undefined;
  const type = typeNameOf(any);
  if (type === DownstreamTlsContextSchema.typeName) {
    const tls = unpack(any, DownstreamTlsContextSchema, `${path}.typed_config`, report);
    return tls === undefined ? null : compileDownstreamTls(tls, `${path}.typed_config`, report);
  }
  if (type !== 'envoy.extensions.transport_sockets.raw_buffer.v3.RawBuffer')
    report.error(path, `transport socket ${type === '' ? socket.name : type} is not supported by this proxy`);
  return null;
}

function compileChain(chain: FilterChain, path: string, context: NetworkContext, report: CompileReport): FilterChainConfig | undefined {
  checkFields(FilterChainSchema, chain, CHAIN, path, report);
  const filter = compileNetworkFilters(chain.filters, `${path}.filters`, context, report);
  const match = compileMatch(chain.filterChainMatch, `${path}.filter_chain_match`, report);
  const tls = compileTransport(chain, `${path}.transport_socket`, report);
  if (filter === undefined) return undefined;
  return { name: chain.name, match, tls, filter, handshakeTimeoutMs: durationMs(chain.transportSocketConnectTimeout, 0) };
}

function compileFilter(filter: ListenerFilter, path: string, report: CompileReport): ListenerFilterConfig | undefined {
  checkFields(ListenerFilterSchema, filter, LISTENER_FILTER, path, report);
  const any = filter.configType.case === 'typedConfig' ? filter.configType.value : undefined;
  const type = typeNameOf(any);
  switch (type) {
    case TLS_INSPECTOR:
      return { kind: 'tls-inspector' };
    case HTTP_INSPECTOR:
      return { kind: 'http-inspector' };
    case ProxyProtocolSchema.typeName: {
      const config = unpack(any, ProxyProtocolSchema, `${path}.typed_config`, report);
      if (config === undefined) return undefined;
      checkFields(ProxyProtocolSchema, config, PROXY_PROTOCOL, `${path}.typed_config`, report);
      const disallowed = config.disallowedVersions;
      return {
        kind: 'proxy-protocol',
        allowWithout: config.allowRequestsWithoutProxyProtocol,
        v1: !disallowed.includes(ProxyProtocolConfig_Version.V1),
        v2: !disallowed.includes(ProxyProtocolConfig_Version.V2),
      };
    }
    default:
      report.error(path, `${type === '' ? filter.name : type} is not supported by this proxy`);
      return undefined;
  }
}

function addressOf(config: Listener, report: CompileReport): EndpointAddress {
  if (config.listenerSpecifier.case === 'internalListener') return { kind: 'internal', listener: config.name };
  const address = compileAddress(config.address, 'address', report);
  if (address?.kind === 'internal') report.error('address.envoy_internal_address', 'use internal_listener');
  return address ?? { kind: 'internal', listener: config.name };
}

function directionOf(config: Listener): ListenerConfig['direction'] {
  if (config.trafficDirection === TrafficDirection.INBOUND) return 'inbound';
  return config.trafficDirection === TrafficDirection.OUTBOUND ? 'outbound' : 'unspecified';
}

/** `nodeId` stands in for proxy_status_config.use_node_id. */
export function compileListener(config: Listener, nodeId: string): CompileResult<ListenerConfig> {
  const report = new CompileReport();
  if (config.name === '') report.error('name', 'must not be empty');
  checkFields(ListenerSchema, config, LISTENER, '', report);
  const context: NetworkContext = { nodeId, routeNames: new Set(), clusters: new Set() };
  const filterChains: FilterChainConfig[] = [];
  config.filterChains.forEach((chain, index) => {
    const compiled = compileChain(chain, `filter_chains[${index}]`, context, report);
    if (compiled !== undefined) filterChains.push(compiled);
  });
  const defaultFilterChain =
    config.defaultFilterChain === undefined ? null : (compileChain(config.defaultFilterChain, 'default_filter_chain', context, report) ?? null);
  if (filterChains.length === 0 && defaultFilterChain === null) report.error('filter_chains', 'needs at least one filter chain');
  const listenerFilters = config.listenerFilters.flatMap((filter, index) => compileFilter(filter, `listener_filters[${index}]`, report) ?? []);
  const secrets = new Set<string>();
  for (const chain of defaultFilterChain === null ? filterChains : [...filterChains, defaultFilterChain]) {
    if (chain.tls !== null) for (const name of secretNames(chain.tls)) secrets.add(name);
  }
  return report.result({
    name: config.name,
    address: addressOf(config, report),
    direction: directionOf(config),
    filterChains,
    defaultFilterChain,
    listenerFilters,
    listenerFiltersTimeoutMs: durationMs(config.listenerFiltersTimeout, DEFAULT_LISTENER_FILTERS_TIMEOUT_MS),
    continueOnListenerFiltersTimeout: config.continueOnListenerFiltersTimeout,
    bufferLimitBytes: config.perConnectionBufferLimitBytes ?? DEFAULT_BUFFER_LIMIT_BYTES,
    routeNames: context.routeNames,
    clusters: context.clusters,
    secretNames: secrets,
    ignored: report.ignored,
  });
}
