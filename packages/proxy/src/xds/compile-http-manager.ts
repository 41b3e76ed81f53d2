import type { TypedExtensionConfig } from '@outrigger/xds/protos/envoy/config/core/v3/extension';
import { RouteConfigurationSchema } from '@outrigger/xds/protos/envoy/config/route/v3/route';
import { OpenTelemetryConfigSchema } from '@outrigger/xds/protos/envoy/config/trace/v3/opentelemetry';
import {
  type HttpConnectionManager,
  HttpConnectionManager_CodecType,
  HttpConnectionManager_ForwardClientCertDetails,
  HttpConnectionManager_PathWithEscapedSlashesAction,
  HttpConnectionManager_ProxyStatusConfigSchema,
  HttpConnectionManager_ServerHeaderTransformation,
  HttpConnectionManager_SetCurrentClientCertDetailsSchema,
  type HttpConnectionManager_Tracing,
  HttpConnectionManager_TracingSchema,
  HttpConnectionManager_UpgradeConfigSchema,
  HttpConnectionManagerSchema,
  RdsSchema,
} from '@outrigger/xds/protos/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager';
import { HeaderMutationSchema } from '@outrigger/xds/protos/envoy/extensions/http/early_header_mutation/header_mutation/v3/header_mutation';
import { UuidRequestIdConfigSchema } from '@outrigger/xds/protos/envoy/extensions/request_id/uuid/v3/uuid';
import type { Steps } from '@outrigger/xds/slices';
import { compileMutationList } from '../filters/header-mutation.ts';
import type { CompileReport } from '../routing/compile-result.ts';
import { routeConfigurationSteps } from '../routing/compile-routes.ts';
import { durationMs } from '../routing/duration.ts';
import { concatMutations, type HeaderMutations } from '../routing/header-mutations.ts';
import { compileAccessLogs } from './compile-access-logs.ts';
import { compileClientAddress } from './compile-client-address.ts';
import { compileLocalReplies } from './compile-local-replies.ts';
import type { NetworkContext } from './compile-network-filters.ts';
import { checkFields, fieldPolicy, typeNameOf, unpack } from './fields.ts';
import { compileHttpFilters } from './http-filters.ts';
import type { ForwardClientCert, HttpManagerConfig, RouteSource } from './listener-config.ts';
import { checkAds, checkCommonOptions, checkHttp1Options, compileHttp2, compileUnderscores, DEFAULT_MAX_HEADERS_COUNT } from './protocol-options.ts';

const DEFAULT_IDLE_TIMEOUT_MS = 3_600_000;
const DEFAULT_STREAM_IDLE_TIMEOUT_MS = 300_000;
const DEFAULT_MAX_REQUEST_HEADERS_KB = 60;
const DEFAULT_DELAYED_CLOSE_TIMEOUT_MS = 1000;
const DEFAULT_DRAIN_TIMEOUT_MS = 5000;

const MANAGER = fieldPolicy(
  `codec_type stat_prefix rds route_config http_filters tracing common_http_protocol_options http_protocol_options http2_protocol_options max_request_headers_kb
   stream_idle_timeout request_timeout access_log use_remote_address skip_xff_append via generate_request_id preserve_external_request_id
   always_set_request_id_in_response forward_client_cert_details set_current_client_cert_details upgrade_configs normalize_path merge_slashes
   path_with_escaped_slashes_action strip_matching_host_port strip_any_host_port strip_trailing_host_dot proxy_status_config
   server_header_transformation local_reply_config server_name append_x_forwarded_port
   internal_address_config xff_num_trusted_hops original_ip_detection_extensions scheme_header_transformation early_header_mutation_extensions add_user_agent request_id_extension request_headers_timeout delayed_close_timeout drain_timeout stream_error_on_invalid_http_message`,
  `http3_protocol_options access_log_flush_interval
   flush_access_log_on_new_request access_log_options proxy_100_continue represent_ipv4_remote_address_as_ipv4_mapped_ipv6
   append_local_overload add_proxy_protocol_connection_state`,
);
const EARLY_MUTATION = fieldPolicy('mutations');
const RDS = fieldPolicy('config_source route_config_name');
const TRACING = fieldPolicy('random_sampling provider', 'client_sampling overall_sampling verbose max_path_tag_length custom_tags spawn_upstream_span');
const CERT_DETAILS = fieldPolicy('subject dns uri');
const PROXY_STATUS = fieldPolicy(
  'use_node_id literal_proxy_name',
  'remove_details remove_connection_termination_details remove_response_flags set_recommended_response_code',
);
const UPGRADE = fieldPolicy('upgrade_type enabled');

