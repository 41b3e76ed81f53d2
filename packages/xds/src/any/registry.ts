import { create, createFileRegistry, createRegistry, type DescMessage, type Registry } from '@bufbuild/protobuf';
import type { GenFile } from '@bufbuild/protobuf/codegenv2';
import { FieldDescriptorProto_Label, FieldDescriptorProto_Type, FileDescriptorProtoSchema, file_google_protobuf_struct } from '@bufbuild/protobuf/wkt';

/**
 * Every message type that stands in an `Any` of our resources and bootstraps: for `toJson` and `fromJson` (`config_dump`, EnvoyFilters, tests).
 * Loaded when it is first asked for, and each type decoded when it is: all of them take some hundred milliseconds.
 */
export async function loadTypeRegistry(): Promise<Registry> {
  const files = await Promise.all(FILES.map((load) => load()));
  const named = new Map<string, DescMessage>();
  const add = (message: DescMessage): void => {
    named.set(message.typeName, message);
    message.nestedMessages.forEach(add);
  };
  for (const file of files) file.messages.forEach(add);
  let all: Registry | undefined;
  const whole = (): Registry => {
    all ??= createRegistry(...files, ...typedStructs());
    return all;
  };
  return {
    kind: 'registry',
    get: (name) => named.get(name) ?? whole().get(name),
    getMessage: (name) => named.get(name) ?? whole().getMessage(name),
    getEnum: (name) => whole().getEnum(name),
    getExtension: (name) => whole().getExtension(name),
    getExtensionFor: (extendee, number) => whole().getExtensionFor(extendee, number),
    getService: (name) => whole().getService(name),
    [Symbol.iterator]: () => whole()[Symbol.iterator](),
  };
}

/** How a config of any type is written as JSON inside a message: the type's URL, and the config. */
function typedStructs(): readonly Registry[] {
  const label = FieldDescriptorProto_Label.OPTIONAL;
  const field = [
    { name: 'type_url', jsonName: 'typeUrl', number: 1, label, type: FieldDescriptorProto_Type.STRING },
    { name: 'value', jsonName: 'value', number: 2, label, type: FieldDescriptorProto_Type.MESSAGE, typeName: '.google.protobuf.Struct' },
  ];
  return ['xds.type.v3', 'udpa.type.v1'].map((name) =>
    createFileRegistry(
      create(FileDescriptorProtoSchema, {
        name: `${name.replaceAll('.', '/')}/typed_struct.proto`,
        package: name,
        syntax: 'proto3',
        dependency: ['google/protobuf/struct.proto'],
        messageType: [{ name: 'TypedStruct', field }],
      }),
      () => file_google_protobuf_struct,
    ),
  );
}

