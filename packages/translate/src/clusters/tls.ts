import type { Any } from '@bufbuild/protobuf/wkt';
import type { ClientTlsSettings } from '@outrigger/resources';
import { ApiConfigSource_ApiType, ApiVersion } from '@outrigger/xds/protos/envoy/config/core/v3/config_source';
import { RawBufferSchema } from '@outrigger/xds/protos/envoy/extensions/transport_sockets/raw_buffer/v3/raw_buffer';
import { SubjectAltNameMatcher_SanType, TlsParameters_TlsProtocol } from '@outrigger/xds/protos/envoy/extensions/transport_sockets/tls/v3/common';
import type { SdsSecretConfigSchema } from '@outrigger/xds/protos/envoy/extensions/transport_sockets/tls/v3/secret';
import {
  type CommonTlsContextSchema,
  DownstreamTlsContextSchema,
  UpstreamTlsContextSchema,
} from '@outrigger/xds/protos/envoy/extensions/transport_sockets/tls/v3/tls';
import { SDS_CLUSTER } from '../cluster-name.ts';
import { any, type Init, milliseconds } from '../messages.ts';
import type { MeshSettings } from '../settings.ts';

/** A transport socket: name and typed_config. */
export interface TransportSocketInit {
  readonly name: string;
  readonly configType: { readonly case: 'typedConfig'; readonly value: Any };
}

export const TLS_SOCKET = 'envoy.transport_sockets.tls';
export const IDENTITY_SECRET = 'default';
export const BUNDLE_SECRET = 'ROOTCA';
/** Where Linux distributions keep the public authorities. */
export const SYSTEM_BUNDLE_FILE = '/etc/ssl/certs/ca-certificates.crt';

/** A secret from the agent beside the proxy. `waitMs`: a listener is held back so long for it; 0: until it is there. */
export function sdsSecret(name: string, waitMs = 0): Init<typeof SdsSecretConfigSchema> {
  return {
    name,
    sdsConfig: {
      initialFetchTimeout: milliseconds(waitMs),
      resourceApiVersion: ApiVersion.V3,
      configSourceSpecifier: {
        case: 'apiConfigSource',
        value: {
          apiType: ApiConfigSource_ApiType.DELTA_GRPC,
          transportApiVersion: ApiVersion.V3,
          setNodeOnFirstMessageOnly: true,
          grpcServices: [{ targetSpecifier: { case: 'envoyGrpc', value: { clusterName: SDS_CLUSTER } } }],
        },
      },
    },
  };
}

/** SPIFFE ids, exactly or (a trust domain) by prefix. */
export interface PeerNames {
  readonly exact?: readonly string[];
  readonly prefix?: readonly string[];
}

function uriMatchers(peer: PeerNames) {
  const matcher = (pattern: 'exact' | 'prefix', value: string) => ({
    sanType: SubjectAltNameMatcher_SanType.URI,
    matcher: { matchPattern: { case: pattern, value } as const },
  });
  return [...(peer.exact ?? []).map((id) => matcher('exact', id)), ...(peer.prefix ?? []).map((id) => matcher('prefix', id))];
}

/** Our identity, the mesh's trust bundle, and whom to accept. */
export function meshTls(peer: PeerNames, alpn: readonly string[], least: MeshSettings['minMeshTls'] = 'TLSv1_2'): Init<typeof CommonTlsContextSchema> {
  return {
    tlsParams: { tlsMinimumProtocolVersion: TlsParameters_TlsProtocol[least], tlsMaximumProtocolVersion: TlsParameters_TlsProtocol.TLSv1_3 },
    alpnProtocols: [...alpn],
    tlsCertificateSdsSecretConfigs: [sdsSecret(IDENTITY_SECRET)],
    validationContextType: {
      case: 'combinedValidationContext',
      value: { defaultValidationContext: { matchTypedSubjectAltNames: uriMatchers(peer) }, validationContextSdsSecretConfig: sdsSecret(BUNDLE_SECRET) },
    },
  };
}

export function upstreamMeshTls(peer: PeerNames, alpn: readonly string[], sni: string, least?: MeshSettings['minMeshTls']): TransportSocketInit {
  // maxSessionKeys 0: a resumed session would skip the peer's certificate and keep our old one.
  return {
    name: TLS_SOCKET,
    configType: { case: 'typedConfig', value: any(UpstreamTlsContextSchema, { commonTlsContext: meshTls(peer, alpn, least), sni, maxSessionKeys: 0 }) },
  };
}

export function downstreamMeshTls(peer: PeerNames, alpn: readonly string[], least: MeshSettings['minMeshTls']): TransportSocketInit {
  return {
    name: TLS_SOCKET,
    configType: {
      case: 'typedConfig',
      value: any(DownstreamTlsContextSchema, {
        commonTlsContext: meshTls(peer, alpn, least),
        requireClientCertificate: true,
        sessionTicketKeysType: { case: 'disableStatelessSessionResumption', value: true },
        disableStatefulSessionResumption: true,
      }),
    },
  };
}

/** A DestinationRule's SIMPLE or MUTUAL: TLS of its own, with files of the proxy's machine. */
export function upstreamOwnTls(tls: ClientTlsSettings, host: string, alpn: readonly string[]): TransportSocketInit {
  const sni = tls.sni !== undefined && tls.sni !== '' ? tls.sni : host.startsWith('*.') ? '' : host;
  const names = tls.subjectAltNames !== undefined && tls.subjectAltNames.length > 0 ? tls.subjectAltNames : sni === '' ? [] : [sni];
  const dns = SubjectAltNameMatcher_SanType.DNS;
  const matchers = names.map((name) => ({
    sanType: name.includes('://') ? SubjectAltNameMatcher_SanType.URI : dns,
    matcher: { matchPattern: { case: 'exact', value: name } as const },
  }));
  const file = (filename: string) => ({ specifier: { case: 'filename', value: filename } as const });
  const bundle = tls.caCertificates !== undefined && tls.caCertificates !== '' && tls.caCertificates !== 'system' ? tls.caCertificates : SYSTEM_BUNDLE_FILE;
  const context: Init<typeof CommonTlsContextSchema> = {
    alpnProtocols: [...alpn],
    ...(tls.mode === 'MUTUAL' ? { tlsCertificates: [{ certificateChain: file(tls.clientCertificate ?? ''), privateKey: file(tls.privateKey ?? '') }] } : {}),
    ...(tls.insecureSkipVerify === true
      ? {}
      : {
          validationContextType: {
            case: 'validationContext',
            value: { trustedCa: file(bundle), matchTypedSubjectAltNames: matchers, ...(tls.caCrl ? { crl: file(tls.caCrl) } : {}) },
          },
        }),
  };
  return { name: TLS_SOCKET, configType: { case: 'typedConfig', value: any(UpstreamTlsContextSchema, { commonTlsContext: context, sni }) } };
}

export const rawBuffer: TransportSocketInit = { name: 'envoy.transport_sockets.raw_buffer', configType: { case: 'typedConfig', value: any(RawBufferSchema) } };
