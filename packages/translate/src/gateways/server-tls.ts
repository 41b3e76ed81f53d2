import type { TlsProtocol } from '@outrigger/resources';
import { SubjectAltNameMatcher_SanType, TlsParameters_TlsProtocol } from '@outrigger/xds/protos/envoy/extensions/transport_sockets/tls/v3/common';
import { type CommonTlsContextSchema, DownstreamTlsContextSchema } from '@outrigger/xds/protos/envoy/extensions/transport_sockets/tls/v3/tls';
import { downstreamMeshTls, sdsSecret, TLS_SOCKET, type TransportSocketInit } from '../clusters/tls.ts';
import { any, type Init } from '../messages.ts';
import type { Reader } from '../reader.ts';
import type { ServerTls } from './server.ts';

const protocols: Readonly<Record<TlsProtocol, TlsParameters_TlsProtocol>> = {
  TLS_AUTO: TlsParameters_TlsProtocol.TLS_AUTO,
  TLSV1_0: TlsParameters_TlsProtocol.TLSv1_0,
  TLSV1_1: TlsParameters_TlsProtocol.TLSv1_1,
  TLSV1_2: TlsParameters_TlsProtocol.TLSv1_2,
  TLSV1_3: TlsParameters_TlsProtocol.TLSv1_3,
};

/** A secret that is missing on the machine is not waited for: the other servers of the port must serve. */
const SECRET_WAIT_MS = 1_000;

/** The TLS of one server; undefined where it is not ended here. */
export function serverTls(reader: Reader, tls: ServerTls, alpn: readonly string[]): TransportSocketInit | undefined {
  if (tls.kind === 'passthrough' || tls.kind === 'auto-passthrough') return undefined;
  if (tls.kind === 'mesh') {
    const { trustDomain, trustDomainAliases, minMeshTls } = reader.settings;
    return downstreamMeshTls({ prefix: [trustDomain, ...trustDomainAliases].map((domain) => `spiffe://${domain}/`) }, alpn, minMeshTls);
  }
  const authorities = tls.clientAuthorities === undefined ? undefined : sdsSecret(tls.clientAuthorities, SECRET_WAIT_MS);
  const context: Init<typeof CommonTlsContextSchema> = {
    tlsParams: {
      tlsMinimumProtocolVersion: tls.minProtocol === 'TLS_AUTO' ? TlsParameters_TlsProtocol.TLSv1_2 : protocols[tls.minProtocol],
      ...(tls.maxProtocol === 'TLS_AUTO' ? {} : { tlsMaximumProtocolVersion: protocols[tls.maxProtocol] }),
      cipherSuites: [...tls.cipherSuites],
    },
    alpnProtocols: [...alpn],
    tlsCertificateSdsSecretConfigs: tls.certificates.map((name) => sdsSecret(name, SECRET_WAIT_MS)),
    ...(authorities === undefined
      ? {}
      : {
          validationContextType:
            tls.subjectAltNames.length === 0
              ? ({ case: 'validationContextSdsSecretConfig', value: authorities } as const)
              : ({
                  case: 'combinedValidationContext',
                  value: {
                    defaultValidationContext: { matchTypedSubjectAltNames: matchers(tls.subjectAltNames) },
                    validationContextSdsSecretConfig: authorities,
                  },
                } as const),
        }),
  };
  return {
    name: TLS_SOCKET,
    configType: {
      case: 'typedConfig',
      value: any(DownstreamTlsContextSchema, {
        commonTlsContext: context,
        requireClientCertificate: tls.requireClientCertificate,
        // A resumed session would not show its certificate again, to authorities that may be others by now.
        ...(authorities === undefined
          ? {}
          : { sessionTicketKeysType: { case: 'disableStatelessSessionResumption', value: true }, disableStatefulSessionResumption: true }),
      }),
    },
  };
}

function matchers(names: readonly string[]) {
  return names.map((name) => ({
    sanType: name.includes('://') ? SubjectAltNameMatcher_SanType.URI : SubjectAltNameMatcher_SanType.DNS,
    matcher: { matchPattern: { case: 'exact', value: name } as const },
  }));
}