const FILES: readonly (() => Promise<GenFile>)[] = [
  async () => (await import('@outrigger/xds/protos/envoy/config/bootstrap/v3/bootstrap')).file_envoy_config_bootstrap_v3_bootstrap,
  async () => (await import('@outrigger/xds/protos/envoy/config/cluster/v3/cluster')).file_envoy_config_cluster_v3_cluster,
  async () => (await import('@outrigger/xds/protos/envoy/config/endpoint/v3/endpoint')).file_envoy_config_endpoint_v3_endpoint,
  async () => (await import('@outrigger/xds/protos/envoy/config/listener/v3/listener')).file_envoy_config_listener_v3_listener,
  async () => (await import('@outrigger/xds/protos/envoy/config/route/v3/route')).file_envoy_config_route_v3_route,
  async () => (await import('@outrigger/xds/protos/envoy/config/trace/v3/opentelemetry')).file_envoy_config_trace_v3_opentelemetry,
  async () => (await import('@outrigger/xds/protos/envoy/extensions/access_loggers/file/v3/file')).file_envoy_extensions_access_loggers_file_v3_file,
  async () => (await import('@outrigger/xds/protos/envoy/extensions/access_loggers/grpc/v3/als')).file_envoy_extensions_access_loggers_grpc_v3_als,
  async () => (await import('@outrigger/xds/protos/envoy/extensions/access_loggers/stream/v3/stream')).file_envoy_extensions_access_loggers_stream_v3_stream,
  async () =>
    (await import('@outrigger/xds/protos/envoy/extensions/bootstrap/internal_listener/v3/internal_listener'))
      .file_envoy_extensions_bootstrap_internal_listener_v3_internal_listener,
  async () =>
    (await import('@outrigger/xds/protos/envoy/extensions/clusters/dynamic_forward_proxy/v3/cluster'))
      .file_envoy_extensions_clusters_dynamic_forward_proxy_v3_cluster,
  async () => (await import('@outrigger/xds/protos/envoy/extensions/filters/http/cors/v3/cors')).file_envoy_extensions_filters_http_cors_v3_cors,
  async () =>
    (await import('@outrigger/xds/protos/envoy/extensions/filters/http/dynamic_forward_proxy/v3/dynamic_forward_proxy'))
      .file_envoy_extensions_filters_http_dynamic_forward_proxy_v3_dynamic_forward_proxy,
  async () => (await import('@outrigger/xds/protos/envoy/extensions/filters/http/fault/v3/fault')).file_envoy_extensions_filters_http_fault_v3_fault,
  async () =>
    (await import('@outrigger/xds/protos/envoy/extensions/filters/http/grpc_stats/v3/config')).file_envoy_extensions_filters_http_grpc_stats_v3_config,
  async () =>
    (await import('@outrigger/xds/protos/envoy/extensions/filters/http/header_mutation/v3/header_mutation'))
      .file_envoy_extensions_filters_http_header_mutation_v3_header_mutation,
  async () => (await import('@outrigger/xds/protos/envoy/extensions/filters/http/lua/v3/lua')).file_envoy_extensions_filters_http_lua_v3_lua,
  async () =>
    (await import('@outrigger/xds/protos/envoy/extensions/filters/http/on_demand/v3/on_demand')).file_envoy_extensions_filters_http_on_demand_v3_on_demand,
  async () => (await import('@outrigger/xds/protos/envoy/extensions/filters/http/rbac/v3/rbac')).file_envoy_extensions_filters_http_rbac_v3_rbac,
  async () => (await import('@outrigger/xds/protos/envoy/extensions/filters/http/router/v3/router')).file_envoy_extensions_filters_http_router_v3_router,
  async () =>
    (await import('@outrigger/xds/protos/envoy/extensions/filters/http/set_filter_state/v3/set_filter_state'))
      .file_envoy_extensions_filters_http_set_filter_state_v3_set_filter_state,
  async () =>
    (await import('@outrigger/xds/protos/envoy/extensions/filters/http/upstream_codec/v3/upstream_codec'))
      .file_envoy_extensions_filters_http_upstream_codec_v3_upstream_codec,
  async () =>
    (await import('@outrigger/xds/protos/envoy/extensions/filters/listener/http_inspector/v3/http_inspector'))
      .file_envoy_extensions_filters_listener_http_inspector_v3_http_inspector,
  async () =>
    (await import('@outrigger/xds/protos/envoy/extensions/filters/listener/original_dst/v3/original_dst'))
      .file_envoy_extensions_filters_listener_original_dst_v3_original_dst,
  async () =>
    (await import('@outrigger/xds/protos/envoy/extensions/filters/listener/proxy_protocol/v3/proxy_protocol'))
      .file_envoy_extensions_filters_listener_proxy_protocol_v3_proxy_protocol,
  async () =>
    (await import('@outrigger/xds/protos/envoy/extensions/filters/listener/tls_inspector/v3/tls_inspector'))
      .file_envoy_extensions_filters_listener_tls_inspector_v3_tls_inspector,
  async () =>
    (await import('@outrigger/xds/protos/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager'))
      .file_envoy_extensions_filters_network_http_connection_manager_v3_http_connection_manager,
  async () => (await import('@outrigger/xds/protos/envoy/extensions/filters/network/rbac/v3/rbac')).file_envoy_extensions_filters_network_rbac_v3_rbac,
  async () =>
    (await import('@outrigger/xds/protos/envoy/extensions/filters/network/tcp_proxy/v3/tcp_proxy'))
      .file_envoy_extensions_filters_network_tcp_proxy_v3_tcp_proxy,
  async () =>
    (await import('@outrigger/xds/protos/envoy/extensions/formatter/req_without_query/v3/req_without_query'))
      .file_envoy_extensions_formatter_req_without_query_v3_req_without_query,
  async () =>
    (await import('@outrigger/xds/protos/envoy/extensions/http/header_validators/envoy_default/v3/header_validator'))
      .file_envoy_extensions_http_header_validators_envoy_default_v3_header_validator,
  async () =>
    (await import('@outrigger/xds/protos/envoy/extensions/load_balancing_policies/client_side_weighted_round_robin/v3/client_side_weighted_round_robin'))
      .file_envoy_extensions_load_balancing_policies_client_side_weighted_round_robin_v3_client_side_weighted_round_robin,
  async () =>
    (await import('@outrigger/xds/protos/envoy/extensions/load_balancing_policies/cluster_provided/v3/cluster_provided'))
      .file_envoy_extensions_load_balancing_policies_cluster_provided_v3_cluster_provided,
  async () =>
    (await import('@outrigger/xds/protos/envoy/extensions/load_balancing_policies/least_request/v3/least_request'))
      .file_envoy_extensions_load_balancing_policies_least_request_v3_least_request,
  async () =>
    (await import('@outrigger/xds/protos/envoy/extensions/load_balancing_policies/maglev/v3/maglev'))
      .file_envoy_extensions_load_balancing_policies_maglev_v3_maglev,
  async () =>
    (await import('@outrigger/xds/protos/envoy/extensions/load_balancing_policies/pick_first/v3/pick_first'))
      .file_envoy_extensions_load_balancing_policies_pick_first_v3_pick_first,
  async () =>
    (await import('@outrigger/xds/protos/envoy/extensions/load_balancing_policies/random/v3/random'))
      .file_envoy_extensions_load_balancing_policies_random_v3_random,
  async () =>
    (await import('@outrigger/xds/protos/envoy/extensions/load_balancing_policies/ring_hash/v3/ring_hash'))
      .file_envoy_extensions_load_balancing_policies_ring_hash_v3_ring_hash,
  async () =>
    (await import('@outrigger/xds/protos/envoy/extensions/load_balancing_policies/round_robin/v3/round_robin'))
      .file_envoy_extensions_load_balancing_policies_round_robin_v3_round_robin,
  async () =>
    (await import('@outrigger/xds/protos/envoy/extensions/load_balancing_policies/subset/v3/subset'))
      .file_envoy_extensions_load_balancing_policies_subset_v3_subset,
  async () =>
    (await import('@outrigger/xds/protos/envoy/extensions/load_balancing_policies/wrr_locality/v3/wrr_locality'))
      .file_envoy_extensions_load_balancing_policies_wrr_locality_v3_wrr_locality,
  async () =>
    (await import('@outrigger/xds/protos/envoy/extensions/network/dns_resolver/cares/v3/cares_dns_resolver'))
      .file_envoy_extensions_network_dns_resolver_cares_v3_cares_dns_resolver,
  async () =>
    (await import('@outrigger/xds/protos/envoy/extensions/network/dns_resolver/getaddrinfo/v3/getaddrinfo_dns_resolver'))
      .file_envoy_extensions_network_dns_resolver_getaddrinfo_v3_getaddrinfo_dns_resolver,
  async () =>
    (await import('@outrigger/xds/protos/envoy/extensions/network/socket_interface/v3/default_socket_interface'))
      .file_envoy_extensions_network_socket_interface_v3_default_socket_interface,
  async () =>
    (await import('@outrigger/xds/protos/envoy/extensions/path/match/uri_template/v3/uri_template_match'))
      .file_envoy_extensions_path_match_uri_template_v3_uri_template_match,
  async () => (await import('@outrigger/xds/protos/envoy/extensions/regex_engines/v3/google_re2')).file_envoy_extensions_regex_engines_v3_google_re2,
  async () => (await import('@outrigger/xds/protos/envoy/extensions/request_id/uuid/v3/uuid')).file_envoy_extensions_request_id_uuid_v3_uuid,
  async () =>
    (await import('@outrigger/xds/protos/envoy/extensions/retry/host/previous_hosts/v3/previous_hosts'))
      .file_envoy_extensions_retry_host_previous_hosts_v3_previous_hosts,
  async () =>
    (await import('@outrigger/xds/protos/envoy/extensions/transport_sockets/internal_upstream/v3/internal_upstream'))
      .file_envoy_extensions_transport_sockets_internal_upstream_v3_internal_upstream,
  async () =>
    (await import('@outrigger/xds/protos/envoy/extensions/transport_sockets/raw_buffer/v3/raw_buffer'))
      .file_envoy_extensions_transport_sockets_raw_buffer_v3_raw_buffer,
  async () => (await import('@outrigger/xds/protos/envoy/extensions/transport_sockets/tls/v3/secret')).file_envoy_extensions_transport_sockets_tls_v3_secret,
  async () => (await import('@outrigger/xds/protos/envoy/extensions/transport_sockets/tls/v3/tls')).file_envoy_extensions_transport_sockets_tls_v3_tls,
  async () =>
    (await import('@outrigger/xds/protos/envoy/extensions/transport_sockets/tls/v3/tls_spiffe_validator_config'))
      .file_envoy_extensions_transport_sockets_tls_v3_tls_spiffe_validator_config,
  async () =>
    (await import('@outrigger/xds/protos/envoy/extensions/upstreams/http/v3/http_protocol_options'))
      .file_envoy_extensions_upstreams_http_v3_http_protocol_options,
  async () => (await import('@outrigger/xds/protos/envoy/config/route/v3/route_components')).file_envoy_config_route_v3_route_components,
  async () => (await import('@outrigger/xds/protos/envoy/extensions/common/ratelimit/v3/ratelimit')).file_envoy_extensions_common_ratelimit_v3_ratelimit,
  async () =>
    (await import('@outrigger/xds/protos/envoy/extensions/compression/brotli/compressor/v3/brotli'))
      .file_envoy_extensions_compression_brotli_compressor_v3_brotli,
  async () =>
    (await import('@outrigger/xds/protos/envoy/extensions/compression/brotli/decompressor/v3/brotli'))
      .file_envoy_extensions_compression_brotli_decompressor_v3_brotli,
  async () =>
    (await import('@outrigger/xds/protos/envoy/extensions/compression/gzip/compressor/v3/gzip')).file_envoy_extensions_compression_gzip_compressor_v3_gzip,
  async () =>
    (await import('@outrigger/xds/protos/envoy/extensions/compression/gzip/decompressor/v3/gzip')).file_envoy_extensions_compression_gzip_decompressor_v3_gzip,
  async () =>
    (await import('@outrigger/xds/protos/envoy/extensions/compression/zstd/compressor/v3/zstd')).file_envoy_extensions_compression_zstd_compressor_v3_zstd,
  async () =>
    (await import('@outrigger/xds/protos/envoy/extensions/compression/zstd/decompressor/v3/zstd')).file_envoy_extensions_compression_zstd_decompressor_v3_zstd,
  async () =>
    (await import('@outrigger/xds/protos/envoy/extensions/filters/http/adaptive_concurrency/v3/adaptive_concurrency'))
      .file_envoy_extensions_filters_http_adaptive_concurrency_v3_adaptive_concurrency,
  async () =>
    (await import('@outrigger/xds/protos/envoy/extensions/filters/http/bandwidth_limit/v3/bandwidth_limit'))
      .file_envoy_extensions_filters_http_bandwidth_limit_v3_bandwidth_limit,
  async () => (await import('@outrigger/xds/protos/envoy/extensions/filters/http/buffer/v3/buffer')).file_envoy_extensions_filters_http_buffer_v3_buffer,
  async () =>
    (await import('@outrigger/xds/protos/envoy/extensions/filters/http/compressor/v3/compressor')).file_envoy_extensions_filters_http_compressor_v3_compressor,
  async () =>
    (await import('@outrigger/xds/protos/envoy/extensions/filters/http/decompressor/v3/decompressor'))
      .file_envoy_extensions_filters_http_decompressor_v3_decompressor,
  async () =>
    (await import('@outrigger/xds/protos/envoy/extensions/filters/http/ext_authz/v3/ext_authz')).file_envoy_extensions_filters_http_ext_authz_v3_ext_authz,
  async () =>
    (await import('@outrigger/xds/protos/envoy/extensions/filters/http/grpc_web/v3/grpc_web')).file_envoy_extensions_filters_http_grpc_web_v3_grpc_web,
  async () =>
    (await import('@outrigger/xds/protos/envoy/extensions/filters/http/health_check/v3/health_check'))
      .file_envoy_extensions_filters_http_health_check_v3_health_check,
  async () => (await import('@outrigger/xds/protos/envoy/extensions/filters/http/jwt_authn/v3/config')).file_envoy_extensions_filters_http_jwt_authn_v3_config,
  async () =>
    (await import('@outrigger/xds/protos/envoy/extensions/filters/http/local_ratelimit/v3/local_rate_limit'))
      .file_envoy_extensions_filters_http_local_ratelimit_v3_local_rate_limit,
  async () =>
    (await import('@outrigger/xds/protos/envoy/extensions/filters/http/ratelimit/v3/rate_limit')).file_envoy_extensions_filters_http_ratelimit_v3_rate_limit,
  async () =>
    (await import('@outrigger/xds/protos/envoy/extensions/filters/network/connection_limit/v3/connection_limit'))
      .file_envoy_extensions_filters_network_connection_limit_v3_connection_limit,
  async () =>
    (await import('@outrigger/xds/protos/envoy/extensions/filters/network/local_ratelimit/v3/local_rate_limit'))
      .file_envoy_extensions_filters_network_local_ratelimit_v3_local_rate_limit,
  async () =>
    (await import('@outrigger/xds/protos/envoy/extensions/filters/network/sni_cluster/v3/sni_cluster'))
      .file_envoy_extensions_filters_network_sni_cluster_v3_sni_cluster,
  async () =>
    (await import('@outrigger/xds/protos/envoy/extensions/http/original_ip_detection/custom_header/v3/custom_header'))
      .file_envoy_extensions_http_original_ip_detection_custom_header_v3_custom_header,
  async () =>
    (await import('@outrigger/xds/protos/envoy/extensions/http/original_ip_detection/xff/v3/xff')).file_envoy_extensions_http_original_ip_detection_xff_v3_xff,
  async () =>
    (await import('@outrigger/xds/protos/envoy/extensions/internal_redirect/allow_listed_routes/v3/allow_listed_routes_config'))
      .file_envoy_extensions_internal_redirect_allow_listed_routes_v3_allow_listed_routes_config,
  async () =>
    (await import('@outrigger/xds/protos/envoy/extensions/internal_redirect/previous_routes/v3/previous_routes_config'))
      .file_envoy_extensions_internal_redirect_previous_routes_v3_previous_routes_config,
  async () =>
    (await import('@outrigger/xds/protos/envoy/extensions/internal_redirect/safe_cross_scheme/v3/safe_cross_scheme_config'))
      .file_envoy_extensions_internal_redirect_safe_cross_scheme_v3_safe_cross_scheme_config,
  async () =>
    (await import('@outrigger/xds/protos/envoy/extensions/path/rewrite/uri_template/v3/uri_template_rewrite'))
      .file_envoy_extensions_path_rewrite_uri_template_v3_uri_template_rewrite,
  async () =>
    (await import('@outrigger/xds/protos/envoy/extensions/retry/host/omit_canary_hosts/v3/omit_canary_hosts'))
      .file_envoy_extensions_retry_host_omit_canary_hosts_v3_omit_canary_hosts,
  async () =>
    (await import('@outrigger/xds/protos/envoy/extensions/retry/host/omit_host_metadata/v3/omit_host_metadata_config'))
      .file_envoy_extensions_retry_host_omit_host_metadata_v3_omit_host_metadata_config,
  async () =>
    (await import('@outrigger/xds/protos/envoy/extensions/retry/priority/previous_priorities/v3/previous_priorities_config'))
      .file_envoy_extensions_retry_priority_previous_priorities_v3_previous_priorities_config,
  async () =>
    (await import('@outrigger/xds/protos/envoy/extensions/transport_sockets/proxy_protocol/v3/upstream_proxy_protocol'))
      .file_envoy_extensions_transport_sockets_proxy_protocol_v3_upstream_proxy_protocol,
  async () =>
    (await import('@outrigger/xds/protos/envoy/extensions/resource_monitors/cgroup_memory/v3/cgroup_memory'))
      .file_envoy_extensions_resource_monitors_cgroup_memory_v3_cgroup_memory,
  async () =>
    (await import('@outrigger/xds/protos/envoy/extensions/resource_monitors/downstream_connections/v3/downstream_connections'))
      .file_envoy_extensions_resource_monitors_downstream_connections_v3_downstream_connections,
  async () =>
    (await import('@outrigger/xds/protos/envoy/extensions/resource_monitors/fixed_heap/v3/fixed_heap'))
      .file_envoy_extensions_resource_monitors_fixed_heap_v3_fixed_heap,
  async () =>
    (await import('@outrigger/xds/protos/envoy/extensions/resource_monitors/injected_resource/v3/injected_resource'))
      .file_envoy_extensions_resource_monitors_injected_resource_v3_injected_resource,
  async () =>
    (await import('@outrigger/xds/protos/envoy/extensions/http/early_header_mutation/header_mutation/v3/header_mutation'))
      .file_envoy_extensions_http_early_header_mutation_header_mutation_v3_header_mutation,
  async () => (await import('@outrigger/xds/protos/envoy/config/overload/v3/overload')).file_envoy_config_overload_v3_overload,
];
