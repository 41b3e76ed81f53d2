/** How Envoy reaches a gRPC server: a TCP port on loopback, or a Unix socket. */
export type Address = { port: number } | { path: string };

const HTTP2 = {
  'envoy.extensions.upstreams.http.v3.HttpProtocolOptions': {
    '@type': 'type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions',
    explicit_http_config: { http2_protocol_options: {} },
  },
};

function grpcCluster(name: string, address: Address): Record<string, unknown> {
  const endpoint = 'path' in address ? { pipe: { path: address.path } } : { socket_address: { address: '127.0.0.1', port_value: address.port } };
  return {
    name,
    type: 'STATIC',
    connect_timeout: '1s',
    typed_extension_protocol_options: HTTP2,
    load_assignment: { cluster_name: name, endpoints: [{ lb_endpoints: [{ endpoint: { address: endpoint } }] }] },
  };
}

/** An Envoy that takes everything over ADS, and secrets from `sds-grpc` where there is one. */
export function bootstrap(apiType: 'DELTA_GRPC' | 'GRPC', xds: Address, sds?: Address): Record<string, unknown> {
  return {
    node: { id: 'order-1.default', cluster: 'order' },
    dynamic_resources: {
      ads_config: { api_type: apiType, transport_api_version: 'V3', grpc_services: [{ envoy_grpc: { cluster_name: 'xds-grpc' } }] },
      cds_config: { ads: {}, resource_api_version: 'V3' },
      lds_config: { ads: {}, resource_api_version: 'V3' },
    },
    static_resources: { clusters: [grpcCluster('xds-grpc', xds), ...(sds === undefined ? [] : [grpcCluster('sds-grpc', sds)])] },
  };
}