const FORWARD: Readonly<Record<number, ForwardClientCert>> = {
  [HttpConnectionManager_ForwardClientCertDetails.SANITIZE]: 'sanitize',
  [HttpConnectionManager_ForwardClientCertDetails.FORWARD_ONLY]: 'forward-only',
  [HttpConnectionManager_ForwardClientCertDetails.APPEND_FORWARD]: 'append-forward',
  [HttpConnectionManager_ForwardClientCertDetails.SANITIZE_SET]: 'sanitize-set',
  [HttpConnectionManager_ForwardClientCertDetails.ALWAYS_FORWARD_ONLY]: 'always-forward-only',
};
const ESCAPED: Readonly<Record<number, HttpManagerConfig['escapedSlashes']>> = {
  [HttpConnectionManager_PathWithEscapedSlashesAction.REJECT_REQUEST]: 'reject',
  [HttpConnectionManager_PathWithEscapedSlashesAction.UNESCAPE_AND_REDIRECT]: 'unescape-redirect',
  [HttpConnectionManager_PathWithEscapedSlashesAction.UNESCAPE_AND_FORWARD]: 'unescape-forward',
};

function* routeSteps(config: HttpConnectionManager, path: string, context: NetworkContext, report: CompileReport): Steps<RouteSource> {
  const specifier = config.routeSpecifier;
  if (specifier.case === 'rds') {
    checkFields(RdsSchema, specifier.value, RDS, `${path}.rds`, report);
    checkAds(specifier.value.configSource, `${path}.rds.config_source`, report);
    if (specifier.value.routeConfigName === '') report.error(`${path}.rds.route_config_name`, 'must not be empty');
    context.routeNames.add(specifier.value.routeConfigName);
    return { kind: 'rds', name: specifier.value.routeConfigName };
  }
  if (specifier.case === 'routeConfig') {
    const compiled = yield* routeConfigurationSteps(specifier.value);
    if (compiled.ok) {
      for (const ignored of compiled.ignored) report.ignore(`${path}.route_config.${ignored}`);
      for (const cluster of compiled.value.clusters) context.clusters.add(cluster);
      return { kind: 'inline', table: compiled.value };
    }
    for (const error of compiled.errors) report.error(`${path}.route_config.${error.path}`, error.message);
  } else report.error(path, `needs rds or route_config (${RouteConfigurationSchema.name})`);
  return { kind: 'rds', name: '' };
}

/** Spans go to OTLP over HTTP alone. */
function checkTracing(tracing: HttpConnectionManager_Tracing | undefined, path: string, report: CompileReport): void {
  if (tracing === undefined) return;
  checkFields(HttpConnectionManager_TracingSchema, tracing, TRACING, path, report);
  const provider = tracing.provider?.configType;
  if (provider === undefined) return;
  const type = provider.case === 'typedConfig' ? typeNameOf(provider.value) : '';
  if (type !== OpenTelemetryConfigSchema.typeName) report.ignore(`${path}.provider`);
  else if (unpack(provider.value, OpenTelemetryConfigSchema, `${path}.provider`, report)?.httpService === undefined)
    report.ignore(`${path}.provider.grpc_service`);
}

function schemeOf(config: HttpConnectionManager, path: string, report: CompileReport): string {
  const { transformation, matchUpstream = false } = config.schemeHeaderTransformation ?? {};
  if (matchUpstream) report.ignore(`${path}.scheme_header_transformation.match_upstream`);
  return transformation?.case === 'schemeToOverwrite' ? transformation.value : '';
}

/** UUIDs alone, and nothing is packed into them. */
function checkRequestIds(config: HttpConnectionManager, path: string, report: CompileReport): void {
  const any = config.requestIdExtension?.typedConfig;
  if (config.requestIdExtension === undefined) return;
  if (typeNameOf(any) !== UuidRequestIdConfigSchema.typeName) report.error(path, `${typeNameOf(any)} is not supported by this proxy`);
  else if (unpack(any, UuidRequestIdConfigSchema, path, report)?.packTraceReason !== false) report.ignore(`${path}.typed_config.pack_trace_reason`);
}

/** null: there is none. */
function compileEarlyMutations(configs: readonly TypedExtensionConfig[], path: string, report: CompileReport): HeaderMutations | null {
  const mutations = configs.flatMap((config, index) => {
    const at = `${path}[${index}]`;
    if (typeNameOf(config.typedConfig) !== HeaderMutationSchema.typeName) {
      report.error(at, `${config.name} is not supported by this proxy`);
      return [];
    }
    const mutation = unpack(config.typedConfig, HeaderMutationSchema, `${at}.typed_config`, report);
    if (mutation === undefined) return [];
    checkFields(HeaderMutationSchema, mutation, EARLY_MUTATION, `${at}.typed_config`, report);
    return [compileMutationList(mutation.mutations, `${at}.typed_config.mutations`, report)];
  });
  return mutations.length === 0 ? null : concatMutations(mutations);
}

function proxyNameOf(config: HttpConnectionManager, nodeId: string): string {
  const name = config.proxyStatusConfig?.proxyName;
  if (config.proxyStatusConfig === undefined) return '';
  if (name?.case === 'literalProxyName') return name.value;
  return name?.case === 'useNodeId' && name.value ? nodeId : 'envoy';
}

