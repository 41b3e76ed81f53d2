import { readFileSync } from 'node:fs';
import { createSecureContext, getCiphers } from 'node:tls';
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
  type TlsSessionTicketKeys,
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
import { durationMs } from '../routing/duration.ts';
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
  'trusted_ca match_typed_subject_alt_names match_subject_alt_names verify_certificate_spki verify_certificate_hash trust_chain_verification crl',
  'watched_directory',
);
const COMMON = fieldPolicy(
  'tls_params tls_certificates tls_certificate_sds_secret_configs validation_context validation_context_sds_secret_config combined_validation_context alpn_protocols',
  'key_log',
);
const PARAMETERS = fieldPolicy('tls_minimum_protocol_version tls_maximum_protocol_version cipher_suites ecdh_curves signature_algorithms');
const DOWNSTREAM = fieldPolicy(
  // Sessions are resumed by tickets alone: there is no state to be resumed from.
  `common_tls_context require_client_certificate require_sni disable_stateless_session_resumption disable_stateful_session_resumption
   session_ticket_keys session_timeout`,
  'session_ticket_keys_sds_secret_config full_scan_certs_on_sni_mismatch',
);
const UPSTREAM = fieldPolicy('common_tls_context sni max_session_keys', 'allow_renegotiation enforce_rsa_key_usage');

/** As in Envoy: name (16), HMAC (32), AES (32). */
const TICKET_KEY_BYTES = 80;
/** Envoy's. */
const DEFAULT_MAX_SESSION_KEYS = 1;

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

/** What TLS would refuse later, with the good one gone, is refused now. */
export function checkCertificate({ chainPem, keyPem }: CertificatePem, path: string, report: CompileReport): void {
  try {
    createSecureContext({ cert: chainPem, key: keyPem });
  } catch (cause) {
    report.error(path, `the certificate or key cannot be used: ${(cause as Error).message}`);
  }
}

