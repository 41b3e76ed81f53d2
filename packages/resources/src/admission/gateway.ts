import type { GatewayServerSpec, GatewaySpec } from '../kinds/gateway.ts';
import type { ServerTlsSettings } from '../kinds/workloads.ts';
import { duplicate, type FieldError, forbidden, invalid, required } from '../schema/field-error.ts';
import { checkIp, checkPort, checkPortName, checkProtocol, checkUnixAddress, isUnixAddress } from './checks.ts';
import { isDnsLabel, wildcardDomainFault } from './names.ts';

const httpProtocols: ReadonlySet<string> = new Set(['HTTP', 'HTTP2', 'GRPC', 'GRPC-WEB']);
const tlsProtocols: ReadonlySet<string> = new Set(['HTTPS', 'TLS']);
const versions = ['TLSV1_0', 'TLSV1_1', 'TLSV1_2', 'TLSV1_3'];

/** What is wrong with a Gateway that its schema accepts. */
export function gatewayErrors({ servers = [] }: GatewaySpec): readonly FieldError[] {
  const errors: FieldError[] = [];
  if (servers.length === 0) errors.push(required('spec.servers', 'at least one server'));
  const names = new Set<string>();
  for (const [index, server] of servers.entries()) {
    const path = `spec.servers[${index}]`;
    checkServer(server, path, errors);
    if (names.has(server.port.name)) errors.push(duplicate(`${path}.port.name`, server.port.name));
    names.add(server.port.name);
  }
  return errors;
}

function checkServer({ port, bind = '', hosts, tls }: GatewayServerSpec, path: string, errors: FieldError[]): void {
  checkPortName(port.name, `${path}.port.name`, errors);
  checkProtocol(port.protocol, `${path}.port.protocol`, errors);
  if (isUnixAddress(bind)) checkUnixAddress(bind, `${path}.bind`, errors);
  else {
    checkPort(port.number, `${path}.port.number`, errors);
    if (bind !== '') checkIp(bind, `${path}.bind`, errors);
  }
  if (hosts.length === 0) errors.push(required(`${path}.hosts`, 'at least one host'));
  for (const [index, host] of hosts.entries()) checkHost(host, `${path}.hosts[${index}]`, errors);
  const protocol = port.protocol.toUpperCase();
  if (tls === undefined) {
    if (tlsProtocols.has(protocol)) errors.push(required(`${path}.tls`, `a server of ${protocol} needs to be told how TLS ends`));
    return;
  }
  if (httpProtocols.has(protocol)) checkOnlyRedirect(tls, `${path}.tls`, errors);
  else if (!tlsProtocols.has(protocol)) errors.push(forbidden(`${path}.tls`, 'is for servers of HTTPS or TLS'));
  else checkTls(tls, `${path}.tls`, errors);
}

/** "HOST", "NAMESPACE/HOST". */
function checkHost(text: string, path: string, errors: FieldError[]): void {
  const slash = text.indexOf('/');
  const namespace = text.slice(0, Math.max(0, slash));
  if (slash >= 0 && namespace !== '*' && namespace !== '.' && !isDnsLabel(namespace))
    errors.push(invalid(path, text, 'before the "/" stands a namespace, "." or "*"'));
  const fault = wildcardDomainFault(text.slice(slash + 1));
  if (fault !== undefined) errors.push(invalid(path, text, fault));
}

function checkOnlyRedirect(tls: ServerTlsSettings, path: string, errors: FieldError[]): void {
  const why = 'a server of plain HTTP has httpsRedirect alone';
  if (tls.mode !== undefined && tls.mode !== 'PASSTHROUGH' && tls.mode !== 'AUTO_PASSTHROUGH') errors.push(forbidden(`${path}.mode`, why));
  for (const field of ['serverCertificate', 'privateKey', 'caCertificates'] as const)
    if ((tls[field] ?? '') !== '') errors.push(forbidden(`${path}.${field}`, why));
}

function checkTls(tls: ServerTlsSettings, path: string, errors: FieldError[]): void {
  const {
    mode = 'PASSTHROUGH',
    serverCertificate = '',
    privateKey = '',
    caCertificates = '',
    credentialName = '',
    credentialNames = [],
    tlsCertificates = [],
  } = tls;
  if (credentialName !== '' && credentialNames.length > 0)
    errors.push(forbidden(`${path}.credentialNames`, 'stands in the place of credentialName, not beside it'));
  const least = versions.indexOf(tls.minProtocolVersion ?? '');
  const most = versions.indexOf(tls.maxProtocolVersion ?? '');
  if (least >= 0 && most >= 0 && least > most) errors.push(invalid(`${path}.minProtocolVersion`, tls.minProtocolVersion, 'is later than maxProtocolVersion'));
  const named = credentialName !== '' || credentialNames.length > 0;
  if (mode === 'ISTIO_MUTUAL') {
    for (const field of ['serverCertificate', 'privateKey', 'caCertificates', 'credentialName'] as const)
      if ((tls[field] ?? '') !== '') errors.push(forbidden(`${path}.${field}`, "ISTIO_MUTUAL takes the gateway's own identity"));
    return;
  }
  if ((mode !== 'SIMPLE' && mode !== 'MUTUAL' && mode !== 'OPTIONAL_MUTUAL') || named || tlsCertificates.length > 0) return;
  if (serverCertificate === '') errors.push(required(`${path}.serverCertificate`, `${mode} needs a certificate: by credentialName, or by this file`));
  if (privateKey === '') errors.push(required(`${path}.privateKey`, `${mode} needs the private key of the certificate`));
  if (mode !== 'SIMPLE' && caCertificates === '') errors.push(required(`${path}.caCertificates`, `${mode} needs the certificates to verify clients by`));
}
