import { create, createRegistry, toJsonString } from '@bufbuild/protobuf';
import { type Bootstrap, BootstrapSchema } from '@outrigger/xds/protos/envoy/config/bootstrap/v3/bootstrap';
import { Cluster_DiscoveryType, type ClusterSchema } from '@outrigger/xds/protos/envoy/config/cluster/v3/cluster';
import { ApiConfigSource_ApiType, ApiVersion } from '@outrigger/xds/protos/envoy/config/core/v3/config_source';
import { InternalListenerSchema } from '@outrigger/xds/protos/envoy/extensions/bootstrap/internal_listener/v3/internal_listener';
import { UpstreamTlsContextSchema } from '@outrigger/xds/protos/envoy/extensions/transport_sockets/tls/v3/tls';
import { HttpProtocolOptionsSchema } from '@outrigger/xds/protos/envoy/extensions/upstreams/http/v3/http_protocol_options';
import { isIp, pipeAddress, socketAddress } from './addresses.ts';
import { ADS_CLUSTER, OTLP_CLUSTER, SDS_CLUSTER } from './cluster-name.ts';
import { upstreamMeshTls } from './clusters/tls.ts';
import { any, extension, type Init, milliseconds } from './messages.ts';
import { type HostPort, nodeMetadata, type ProxyNode } from './node.ts';

/** Where ADS is: the agent's relay, or the control plane over mTLS with the SDS secrets. */
export type AdsAddress =
  | { readonly pipe: string }
  | (HostPort & {
      /** SPIFFE ids that the server may show. */
      readonly spiffeIds: readonly string[];
    });

export interface EnvoyBootstrapOptions {
  readonly node: ProxyNode;
  readonly ads: AdsAddress;
  /** Unix socket of the agent's SDS. */
  readonly sdsPipe: string;
  /** Loopback. */
  readonly admin: HostPort;
}

const CONNECT_TIMEOUT_MS = 1_000;
const KEEPALIVE_INTERVAL_MS = 30_000;
const KEEPALIVE_TIMEOUT_MS = 5_000;

/** Envoy's Bootstrap, for our proxy and for Envoy alike (docs/xds.md). */
export function envoyBootstrap(options: EnvoyBootstrapOptions): Bootstrap {
  const { node, ads } = options;
  const [region = '', zone = '', subZone = ''] = node.locality.split('/');
  const overAds = { resourceApiVersion: ApiVersion.V3, initialFetchTimeout: milliseconds(0), configSourceSpecifier: { case: 'ads', value: {} } } as const;
  return create(BootstrapSchema, {
    node: { id: node.id, cluster: node.service, metadata: nodeMetadata(node), ...(node.locality === '' ? {} : { locality: { region, zone, subZone } }) },
    admin: { address: socketAddress(options.admin.host, options.admin.port) },
    dynamicResources: {
      adsConfig: {
        apiType: ApiConfigSource_ApiType.DELTA_GRPC,
        transportApiVersion: ApiVersion.V3,
        setNodeOnFirstMessageOnly: true,
        grpcServices: [{ targetSpecifier: { case: 'envoyGrpc', value: { clusterName: ADS_CLUSTER } } }],
      },
      ldsConfig: overAds,
      ...(node.onDemand ? {} : { cdsConfig: overAds }),
    },
    staticResources: {
      clusters: [
        'pipe' in ads
          ? http2Cluster(ADS_CLUSTER, pipeAddress(ads.pipe))
          : {
              ...http2Cluster(ADS_CLUSTER, socketAddress(ads.host, ads.port), ads.host),
              transportSocket: upstreamMeshTls({ exact: ads.spiffeIds }, ['h2'], ''),
            },
        http2Cluster(SDS_CLUSTER, pipeAddress(options.sdsPipe)),
        ...(node.otlp === undefined ? [] : [plainCluster(OTLP_CLUSTER, socketAddress(node.otlp.host, node.otlp.port), node.otlp.host)]),
      ],
    },
    // CONNECT on the forward proxy ends in the listener http_tunnel.
    bootstrapExtensions: [extension('envoy.bootstrap.internal_listener', InternalListenerSchema)],
  });
}

type ClusterInit = Init<typeof ClusterSchema>;
type AddressInit = ReturnType<typeof socketAddress>;

function plainCluster(name: string, address: AddressInit, host?: string): ClusterInit {
  return {
    name,
    clusterDiscoveryType: { case: 'type', value: host === undefined || isIp(host) ? Cluster_DiscoveryType.STATIC : Cluster_DiscoveryType.STRICT_DNS },
    connectTimeout: milliseconds(CONNECT_TIMEOUT_MS),
    loadAssignment: { clusterName: name, endpoints: [{ lbEndpoints: [{ hostIdentifier: { case: 'endpoint', value: { address } } }] }] },
  };
}

function http2Cluster(name: string, address: AddressInit, host?: string): ClusterInit {
  return {
    ...plainCluster(name, address, host),
    typedExtensionProtocolOptions: {
      'envoy.extensions.upstreams.http.v3.HttpProtocolOptions': any(HttpProtocolOptionsSchema, {
        upstreamProtocolOptions: {
          case: 'explicitHttpConfig',
          value: {
            protocolConfig: {
              case: 'http2ProtocolOptions',
              value: { connectionKeepalive: { interval: milliseconds(KEEPALIVE_INTERVAL_MS), timeout: milliseconds(KEEPALIVE_TIMEOUT_MS) } },
            },
          },
        },
      }),
    },
  };
}

/** JSON text of it, which `envoy -c FILE.json` reads. */
export function bootstrapText(bootstrap: Bootstrap): string {
  const registry = createRegistry(InternalListenerSchema, UpstreamTlsContextSchema, HttpProtocolOptionsSchema);
  return `${toJsonString(BootstrapSchema, bootstrap, { registry, prettySpaces: 2 })}\n`;
}
