import { createHash } from 'node:crypto';
import { type DescMessage, type MessageShape, toBinary } from '@bufbuild/protobuf';
import { TrafficDirection } from '@outrigger/xds/protos/envoy/config/core/v3/base';
import { ProxyProtocolConfig_Version } from '@outrigger/xds/protos/envoy/config/core/v3/proxy_protocol';
import { type SocketOption, SocketOptionSchema } from '@outrigger/xds/protos/envoy/config/core/v3/socket_option';
import { AdditionalAddressSchema, type Listener, ListenerSchema } from '@outrigger/xds/protos/envoy/config/listener/v3/listener';
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
import { atOnce, type Steps } from '@outrigger/xds/slices';
import { compileCidr } from '../filters/rbac/ip-address.ts';
import { DEFAULT_BUFFER_LIMIT_BYTES } from '../http2/options.ts';
import { CompileReport, type CompileResult } from '../routing/compile-result.ts';
import { durationMs } from '../routing/duration.ts';
import { compileAccessLogs } from './compile-access-logs.ts';
import { compileAddress } from './compile-endpoints.ts';
import { type NetworkContext, networkFilterSteps } from './compile-network-filters.ts';
import { compileDownstreamTls } from './compile-tls.ts';
import type { EndpointAddress } from './endpoint-config.ts';
import { checkFields, fieldPolicy, typeNameOf, unpack } from './fields.ts';
import {
  allFilterChains,
  type CidrConfig,
  type FilterChainConfig,
  type FilterChainMatchConfig,
  type ListenerConfig,
  type ListenerFilterConfig,
  type SocketOptionConfig,
} from './listener-config.ts';
import { type DownstreamTlsSettings, secretNames } from './tls-settings.ts';
import { compileTlvSelection } from './tlv-selection.ts';

const DEFAULT_LISTENER_FILTERS_TIMEOUT_MS = 15_000;

const LISTENER = fieldPolicy(
  `name address filter_chains default_filter_chain per_connection_buffer_limit_bytes listener_filters listener_filters_timeout
   continue_on_listener_filters_timeout traffic_direction internal_listener additional_addresses use_original_dst bind_to_port socket_options
   tcp_fast_open_queue_length enable_reuse_port reuse_port tcp_backlog_size ignore_global_conn_limit access_log
   bypass_overload_manager transparent`,
  'stat_prefix metadata drain_type connection_balance_config max_connections_to_accept_per_socket_event enable_mptcp freebind',
);
const ADDITIONAL_ADDRESS = fieldPolicy('address socket_options');
const SOCKET_OPTION = fieldPolicy('description level name int_value buf_value state');
/** How many connections may wait for `accept`. */
const DEFAULT_BACKLOG = 4096;
/** tcp(7) */
const SOL_TCP = 6;
const TCP_FASTOPEN = 23;
/** ip(7), ipv6(7) */
const IP_TRANSPARENT = { level: 0, name: 19 };
const IPV6_TRANSPARENT = { level: 41, name: 75 };
/** ip(7), ipv6(7): they say what may be bound, and come too late once it is. */
const BEFORE_BIND: ReadonlySet<string> = new Set(['0 15', '0 19', '41 75', '41 78']);
const CHAIN = fieldPolicy('filter_chain_match filters transport_socket transport_socket_connect_timeout name', 'metadata');
const MATCH = fieldPolicy(
  'destination_port prefix_ranges direct_source_prefix_ranges source_prefix_ranges source_ports server_names transport_protocol application_protocols source_type',
);
const LISTENER_FILTER = fieldPolicy('name typed_config');
const PROXY_PROTOCOL = fieldPolicy('allow_requests_without_proxy_protocol disallowed_versions pass_through_tlvs', 'stat_prefix');
const TLS_INSPECTOR = 'envoy.extensions.filters.listener.tls_inspector.v3.TlsInspector';
const ORIGINAL_DST = 'envoy.extensions.filters.listener.original_dst.v3.OriginalDst';
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
  sourceType: 'any',
};