export const NO_RULES: PeerRules = { trustedCaPem: '', sanMatchers: [], spkiSha256: [], certificateSha256: [], crlPem: '' };

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
        dnsName: type === 'dns' && matcher.matcher?.matchPattern.case === 'exact' ? matcher.matcher.matchPattern.value.toLowerCase() : '',
        matcher: compileStringMatcher(matcher.matcher, `${at}.matcher`, report),
        text: `${type} ${matcher.matcher?.matchPattern.case} ${String(matcher.matcher?.matchPattern.value)}`,
      });
  });
  config.matchSubjectAltNames.forEach((pattern, index) => {
    const matcher = compileStringMatcher(pattern, `${path}.match_subject_alt_names[${index}]`, report);
    for (const type of ['uri', 'dns'] as const)
      sanMatchers.push({ type, dnsName: '', matcher, text: `${type} ${pattern.matchPattern.case} ${String(pattern.matchPattern.value)}` });
  });
  return {
    trustedCaPem: config.trustedCa === undefined ? '' : readDataSource(config.trustedCa, `${path}.trusted_ca`, report),
    sanMatchers,
    spkiSha256: config.verifyCertificateSpki,
    crlPem: config.crl === undefined ? '' : readDataSource(config.crl, `${path}.crl`, report),
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

/** Those of TLS 1.3, which the field does not bear on; without them Node would take it for switched off. */
const TLS_13_CIPHERS = 'TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256:TLS_AES_128_GCM_SHA256';

/** Names of OpenSSL; "[A|B]" are equally good to Envoy, and in their order here. */
function compileCipherSuites(suites: readonly string[], path: string, report: CompileReport): string {
  const names = suites.flatMap((suite) => suite.replace(/^\[|\]$/g, '').split('|'));
  if (names.length === 0) return '';
  const known = getCiphers();
  names.forEach((name, index) => {
    if (!known.includes(name.toLowerCase())) report.error(`${path}[${index}]`, `${name} is no cipher suite that this proxy knows`);
  });
  return [...names, TLS_13_CIPHERS].join(':');
}

function compileCommon(config: CommonTlsContext | undefined, path: string, report: CompileReport): TlsSettings {
  if (config === undefined)
    return {
      certificates: [],
      validation: null,
      alpn: [],
      minVersion: 'TLSv1.2',
      maxVersion: 'TLSv1.3',
      cipherSuites: '',
      curves: '',
      signatureAlgorithms: '',
    };
  checkFields(CommonTlsContextSchema, config, COMMON, path, report);
  const parameters = config.tlsParams;
  if (parameters !== undefined) checkFields(TlsParametersSchema, parameters, PARAMETERS, `${path}.tls_params`, report);
  const certificates = config.tlsCertificates.map((message, index): CertificateSource => {
    const at = `${path}.tls_certificates[${index}]`;
    const before = report.errors.length;
    const certificate = compileCertificate(message, at, report);
    if (report.errors.length === before) checkCertificate(certificate, at, report);
    return { kind: 'inline', certificate };
  });
  for (const secret of config.tlsCertificateSdsSecretConfigs) certificates.push({ kind: 'sds', name: secret.name });
  return {
    certificates,
    validation: compileValidation(config, path, report),
    alpn: config.alpnProtocols,
    minVersion: version(parameters?.tlsMinimumProtocolVersion, 'TLSv1.2', `${path}.tls_params.tls_minimum_protocol_version`, report),
    maxVersion: version(parameters?.tlsMaximumProtocolVersion, 'TLSv1.3', `${path}.tls_params.tls_maximum_protocol_version`, report),
    cipherSuites: compileCipherSuites(parameters?.cipherSuites ?? [], `${path}.tls_params.cipher_suites`, report),
    curves: (parameters?.ecdhCurves ?? []).join(':'),
    signatureAlgorithms: (parameters?.signatureAlgorithms ?? []).join(':'),
    ...secretWait(config),
  };
}

/** `initial_fetch_timeout` of the secrets, the longest; nothing where one is to be waited for. */
function secretWait(config: CommonTlsContext): Pick<TlsSettings, 'secretWaitMs'> {
  const type = config.validationContextType;
  const rules =
    type.case === 'validationContextSdsSecretConfig'
      ? type.value
      : type.case === 'combinedValidationContext'
        ? type.value.validationContextSdsSecretConfig
        : undefined;
  let longestMs = 0;
  for (const secret of rules === undefined ? config.tlsCertificateSdsSecretConfigs : [...config.tlsCertificateSdsSecretConfigs, rules]) {
    const ms = durationMs(secret.sdsConfig?.initialFetchTimeout, 0);
    if (ms === 0) return {};
    longestMs = Math.max(longestMs, ms);
  }
  return longestMs === 0 ? {} : { secretWaitMs: longestMs };
}

export function compileDownstreamTls(config: DownstreamTlsContext, path: string, report: CompileReport): DownstreamTlsSettings {
  checkFields(DownstreamTlsContextSchema, config, DOWNSTREAM, path, report);
  const common = compileCommon(config.commonTlsContext, `${path}.common_tls_context`, report);
  if (common.certificates.length === 0) report.error(`${path}.common_tls_context.tls_certificates`, 'a server needs a certificate');
  const requireClientCertificate = config.requireClientCertificate ?? false;
  if (requireClientCertificate && common.validation === null)
    report.error(`${path}.require_client_certificate`, 'needs a validation context to check the certificate with');
  const { sessionTicketKeysType: tickets } = config;
  return {
    ...common,
    requireClientCertificate,
    requireSni: config.requireSni ?? false,
    sessionTickets: !(tickets.case === 'disableStatelessSessionResumption' && tickets.value),
    sessionTicketKey: tickets.case === 'sessionTicketKeys' ? compileTicketKey(tickets.value, `${path}.session_ticket_keys`, report) : null,
    sessionTimeoutSeconds: Math.floor(durationMs(config.sessionTimeout, 0) / 1000),
  };
}

/** Tickets are made with the first; the others would only open older ones, whose clients make a whole handshake instead. */
function compileTicketKey(config: TlsSessionTicketKeys, path: string, report: CompileReport): Buffer | null {
  const keys = config.keys.map((key, index) => {
    const at = `${path}.keys[${index}]`;
    const bytes = readBytes(key, at, report);
    if (bytes !== undefined && bytes.length !== TICKET_KEY_BYTES) report.error(at, `must have ${TICKET_KEY_BYTES} bytes`);
    return bytes;
  });
  if (keys.length === 0) report.error(`${path}.keys`, 'must not be empty');
  return keys[0] ?? null;
}

function readBytes(source: DataSource, path: string, report: CompileReport): Buffer | undefined {
  const { specifier } = source;
  if (specifier.case === 'inlineBytes') return Buffer.from(specifier.value);
  if (specifier.case !== 'filename') return Buffer.from(readDataSource(source, path, report));
  try {
    return readFileSync(specifier.value);
  } catch (cause) {
    report.error(`${path}.filename`, `cannot be read: ${(cause as Error).message}`);
    return undefined;
  }
}

export function compileUpstreamTls(config: UpstreamTlsContext, path: string, report: CompileReport): UpstreamTlsSettings {
  checkFields(UpstreamTlsContextSchema, config, UPSTREAM, path, report);
  return {
    ...compileCommon(config.commonTlsContext, `${path}.common_tls_context`, report),
    sni: config.sni,
    maxSessionKeys: config.maxSessionKeys ?? DEFAULT_MAX_SESSION_KEYS,
  };
}
