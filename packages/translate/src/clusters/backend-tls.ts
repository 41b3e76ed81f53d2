import { type ApiGatewaySpec, type BackendTlsPolicySpec, type Resource, refOf, refText, type Service, type ServicePort } from '@outrigger/resources';
import { SubjectAltNameMatcher_SanType } from '@outrigger/xds/protos/envoy/extensions/transport_sockets/tls/v3/common';
import { UpstreamTlsContextSchema } from '@outrigger/xds/protos/envoy/extensions/transport_sockets/tls/v3/tls';
import { backendAuthorities } from '../gateways/api/backend-authorities.ts';
import { ourGateways, servesGateway } from '../gateways/api/gateways.ts';
import { secretOf } from '../gateways/api/references.ts';
import { apiAuthoritiesSecret, apiCredentialSecret } from '../gateways/secret-names.ts';
import { any } from '../messages.ts';
import type { Reader } from '../reader.ts';
import { SYSTEM_BUNDLE_FILE, sdsSecret, TLS_SOCKET, type TransportSocketInit } from './tls.ts';

type Policy = Resource<BackendTlsPolicySpec>;

/** TLS to a service as a BackendTLSPolicy has it; undefined: none names this port of it. */
export function backendTls(reader: Reader, service: Service, port: ServicePort, alpn: readonly string[]): TransportSocketInit | undefined {
  if (reader.node.gateway === undefined) return undefined;
  const policy = policyFor(reader, service, port);
  if (policy === undefined) return undefined;
  reader.uses(policy);
  const { hostname, subjectAltNames = [] } = policy.spec.validation;
  const names =
    subjectAltNames.length === 0
      ? [{ type: 'Hostname', name: hostname }]
      : subjectAltNames.map(({ type, hostname: host = '', uri = '' }) => ({ type, name: type === 'URI' ? uri : host }));
  const certificate = clientCertificate(reader);
  return {
    name: TLS_SOCKET,
    configType: {
      case: 'typedConfig',
      value: any(UpstreamTlsContextSchema, {
        sni: hostname,
        commonTlsContext: {
          alpnProtocols: [...alpn],
          ...(certificate === undefined ? {} : { tlsCertificateSdsSecretConfigs: [sdsSecret(certificate)] }),
          validationContextType: authorities(
            reader,
            policy,
            names.map(({ type, name }) => ({
              sanType: SubjectAltNameMatcher_SanType[type === 'URI' ? 'URI' : 'DNS'],
              matcher: { matchPattern: { case: 'exact', value: name } as const },
            })),
          ),
        },
      }),
    },
  };
}

/** One that names the port before one that names the service; of equals the oldest. */
function policyFor(reader: Reader, service: Service, port: ServicePort): Policy | undefined {
  const naming = reader
    .gatewayApi<BackendTlsPolicySpec>('BackendTLSPolicy')
    .filter(({ metadata }) => metadata.namespace === service.namespace)
    .flatMap((policy) =>
      policy.spec.targetRefs
        .filter(({ group, kind, name }) => group === '' && kind === 'Service' && name === service.name)
        .map(({ sectionName }) => ({ policy, sectionName })),
    );
  const exact = naming.find(({ sectionName }) => sectionName === port.name && sectionName !== '');
  const chosen = exact ?? naming.find(({ sectionName }) => sectionName === undefined || sectionName === '');
  for (const { policy, sectionName } of naming)
    if (chosen !== undefined && policy !== chosen.policy && sectionName === chosen.sectionName)
      reader.ignored(policy, 'spec.targetRefs', `${refText(refOf(chosen.policy))} is older and has the same target`);
  return chosen?.policy;
}

/** Without any that can be known a connection trusts nobody. */
function authorities(
  reader: Reader,
  policy: Policy,
  matchTypedSubjectAltNames: readonly { sanType: SubjectAltNameMatcher_SanType; matcher: { matchPattern: { case: 'exact'; value: string } } }[],
) {
  const { system, names, bad } = backendAuthorities(policy);
  const defaults = { matchTypedSubjectAltNames: [...matchTypedSubjectAltNames] };
  if (system)
    return {
      case: 'validationContext',
      value: { ...defaults, trustedCa: { specifier: { case: 'filename', value: SYSTEM_BUNDLE_FILE } as const } },
    } as const;
  for (const { field, message } of bad) reader.ignored(policy, `spec.${field}`, `${message}${names.length === 0 ? ': nobody is trusted' : ''}`);
  return {
    case: 'combinedValidationContext',
    value: {
      defaultValidationContext: defaults,
      validationContextSdsSecretConfig: sdsSecret(apiAuthoritiesSecret(names.length === 0 ? [`${policy.metadata.namespace}/nobody.invalid`] : names)),
    },
  } as const;
}

/** Of the Gateway that the node serves. */
function clientCertificate(reader: Reader): string | undefined {
  for (const gateway of ourGateways(reader)) {
    if (!servesGateway(reader.node, gateway, reader.settings.domainSuffix)) continue;
    const owner: Resource<ApiGatewaySpec> = gateway.of ?? gateway;
    const reference = owner.spec.tls?.backend?.clientCertificateRef;
    if (reference === undefined) continue;
    const secret = secretOf(reader, owner, reference, ['Secret']);
    if (typeof secret === 'string') return apiCredentialSecret(secret);
    reader.ignored(owner, 'spec.tls.backend.clientCertificateRef', secret.message);
  }
  return undefined;
}
