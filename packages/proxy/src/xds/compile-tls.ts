import { readFileSync } from 'node:fs';
import type { DataSource } from '@outrigger/xds/protos/envoy/config/core/v3/base';
import {
  type CertificateValidationContext,
  CertificateValidationContext_TrustChainVerification,
  CertificateValidationContextSchema,
  SubjectAltNameMatcher_SanType,
  type TlsCertificate,
  TlsCertificateSchema,
  TlsParameters_TlsProtocol,
  TlsParametersSchema,
} from '@outrigger/xds/protos/envoy/extensions/transport_sockets/tls/v3/common';
import {
  type CommonTlsContext,
  CommonTlsContextSchema,
  type DownstreamTlsContext,
  DownstreamTlsContextSchema,
  type UpstreamTlsContext,
  UpstreamTlsContextSchema,
} from '@outrigger/xds/protos/envoy/extensions/transport_sockets/tls/v3/tls';
import type { CompileReport } from '../routing/compile-result.ts';
import { compileStringMatcher } from '../routing/string-matcher.ts';
import { checkFields, fieldPolicy } from './fields.ts';
import type {
  CertificatePem,
  CertificateSource,
  DownstreamTlsSettings,
  PeerRules,
  SanMatcher,
  SanType,
  TlsSettings,
  UpstreamTlsSettings,
  ValidationSettings,
} from './tls-settings.ts';

const CERTIFICATE = fieldPolicy('certificate_chain private_key', 'watched_directory ocsp_staple signed_certificate_timestamp');
const VALIDATION = fieldPolicy(
  'trusted_ca match_typed_subject_alt_names match_subject_alt_names verify_certificate_spki verify_certificate_hash trust_chain_verification',
  'watched_directory',
);
const COMMON = fieldPolicy(
  'tls_params tls_certificates tls_certificate_sds_secret_configs validation_context validation_context_sds_secret_config combined_validation_context alpn_protocols',
  'key_log',
);
const PARAMETERS = fieldPolicy('tls_minimum_protocol_version tls_maximum_protocol_version cipher_suites', 'ecdh_curves signature_algorithms');
const DOWNSTREAM = fieldPolicy(
  // No session is ever resumed.
  'common_tls_context require_client_certificate require_sni disable_stateless_session_resumption disable_stateful_session_resumption',
  'session_ticket_keys session_ticket_keys_sds_secret_config session_timeout ocsp_staple_policy full_scan_certs_on_sni_mismatch',
);
const UPSTREAM = fieldPolicy('common_tls_context sni max_session_keys', 'allow_renegotiation enforce_rsa_key_usage');

const SAN_TYPES: ReadonlyMap<SubjectAltNameMatcher_SanType, SanType> = new Map([
  [SubjectAltNameMatcher_SanType.URI, 'uri'],
  [SubjectAltNameMatcher_SanType.DNS, 'dns'],
  [SubjectAltNameMatcher_SanType.EMAIL, 'email'],
  [SubjectAltNameMatcher_SanType.IP_ADDRESS, 'ip'],
]);

/** '' (and an error) where it cannot be read. The content itself is never put into a message. */
export function readDataSource(source: DataSource | undefined, path: string, report: CompileReport): string {
  const specifier = source?.specifier;
  switch (specifier?.case) {
    case 'inlineString':
      return specifier.value;
    case 'inlineBytes':
      return Buffer.from(specifier.value).toString('utf8');
    case 'environmentVariable':
      return process.env[specifier.value] ?? '';
    case 'filename':
      try {
        return readFileSync(specifier.value, 'utf8');
      } catch (cause) {
        report.error(`${path}.filename`, `cannot be read: ${(cause as Error).message}`);
        return '';
      }
    default:
      report.error(path, 'needs a filename, inline_string, inline_bytes or environment_variable');
      return '';
  }
}

export function compileCertificate(config: TlsCertificate, path: string, report: CompileReport): CertificatePem {
  checkFields(TlsCertificateSchema, config, CERTIFICATE, path, report);
  return {
    chainPem: readDataSource(config.certificateChain, `${path}.certificate_chain`, report),
    keyPem: readDataSource(config.privateKey, `${path}.private_key`, report),
  };
}

export const NO_RULES: PeerRules = { trustedCaPem: '', sanMatchers: [], spkiSha256: [], certificateSha256: [] };