export function* httpManagerSteps(config: HttpConnectionManager, path: string, context: NetworkContext, report: CompileReport): Steps<HttpManagerConfig> {
  checkFields(HttpConnectionManagerSchema, config, MANAGER, path, report);
  if (config.codecType === HttpConnectionManager_CodecType.HTTP3) report.error(`${path}.codec_type`, 'HTTP/3 is not supported by this proxy');
  const upgrades = new Map<string, boolean>();
  config.upgradeConfigs.forEach((upgrade, index) => {
    checkFields(HttpConnectionManager_UpgradeConfigSchema, upgrade, UPGRADE, `${path}.upgrade_configs[${index}]`, report);
    upgrades.set(upgrade.upgradeType.toLowerCase(), upgrade.enabled ?? true);
  });
  const common = config.commonHttpProtocolOptions;
  checkCommonOptions(common, 'downstream', `${path}.common_http_protocol_options`, report);
  checkHttp1Options(config.httpProtocolOptions, `${path}.http_protocol_options`, report);
  checkRequestIds(config, `${path}.request_id_extension`, report);
  checkTracing(config.tracing, `${path}.tracing`, report);
  if (config.proxyStatusConfig !== undefined)
    checkFields(HttpConnectionManager_ProxyStatusConfigSchema, config.proxyStatusConfig, PROXY_STATUS, `${path}.proxy_status_config`, report);
  const details = config.setCurrentClientCertDetails;
  if (details !== undefined)
    checkFields(HttpConnectionManager_SetCurrentClientCertDetailsSchema, details, CERT_DETAILS, `${path}.set_current_client_cert_details`, report);
  return {
    statPrefix: config.statPrefix,
    codec: config.codecType === HttpConnectionManager_CodecType.HTTP1 ? 'http1' : config.codecType === HttpConnectionManager_CodecType.HTTP2 ? 'http2' : 'auto',
    routes: yield* routeSteps(config, path, context, report),
    filters: compileHttpFilters(config.httpFilters, `${path}.http_filters`, context, report),
    generateRequestId: config.generateRequestId ?? true,
    preserveExternalRequestId: config.preserveExternalRequestId,
    alwaysSetRequestIdInResponse: config.alwaysSetRequestIdInResponse,
    forwardClientCert: FORWARD[config.forwardClientCertDetails] ?? 'sanitize',
    certDetails: { uri: details?.uri ?? false, dns: details?.dns ?? false, subject: details?.subject ?? false },
    clientAddress: compileClientAddress(config, path, report),
    appendXForwardedPort: config.appendXForwardedPort,
    schemeToOverwrite: schemeOf(config, path, report),
    serverName: config.serverHeaderTransformation === HttpConnectionManager_ServerHeaderTransformation.PASS_THROUGH ? '' : config.serverName,
    keepServer: config.serverHeaderTransformation === HttpConnectionManager_ServerHeaderTransformation.APPEND_IF_ABSENT,
    skipXffAppend: config.skipXffAppend,
    normalizePath: config.normalizePath ?? false,
    mergeSlashes: config.mergeSlashes,
    escapedSlashes: ESCAPED[config.pathWithEscapedSlashesAction] ?? 'keep',
    upgrades,
    proxyName: proxyNameOf(config, context.nodeId),
    stripMatchingHostPort: config.stripMatchingHostPort,
    stripAnyHostPort: config.stripPortMode.case === 'stripAnyHostPort' && config.stripPortMode.value,
    stripTrailingHostDot: config.stripTrailingHostDot,
    via: config.via,
    userAgent: config.addUserAgent === true ? { cluster: context.nodeCluster, node: context.nodeId } : null,
    earlyMutations: compileEarlyMutations(config.earlyHeaderMutationExtensions, `${path}.early_header_mutation_extensions`, report),
    maxRequestHeadersKb: config.maxRequestHeadersKb ?? DEFAULT_MAX_REQUEST_HEADERS_KB,
    maxHeadersCount: common?.maxHeadersCount ?? DEFAULT_MAX_HEADERS_COUNT,
    underscores: compileUnderscores(common),
    http2: compileHttp2(config.http2ProtocolOptions, config.streamErrorOnInvalidHttpMessage, `${path}.http2_protocol_options`, report),
    maxRequestsPerConnection: common?.maxRequestsPerConnection ?? 0,
    requestHeadersTimeoutMs: durationMs(config.requestHeadersTimeout, 0),
    delayedCloseTimeoutMs: durationMs(config.delayedCloseTimeout, DEFAULT_DELAYED_CLOSE_TIMEOUT_MS),
    drainTimeoutMs: durationMs(config.drainTimeout, DEFAULT_DRAIN_TIMEOUT_MS),
    idleTimeoutMs: durationMs(common?.idleTimeout, DEFAULT_IDLE_TIMEOUT_MS),
    maxConnectionDurationMs: durationMs(common?.maxConnectionDuration, 0),
    streamIdleTimeoutMs: durationMs(config.streamIdleTimeout, DEFAULT_STREAM_IDLE_TIMEOUT_MS),
    requestTimeoutMs: durationMs(config.requestTimeout, 0),
    maxStreamDurationMs: durationMs(common?.maxStreamDuration, 0),
    tracing: config.tracing,
    localReplies: compileLocalReplies(config.localReplyConfig, `${path}.local_reply_config`, report),
    accessLogs: compileAccessLogs(config.accessLog, `${path}.access_log`, report),
  };
}
