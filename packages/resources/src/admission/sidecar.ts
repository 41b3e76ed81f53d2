import { ipFamily } from '../address/ip.ts';
import { isPartialWildcard } from '../hosts.ts';
import type { IstioEgressListener, IstioIngressListener, OutboundTrafficPolicy, SidecarPort, SidecarSpec } from '../kinds/workloads.ts';
import { duplicate, type FieldError, forbidden, invalid, required } from '../schema/field-error.ts';
import { checkIp, checkPort, checkPortName, checkProtocol, checkSelector, checkUnixAddress, isUnixAddress } from './checks.ts';
import { checkDestination } from './destinations.ts';
import { domainFault, isDnsLabel, wildcardDomainFault } from './names.ts';
import { checkIngressTls } from './server-tls.ts';
import { checkConnectionPool } from './traffic-policy.ts';

const tlsProtocols: ReadonlySet<string> = new Set(['HTTPS', 'TLS']);
/** Where a sidecar's own application may listen. */
const ownHosts: ReadonlySet<string> = new Set(['', '127.0.0.1', '0.0.0.0', '::1', '::']);

/** What is wrong with a Sidecar that its schema accepts. */
export function sidecarErrors(spec: SidecarSpec): readonly FieldError[] {
  const errors: FieldError[] = [];
  const { ingress = [], egress = [], outboundTrafficPolicy, inboundConnectionPool } = spec;
  checkSelector(spec.workloadSelector?.labels, 'spec.workloadSelector.labels', errors);
  if (ingress.length === 0 && egress.length === 0 && outboundTrafficPolicy === undefined && inboundConnectionPool === undefined)
    errors.push(required('spec', 'a sidecar needs ingress, egress, outboundTrafficPolicy or inboundConnectionPool'));
  checkIngress(ingress, errors);
  checkConnectionPool(inboundConnectionPool, 'spec.inboundConnectionPool', errors);
  checkEgress(egress, errors);
  if (outboundTrafficPolicy !== undefined) checkOutbound(outboundTrafficPolicy, errors);
  return errors;
}

function checkIngress(listeners: readonly IstioIngressListener[], errors: FieldError[]): void {
  const ports = new Set<number>();
  for (const [index, { port, bind = '', defaultEndpoint = '', tls, connectionPool }] of listeners.entries()) {
    const path = `spec.ingress[${index}]`;
    checkListenerPort(port, `${path}.port`, errors);
    checkPort(port.number ?? 0, `${path}.port.number`, errors);
    if (bind !== '') checkIp(bind, `${path}.bind`, errors);
    if (ports.has(port.number ?? 0)) errors.push(duplicate(`${path}.port.number`, port.number ?? 0));
    ports.add(port.number ?? 0);
    if (defaultEndpoint !== '') checkDefaultEndpoint(defaultEndpoint, `${path}.defaultEndpoint`, errors);
    if (tls !== undefined) {
      if (!tlsProtocols.has((port.protocol ?? '').toUpperCase())) errors.push(forbidden(`${path}.tls`, 'is for ports whose protocol is HTTPS or TLS'));
      checkIngressTls(tls, `${path}.tls`, errors);
    }
    checkConnectionPool(connectionPool, `${path}.connectionPool`, errors);
  }
}

function checkListenerPort(port: SidecarPort, path: string, errors: FieldError[]): void {
  if ((port.targetPort ?? 0) > 0) errors.push(forbidden(`${path}.targetPort`, 'is without effect on a Sidecar'));
  if ((port.name ?? '') !== '') checkPortName(port.name as string, `${path}.name`, errors);
  checkProtocol(port.protocol, `${path}.protocol`, errors);
}