const SOURCE_TYPES: Readonly<Record<number, FilterChainMatchConfig['sourceType']>> = {
  [FilterChainMatch_ConnectionSourceType.SAME_IP_OR_LOOPBACK]: 'local',
  [FilterChainMatch_ConnectionSourceType.EXTERNAL]: 'external',
};

function compileMatch(match: FilterChainMatch | undefined, path: string, report: CompileReport): FilterChainMatchConfig {
  if (match === undefined) return ANY;
  checkFields(FilterChainMatchSchema, match, MATCH, path, report);
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
    sourceType: SOURCE_TYPES[match.sourceType] ?? 'any',
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

function fingerprintOf<Desc extends DescMessage>(schema: Desc, message: MessageShape<Desc>): string {
  return createHash('sha256').update(toBinary(schema, message)).digest('base64');
}

function* chainSteps(chain: FilterChain, path: string, context: NetworkContext, report: CompileReport): Steps<FilterChainConfig | undefined> {
  checkFields(FilterChainSchema, chain, CHAIN, path, report);
  const filters = yield* networkFilterSteps(chain.filters, `${path}.filters`, context, report);
  const match = compileMatch(chain.filterChainMatch, `${path}.filter_chain_match`, report);
  const tls = compileTransport(chain, `${path}.transport_socket`, report);
  if (filters === undefined) return undefined;
  return {
    name: chain.name,
    fingerprint: fingerprintOf(FilterChainSchema, chain),
    match,
    tls,
    ...filters,
    handshakeTimeoutMs: durationMs(chain.transportSocketConnectTimeout, 0),
  };
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
    case ORIGINAL_DST:
      // Asked of the kernel as soon as the connection is there.
      return undefined;
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
        tlvs: compileTlvSelection(config.passThroughTlvs, `${path}.typed_config.pass_through_tlvs`, report),
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

function int32(value: bigint | number): Uint8Array {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32LE(Number(BigInt.asIntN(32, BigInt(value))));
  return bytes;
}

function compileSocketOptions(options: readonly SocketOption[], path: string, report: CompileReport): SocketOptionConfig[] {
  return options.flatMap((option, index) => {
    const at = `${path}[${index}]`;
    checkFields(SocketOptionSchema, option, SOCKET_OPTION, at, report);
    const { level, name, value } = option;
    if (BEFORE_BIND.has(`${level} ${name}`)) report.error(at, 'an option that must be set before binding is not supported by this proxy');
    if (value.case === undefined) {
      report.error(at, 'needs int_value or buf_value');
      return [];
    }
    return [{ level: Number(level), name: Number(name), value: value.case === 'intValue' ? int32(value.value) : value.value, path: at }];
  });
}

function compileAdditional(config: Listener, own: readonly SocketOptionConfig[], report: CompileReport): ListenerConfig['additionalAddresses'] {
  return config.additionalAddresses.flatMap((additional, index) => {
    const path = `additional_addresses[${index}]`;
    checkFields(AdditionalAddressSchema, additional, ADDITIONAL_ADDRESS, path, report);
    const address = compileAddress(additional.address, `${path}.address`, report);
    if (address?.kind === 'internal') report.error(`${path}.address`, 'must be a socket');
    if (address === undefined || address.kind === 'internal') return [];
    const { socketOptions } = additional;
    return [
      { address, socketOptions: socketOptions === undefined ? own : compileSocketOptions(socketOptions.socketOptions, `${path}.socket_options`, report) },
    ];
  });
}

function isIPv6({ address }: Listener): boolean {
  return address?.address.case === 'socketAddress' && address.address.value.address.includes(':');
}

function directionOf(config: Listener): ListenerConfig['direction'] {
  if (config.trafficDirection === TrafficDirection.INBOUND) return 'inbound';
  return config.trafficDirection === TrafficDirection.OUTBOUND ? 'outbound' : 'unspecified';
}

/** `node` stands in for proxy_status_config.use_node_id, and both for add_user_agent. */
export function* listenerSteps(config: Listener, nodeId: string, nodeCluster = ''): Steps<CompileResult<ListenerConfig>> {
  const report = new CompileReport();
  if (config.name === '') report.error('name', 'must not be empty');
  checkFields(ListenerSchema, config, LISTENER, '', report);
  const context: NetworkContext = {
    nodeId,
    nodeCluster,
    routeNames: new Set(),
    clusters: new Set(),
    bufferLimitBytes: config.perConnectionBufferLimitBytes ?? DEFAULT_BUFFER_LIMIT_BYTES,
  };
  const filterChains: FilterChainConfig[] = [];
  for (const [index, chain] of config.filterChains.entries()) {
    if (index > 0) yield;
    const compiled = yield* chainSteps(chain, `filter_chains[${index}]`, context, report);
    if (compiled !== undefined) filterChains.push(compiled);
  }
  const defaultFilterChain =
    config.defaultFilterChain === undefined ? null : ((yield* chainSteps(config.defaultFilterChain, 'default_filter_chain', context, report)) ?? null);
  if (filterChains.length === 0 && defaultFilterChain === null) report.error('filter_chains', 'needs at least one filter chain');
  const socketOptions = compileSocketOptions(config.socketOptions, 'socket_options', report);
  const fastOpen = config.tcpFastOpenQueueLength;
  if (fastOpen !== undefined) socketOptions.push({ level: SOL_TCP, name: TCP_FASTOPEN, value: int32(fastOpen), path: 'tcp_fast_open_queue_length' });
  // For connections that the kernel turns round to a socket that is bound already (TPROXY) it may come after that.
  const transparent = config.transparent ?? false;
  if (transparent) socketOptions.push({ ...(isIPv6(config) ? IPV6_TRANSPARENT : IP_TRANSPARENT), value: int32(1), path: 'transparent' });
  const useOriginalDst = config.useOriginalDst ?? false;
  const isOriginalDst = (filter: ListenerFilter): boolean => filter.configType.case === 'typedConfig' && typeNameOf(filter.configType.value) === ORIGINAL_DST;
  const listenerFilters = config.listenerFilters.flatMap((filter, index) => compileFilter(filter, `listener_filters[${index}]`, report) ?? []);
  const secrets = new Set<string>();
  for (const chain of allFilterChains({ filterChains, defaultFilterChain })) {
    if (chain.tls !== null) for (const name of secretNames(chain.tls)) secrets.add(name);
  }
  return report.result({
    name: config.name,
    fingerprint: fingerprintOf(ListenerSchema, { ...config, filterChains: [], defaultFilterChain: undefined }),
    address: addressOf(config, report),
    additionalAddresses: compileAdditional(config, socketOptions, report),
    bindToPort: config.bindToPort ?? true,
    backlog: config.tcpBacklogSize ?? DEFAULT_BACKLOG,
    // Envoy's default is true, for its several workers; here it would only let another process take half of the connections.
    reusePort: config.enableReusePort ?? config.reusePort,
    socketOptions,
    originalDst: useOriginalDst || config.listenerFilters.some(isOriginalDst),
    useOriginalDst,
    transparent,
    ignoreGlobalConnLimit: config.ignoreGlobalConnLimit,
    bypassOverload: config.bypassOverloadManager,
    accessLogs: compileAccessLogs(config.accessLog, 'access_log', report),
    direction: directionOf(config),
    filterChains,
    defaultFilterChain,
    listenerFilters,
    listenerFiltersTimeoutMs: durationMs(config.listenerFiltersTimeout, DEFAULT_LISTENER_FILTERS_TIMEOUT_MS),
    continueOnListenerFiltersTimeout: config.continueOnListenerFiltersTimeout,
    bufferLimitBytes: context.bufferLimitBytes,
    routeNames: context.routeNames,
    clusters: context.clusters,
    secretNames: secrets,
    ignored: report.ignored,
  });
}

export function compileListener(config: Listener, nodeId: string, nodeCluster = ''): CompileResult<ListenerConfig> {
  return atOnce(listenerSteps(config, nodeId, nodeCluster));
}
