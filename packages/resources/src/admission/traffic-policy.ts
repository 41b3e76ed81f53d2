import { ipFamily } from '../address/ip.ts';
import { durationMs } from '../duration.ts';
import type { ConnectionPoolSettings, OutlierDetection, PortTrafficPolicy, TrafficPolicy } from '../kinds/destination-rule.ts';
import type { ClientTlsSettings } from '../kinds/shared.ts';
import { type FieldError, forbidden, invalid, required } from '../schema/field-error.ts';
import { checkDuration, checkNotNegative, checkPercent, checkPort } from './checks.ts';
import { checkLoadBalancer } from './load-balancer.ts';
import { domainFault } from './names.ts';

export function checkTrafficPolicy(policy: TrafficPolicy | undefined, path: string, errors: FieldError[]): void {
  if (policy === undefined) return;
  const { tunnel, proxyProtocol, portLevelSettings, retryBudget } = policy;
  const others = [tunnel, proxyProtocol, retryBudget];
  if (saysNothing(policy) && (portLevelSettings ?? []).length === 0 && others.every((field) => field === undefined))
    errors.push(required(path, 'a traffic policy needs at least one field'));
  if (tunnel !== undefined && proxyProtocol !== undefined) errors.push(forbidden(`${path}.proxyProtocol`, 'cannot be set together with tunnel'));
  checkSettings(policy, path, errors);
  for (const [index, settings] of (portLevelSettings ?? []).entries()) {
    const place = `${path}.portLevelSettings[${index}]`;
    if (settings.port === undefined) errors.push(required(`${place}.port`, 'the port that the settings are for'));
    if (saysNothing(settings)) errors.push(required(place, 'the policy of a port needs at least one field'));
    checkSettings(settings, place, errors);
  }
  checkDuration(retryBudget?.budgetInterval, `${path}.retryBudget.budgetInterval`, errors);
  if (tunnel === undefined) return;
  if (!['', 'CONNECT', 'POST'].includes(tunnel.protocol ?? ''))
    errors.push(invalid(`${path}.tunnel.protocol`, tunnel.protocol ?? '', 'must be CONNECT or POST'));
  if (domainFault(tunnel.targetHost) !== undefined && ipFamily(tunnel.targetHost) === undefined)
    errors.push(invalid(`${path}.tunnel.targetHost`, tunnel.targetHost, 'must be a domain name or an IP address'));
  checkPort(tunnel.targetPort, `${path}.tunnel.targetPort`, errors);
}

function saysNothing({ outlierDetection, connectionPool, loadBalancer, tls }: PortTrafficPolicy): boolean {
  return [outlierDetection, connectionPool, loadBalancer, tls].every((field) => field === undefined);
}

function checkSettings(settings: PortTrafficPolicy, path: string, errors: FieldError[]): void {
  checkOutlierDetection(settings.outlierDetection, `${path}.outlierDetection`, errors);
  checkConnectionPool(settings.connectionPool, `${path}.connectionPool`, errors);
  checkLoadBalancer(settings.loadBalancer, `${path}.loadBalancer`, errors);
  checkClientTls(settings.tls, `${path}.tls`, errors);
}

function checkOutlierDetection(detection: OutlierDetection | undefined, path: string, errors: FieldError[]): void {
  if (detection === undefined) return;
  for (const field of ['interval', 'baseEjectionTime'] as const) checkDuration(detection[field], `${path}.${field}`, errors);
  for (const field of ['maxEjectionPercent', 'minHealthPercent'] as const) checkPercent(detection[field], `${path}.${field}`, errors);
  if ((detection.consecutiveLocalOriginFailures ?? 0) > 0 && detection.splitExternalLocalOriginErrors !== true)
    errors.push(forbidden(`${path}.consecutiveLocalOriginFailures`, 'is counted only where splitExternalLocalOriginErrors is true'));
}

export function checkConnectionPool(pool: ConnectionPoolSettings | undefined, path: string, errors: FieldError[]): void {
  if (pool === undefined) return;
  const { http, tcp } = pool;
  if (http === undefined && tcp === undefined) errors.push(required(path, 'a connection pool needs http or tcp'));
  checkNotNegative(http, `${path}.http`, errors);
  checkNotNegative(tcp, `${path}.tcp`, errors);
  checkDuration(http?.idleTimeout, `${path}.http.idleTimeout`, errors);
  if (http?.h2UpgradePolicy === 'UPGRADE' && http.useClientProtocol === true)
    errors.push(forbidden(`${path}.http.useClientProtocol`, 'cannot be true where h2UpgradePolicy is UPGRADE'));
  for (const field of http?.http2KeepAlive === undefined ? [] : (['interval', 'timeout'] as const)) {
    const place = `${path}.http.http2KeepAlive.${field}`;
    if (http?.http2KeepAlive?.[field] === undefined) errors.push(required(place, 'interval and timeout belong together'));
    checkDuration(http?.http2KeepAlive?.[field], place, errors);
  }
  for (const field of ['connectTimeout', 'maxConnectionDuration'] as const) checkDuration(tcp?.[field], `${path}.tcp.${field}`, errors);
  // 0 turns it off.
  if (tcp?.idleTimeout !== undefined && durationMs(tcp.idleTimeout) !== 0) checkDuration(tcp.idleTimeout, `${path}.tcp.idleTimeout`, errors);
  for (const field of ['time', 'interval'] as const) checkDuration(tcp?.tcpKeepalive?.[field], `${path}.tcp.tcpKeepalive.${field}`, errors);
}

function checkClientTls(tls: ClientTlsSettings | undefined, path: string, errors: FieldError[]): void {
  if (tls === undefined) return;
  const { mode, credentialName = '', caCertificates = '' } = tls;
  const own = mode === 'SIMPLE' || mode === 'MUTUAL';
  if (tls.insecureSkipVerify === true && own) {
    const checked = caCertificates !== '' || tls.subjectAltNames !== undefined || (mode === 'SIMPLE' && credentialName !== '');
    if (checked) errors.push(forbidden(`${path}.insecureSkipVerify`, 'the server is not verified, so what it would be verified by cannot be given'));
  }
  if (own && credentialName !== '') {
    if ([tls.clientCertificate, tls.caCertificates, tls.privateKey, tls.caCrl].some((file) => (file ?? '') !== ''))
      errors.push(forbidden(`${path}.credentialName`, 'has the certificates in it: files cannot be given besides'));
  } else if (mode === 'MUTUAL') {
    if (!tls.clientCertificate) errors.push(required(`${path}.clientCertificate`, 'client certificate required for mutual tls'));
    if (!tls.privateKey) errors.push(required(`${path}.privateKey`, 'private key required for mutual tls'));
  }
}
