import type { JsonObject } from '@bufbuild/protobuf';
import type { Instance, Service, ServicePort } from '@outrigger/resources';
import type { ClusterSchema } from '@outrigger/xds/protos/envoy/config/cluster/v3/cluster';
import { ProxyProtocolConfig_Version } from '@outrigger/xds/protos/envoy/config/core/v3/proxy_protocol';
import { ProxyProtocolUpstreamTransportSchema } from '@outrigger/xds/protos/envoy/extensions/transport_sockets/proxy_protocol/v3/upstream_proxy_protocol';
import { UpstreamTlsContextSchema } from '@outrigger/xds/protos/envoy/extensions/transport_sockets/tls/v3/tls';
import { type OutboundName, sniCluster } from '../cluster-name.ts';
import { any, filter, type Init } from '../messages.ts';
import { isHttp } from '../protocols.ts';
import type { Reader } from '../reader.ts';
import { backendTls } from './backend-tls.ts';
import { spiffeId } from './endpoints.ts';
import { rawBuffer, TLS_SOCKET, type TransportSocketInit, upstreamMeshTls, upstreamOwnTls } from './tls.ts';
import type { EffectivePolicy } from './traffic-policy.ts';

type Fields = Pick<Init<typeof ClusterSchema>, 'transportSocket' | 'transportSocketMatches'>;

interface Upstream {
  readonly service: Service;
  readonly port: ServicePort;
  readonly parsed: OutboundName;
  readonly policy: EffectivePolicy;
  /** Those whose identity may be met, meshed or (a gateway, whose resources say what it takes) not. */
  readonly instances: readonly Instance[];
  /** Instances that take mesh mTLS on this port. */
  readonly meshed: readonly Instance[];
  /** All instances do, or there is none yet and those that come will. */
  readonly allMeshed: boolean;
  readonly http2: boolean;
  /** Its endpoints are addresses that are dialled, of which nothing is told. */
  readonly whereDialled: boolean;
}

const ALPN = {
  http2: ['istio-h2', 'h2'],
  http: ['istio-http/1.1', 'http/1.1'],
  tcp: ['istio'],
} as const;

/** What of ALPN v3 has no field for: requests to a port that declares nothing are told from connections to it by what is offered. */
export const sniffedMetadata: JsonObject = { httpAlpn: [...ALPN.http] };

const PROXY_SOCKET = 'envoy.transport_sockets.upstream_proxy_protocol';

/** Where no instance is known nobody is who we look for. */
const NOBODY = 'spiffe://nobody.invalid/';

/** How connections to a cluster begin: secured, and behind a PROXY header where a DestinationRule asks for one. */
export function transportSecurity(reader: Reader, upstream: Upstream): Fields {
  const secured = security(reader, upstream);
  const placed = upstream.policy.proxyProtocol;
  if (placed === undefined) return secured;
  const toSidecars = upstream.whereDialled
    ? secured.transportSocket !== undefined && upstream.allMeshed && upstream.policy.tls === undefined
    : secured.transportSocketMatches !== undefined && upstream.meshed.length > 0;
  if (reader.node.dataPlane === 'grpc' || toSidecars) {
    reader.ignored(placed.rule, placed.field, reader.node.dataPlane === 'grpc' ? 'gRPC clients send no PROXY header' : 'a sidecar takes no PROXY header');
    return secured;
  }
  const version = ProxyProtocolConfig_Version[placed.value.version ?? 'V1'];
  const transportSocket = secured.transportSocket ?? rawBuffer;
  return { transportSocket: filter(PROXY_SOCKET, ProxyProtocolUpstreamTransportSchema, { config: { version }, transportSocket }) };
}

/** Mesh mTLS to what has a sidecar, plain text to the rest, or as a DestinationRule says. */
function security(reader: Reader, upstream: Upstream): Fields {
  const { service, port, parsed, policy, http2 } = upstream;
  const placed = policy.tls;
  const alpn = http2 ? ALPN.http2 : isHttp(port.protocol) ? ALPN.http : ALPN.tcp;
  const ids = service.subjectAltNames.length > 0 ? service.subjectAltNames : idsOf(upstream.meshed);
  const sni = sniCluster(parsed.port, parsed.subset, parsed.host);
  if (reader.node.dataPlane === 'grpc') return grpcSecurity(reader, upstream, ids);
  const mutual = (exact = ids, name = sni): TransportSocketInit =>
    upstreamMeshTls({ exact: exact.length > 0 ? exact : [NOBODY] }, alpn, name, reader.settings.minMeshTls);
  switch (placed?.value.mode) {
    case 'DISABLE':
      return { transportSocket: rawBuffer };
    case 'ISTIO_MUTUAL':
      return {
        transportSocket: mutual(
          placed.value.subjectAltNames?.length ? placed.value.subjectAltNames : service.subjectAltNames.length > 0 ? ids : idsOf(upstream.instances),
          placed.value.sni || sni,
        ),
      };
    case 'SIMPLE':
    case 'MUTUAL':
      return { transportSocket: upstreamOwnTls(placed.value, service.hostname, http2 ? ['h2'] : isHttp(port.protocol) ? ['http/1.1'] : []) };
    default: {
      const policy = backendTls(reader, service, port, http2 ? ['h2'] : isHttp(port.protocol) || port.protocol === 'HTTPS' ? ['http/1.1'] : []);
      if (policy !== undefined) return { transportSocket: policy };
      const foundByName = service.resolution !== 'STATIC' || service.bySrv === true;
      if ((foundByName && upstream.meshed.length === 0) || !reader.settings.autoMtls) return {};
      // All or none: no endpoint says of itself whether it has a sidecar.
      if (upstream.whereDialled) return upstream.allMeshed ? { transportSocket: mutual() } : {};
      return {
        transportSocketMatches: [
          { name: 'tlsMode-istio', match: { tlsMode: 'istio' }, transportSocket: mutual() },
          { name: 'tlsMode-disabled', match: {}, transportSocket: rawBuffer },
        ],
      };
    }
  }
}

function idsOf(instances: readonly Instance[]): readonly string[] {
  return [...new Set(instances.map(spiffeId))].sort();
}

/** gRPC knows one transport socket for a whole cluster, with certificates from its bootstrap's provider. */
function grpcSecurity(reader: Reader, upstream: Upstream, ids: readonly string[]): Fields {
  const { meshed, allMeshed } = upstream;
  const placed = upstream.policy.tls;
  const mode = placed?.value.mode;
  if (mode === 'SIMPLE' || mode === 'MUTUAL') reader.ignored(placed!.rule, `${placed!.field}.mode`, 'gRPC clients have the mesh identity or none', 'grpc');
  if (!reader.node.certificates || mode === 'DISABLE' || (mode !== 'ISTIO_MUTUAL' && ((meshed.length === 0 && !allMeshed) || !reader.settings.autoMtls)))
    return {};
  const provider = { instanceName: 'default', certificateName: '' };
  return {
    transportSocket: {
      name: TLS_SOCKET,
      configType: {
        case: 'typedConfig',
        value: any(UpstreamTlsContextSchema, {
          commonTlsContext: {
            tlsCertificateProviderInstance: provider,
            validationContextType: {
              case: 'validationContext',
              value: {
                caCertificateProviderInstance: provider,
                // The older field: gRPC reads (and so verifies) this one alone.
                matchSubjectAltNames: (ids.length > 0 ? ids : [NOBODY]).map((id) => ({ matchPattern: { case: 'exact', value: id } as const })),
              },
            },
          },
        }),
      },
    },
  };
}