export function compilePeerRules(config: CertificateValidationContext | undefined, path: string, report: CompileReport): PeerRules {
  if (config === undefined) return NO_RULES;
  checkFields(CertificateValidationContextSchema, config, VALIDATION, path, report);
  if (config.trustChainVerification !== CertificateValidationContext_TrustChainVerification.VERIFY_TRUST_CHAIN) {
    report.error(`${path}.trust_chain_verification`, 'ACCEPT_UNTRUSTED is not supported by this proxy');
  }
  const sanMatchers: SanMatcher[] = [];
  config.matchTypedSubjectAltNames.forEach((matcher, index) => {
    const at = `${path}.match_typed_subject_alt_names[${index}]`;
    const type = SAN_TYPES.get(matcher.sanType);
    if (type === undefined) report.error(`${at}.san_type`, 'must be URI, DNS, EMAIL or IP_ADDRESS');
    else
      sanMatchers.push({
        type,
        matcher: compileStringMatcher(matcher.matcher, `${at}.matcher`, report),
        text: `${type} ${matcher.matcher?.matchPattern.case} ${String(matcher.matcher?.matchPattern.value)}`,
      });
  });
  config.matchSubjectAltNames.forEach((pattern, index) => {
    const matcher = compileStringMatcher(pattern, `${path}.match_subject_alt_names[${index}]`, report);
    for (const type of ['uri', 'dns'] as const)
      sanMatchers.push({ type, matcher, text: `${type} ${pattern.matchPattern.case} ${String(pattern.matchPattern.value)}` });
  });
  return {
    trustedCaPem: config.trustedCa === undefined ? '' : readDataSource(config.trustedCa, `${path}.trusted_ca`, report),
    sanMatchers,
    spkiSha256: config.verifyCertificateSpki,
    certificateSha256: config.verifyCertificateHash.map((hash) => hash.replaceAll(':', '').toLowerCase()),
  };
}

function compileValidation(config: CommonTlsContext, path: string, report: CompileReport): ValidationSettings | null {
  const type = config.validationContextType;
  switch (type.case) {
    case 'validationContext':
      return { rules: compilePeerRules(type.value, `${path}.validation_context`, report), sdsName: '' };
    case 'validationContextSdsSecretConfig':
      return { rules: NO_RULES, sdsName: type.value.name };
    case 'combinedValidationContext':
      return {
        rules: compilePeerRules(type.value.defaultValidationContext, `${path}.combined_validation_context.default_validation_context`, report),
        sdsName: type.value.validationContextSdsSecretConfig?.name ?? '',
      };
    default:
      return null;
  }
}

function version(
  protocol: TlsParameters_TlsProtocol | undefined,
  otherwise: 'TLSv1.2' | 'TLSv1.3',
  path: string,
  report: CompileReport,
): 'TLSv1.2' | 'TLSv1.3' {
  switch (protocol) {
    case undefined:
    case TlsParameters_TlsProtocol.TLS_AUTO:
      return otherwise;
    case TlsParameters_TlsProtocol.TLSv1_2:
      return 'TLSv1.2';
    case TlsParameters_TlsProtocol.TLSv1_3:
      return 'TLSv1.3';
    default:
      report.error(path, 'must be TLSv1_2 or TLSv1_3');
      return otherwise;
  }
}

function compileCommon(config: CommonTlsContext | undefined, path: string, report: CompileReport): TlsSettings {
  if (config === undefined) return { certificates: [], validation: null, alpn: [], minVersion: 'TLSv1.2', maxVersion: 'TLSv1.3', cipherSuites: '' };
  checkFields(CommonTlsContextSchema, config, COMMON, path, report);
  const parameters = config.tlsParams;
  if (parameters !== undefined) checkFields(TlsParametersSchema, parameters, PARAMETERS, `${path}.tls_params`, report);
  const certificates: CertificateSource[] = config.tlsCertificates.map((certificate, index) => ({
    kind: 'inline',
    certificate: compileCertificate(certificate, `${path}.tls_certificates[${index}]`, report),
  }));
  for (const secret of config.tlsCertificateSdsSecretConfigs) certificates.push({ kind: 'sds', name: secret.name });
  return {
    certificates,
    validation: compileValidation(config, path, report),
    alpn: config.alpnProtocols,
    minVersion: version(parameters?.tlsMinimumProtocolVersion, 'TLSv1.2', `${path}.tls_params.tls_minimum_protocol_version`, report),
    maxVersion: version(parameters?.tlsMaximumProtocolVersion, 'TLSv1.3', `${path}.tls_params.tls_maximum_protocol_version`, report),
    cipherSuites: (parameters?.cipherSuites ?? []).join(':'),
  };
}

export function compileDownstreamTls(config: DownstreamTlsContext, path: string, report: CompileReport): DownstreamTlsSettings {
  checkFields(DownstreamTlsContextSchema, config, DOWNSTREAM, path, report);
  const common = compileCommon(config.commonTlsContext, `${path}.common_tls_context`, report);
  if (common.certificates.length === 0) report.error(`${path}.common_tls_context.tls_certificates`, 'a server needs a certificate');
  const requireClientCertificate = config.requireClientCertificate ?? false;
  if (requireClientCertificate && common.validation === null)
    report.error(`${path}.require_client_certificate`, 'needs a validation context to check the certificate with');
  return { ...common, requireClientCertificate, requireSni: config.requireSni ?? false };
}

export function compileUpstreamTls(config: UpstreamTlsContext, path: string, report: CompileReport): UpstreamTlsSettings {
  checkFields(UpstreamTlsContextSchema, config, UPSTREAM, path, report);
  if ((config.maxSessionKeys ?? 0) > 0) report.ignore(`${path}.max_session_keys`);
  return { ...compileCommon(config.commonTlsContext, `${path}.common_tls_context`, report), sni: config.sni };
}
