import { GRPC_SERVER_PREFIX } from './listeners/grpc.ts';
import { nodeMetadata, type ProxyNode } from './node.ts';

export interface GrpcBootstrapOptions {
  readonly node: ProxyNode;
  /** "unix:///path" of the agent's relay, or "host:port". */
  readonly serverUri: string;
  /** Files for clients and servers with xDS credentials; absent: plain text. */
  readonly certificates?: {
    readonly certificateFile: string;
    readonly privateKeyFile: string;
    readonly bundleFile: string;
    /** gRPC looks at the files so often; default 60. Well below the life of the certificate. */
    readonly refreshIntervalSeconds?: number;
  };
}

const REFRESH_INTERVAL_SECONDS = 60;

/** The JSON that GRPC_XDS_BOOTSTRAP names. The connection to `serverUri` is plain: the agent's socket is on this machine. */
export function grpcBootstrap(options: GrpcBootstrapOptions): string {
  const { certificates } = options;
  const node: ProxyNode = { ...options.node, dataPlane: 'grpc', onDemand: true, certificates: certificates !== undefined };
  const [region = '', zone = '', sub_zone = ''] = node.locality.split('/');
  const bootstrap = {
    xds_servers: [{ server_uri: options.serverUri, channel_creds: [{ type: 'insecure' }], server_features: ['xds_v3'] }],
    node: { id: node.id, cluster: node.service, metadata: nodeMetadata(node), locality: { region, zone, sub_zone } },
    server_listener_resource_name_template: `${GRPC_SERVER_PREFIX}%s`,
    ...(certificates === undefined
      ? {}
      : {
          certificate_providers: {
            default: {
              plugin_name: 'file_watcher',
              config: {
                certificate_file: certificates.certificateFile,
                private_key_file: certificates.privateKeyFile,
                ca_certificate_file: certificates.bundleFile,
                refresh_interval: `${certificates.refreshIntervalSeconds ?? REFRESH_INTERVAL_SECONDS}s`,
              },
            },
          },
        }),
  };
  return `${JSON.stringify(bootstrap, undefined, 2)}\n`;
}