/** "127.0.0.1:8080", "[::1]:8080", ":8080", or a Unix socket. */
function checkDefaultEndpoint(endpoint: string, path: string, errors: FieldError[]): void {
  if (isUnixAddress(endpoint)) {
    checkUnixAddress(endpoint, path, errors);
    return;
  }
  const match = /^(?:\[([^\]]*)\]|([^:]*)):(\d+)$/.exec(endpoint);
  const port = Number(match?.[3]);
  if (match === null || !ownHosts.has(match[1] ?? match[2] ?? '') || port < 1 || port > 65_535)
    errors.push(invalid(path, endpoint, 'must be 127.0.0.1:PORT, 0.0.0.0:PORT, [::1]:PORT, [::]:PORT or unix:// and a path'));
}

function checkEgress(listeners: readonly IstioEgressListener[], errors: FieldError[]): void {
  const taken = new Set<string>();
  for (const [index, { port, bind = '', captureMode = 'DEFAULT', hosts = [] }] of listeners.entries()) {
    const path = `spec.egress[${index}]`;
    if (port === undefined) {
      if (index < listeners.length - 1) errors.push(invalid(path, 'object', 'the listener without a port takes all that is left, so it must be the last one'));
    } else {
      checkListenerPort(port, `${path}.port`, errors);
      const key = port.number ? `port ${port.number}` : bind;
      if (taken.has(key)) errors.push(duplicate(port.number ? `${path}.port.number` : `${path}.bind`, port.number ?? bind));
      taken.add(key);
      if (port.number) {
        checkPort(port.number, `${path}.port.number`, errors);
        if (bind !== '') checkIp(bind, `${path}.bind`, errors);
      } else {
        if (!isUnixAddress(bind)) errors.push(invalid(`${path}.bind`, bind, 'a port without a number needs a Unix socket to bind to'));
        else checkUnixAddress(bind, `${path}.bind`, errors);
        if (captureMode === 'IPTABLES') errors.push(forbidden(`${path}.captureMode`, 'a Unix socket cannot capture what IPTABLES redirects'));
      }
    }
    if (hosts.length === 0) errors.push(required(`${path}.hosts`, 'at least one host'));
    for (const [number, host] of hosts.entries()) checkEgressHost(host, `${path}.hosts[${number}]`, errors);
  }
}

/** "NAMESPACE/HOST", each of the two maybe "*"; "." is the own namespace, "~" before one leaves it out. */
function checkEgressHost(entry: string, path: string, errors: FieldError[]): void {
  const slash = entry.indexOf('/');
  const namespace = entry.slice(0, slash).replace(/^~/, '');
  const host = entry.slice(slash + 1);
  if (slash < 1 || host === '') {
    errors.push(invalid(path, entry, 'must be NAMESPACE/HOST, such as */* or ./order-service.default.svc.cluster.local'));
    return;
  }
  if (!['', '*', '.'].includes(namespace) && !isDnsLabel(namespace)) errors.push(invalid(path, entry, `"${entry.slice(0, slash)}" is no namespace`));
  if (host !== '*' && !host.includes('.')) errors.push(invalid(path, entry, 'short names are not allowed here: give the whole name of the host'));
  const fault = wildcardDomainFault(host) ?? (isPartialWildcard(host) ? '"*" may stand only for whole labels, as in *.example.com' : undefined);
  if (fault !== undefined) errors.push(invalid(path, entry, fault));
}

function checkOutbound({ mode = 'REGISTRY_ONLY', egressProxy }: OutboundTrafficPolicy, errors: FieldError[]): void {
  const path = 'spec.outboundTrafficPolicy';
  if ((mode as string) === 'ALLOW_ANY_DYNAMIC_DNS') errors.push(invalid(`${path}.mode`, mode, 'is for the mesh as a whole'));
  if (egressProxy === undefined) return;
  if (mode !== 'ALLOW_ANY') errors.push(forbidden(`${path}.egressProxy`, 'is for the mode ALLOW_ANY'));
  const { host = '' } = egressProxy;
  if (ipFamily(host) !== undefined || domainFault(host) !== undefined) errors.push(invalid(`${path}.egressProxy.host`, host, 'must be a domain name'));
  else checkDestination(egressProxy, `${path}.egressProxy`, errors);
  if (egressProxy.port === undefined) errors.push(required(`${path}.egressProxy.port`, 'the port of the proxy'));
}
