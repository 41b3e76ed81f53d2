import { ipFamily } from '../address/ip.ts';
import type { ReadinessProbe, WorkloadEntrySpec, WorkloadGroupSpec } from '../kinds/workloads.ts';
import { type FieldError, forbidden, invalid, required } from '../schema/field-error.ts';
import { checkLabels, checkNotNegative, checkPort, checkPortName, checkUnixAddress, isUnixAddress } from './checks.ts';
import { domainFault } from './names.ts';

/** What a ServiceEntry says of its endpoints. */
export interface EndpointRules {
  /** Names of the service's ports; undefined for a WorkloadEntry, whose service is not known. */
  readonly servicePorts?: ReadonlySet<string>;
  /** STATIC endpoints are addresses, not names. */
  readonly ipOnly?: boolean;
  /** DNS resolves names: a socket has none. */
  readonly noSocket?: boolean;
}

/** What is wrong with a WorkloadEntry that its schema accepts. */
export function workloadEntryErrors(spec: WorkloadEntrySpec): readonly FieldError[] {
  const errors: FieldError[] = [];
  checkEndpoint(spec, 'spec', {}, errors);
  return errors;
}

export function checkEndpoint(endpoint: WorkloadEntrySpec, path: string, { servicePorts, ipOnly, noSocket }: EndpointRules, errors: FieldError[]): void {
  const { address = '', ports = {} } = endpoint;
  if (isUnixAddress(address) && noSocket !== true) {
    checkUnixAddress(address, `${path}.address`, errors);
    if (Object.keys(ports).length > 0) errors.push(forbidden(`${path}.ports`, 'a Unix socket has no ports'));
    if (servicePorts !== undefined && servicePorts.size > 1)
      errors.push(invalid(`${path}.address`, address, 'a Unix socket serves one port, and the service has several'));
  } else if (address === '') {
    if (noSocket === true || !endpoint.network) errors.push(required(`${path}.address`, 'Address is required'));
  } else if (ipFamily(address) === undefined) {
    if (ipOnly === true) errors.push(invalid(`${path}.address`, address, 'must be an IP address, since the resolution is STATIC'));
    else if (domainFault(address) !== undefined) errors.push(invalid(`${path}.address`, address, 'must be an IP address or a domain name'));
  }
  for (const [name, port] of Object.entries(ports)) {
    const place = `${path}.ports.${name}`;
    if (servicePorts !== undefined && !servicePorts.has(name)) errors.push(invalid(place, port, `the service has no port "${name}"`));
    checkPortName(name, place, errors);
    checkPort(port, place, errors);
  }
  checkLabels(endpoint.labels, `${path}.labels`, errors);
}

/** What is wrong with a WorkloadGroup that its schema accepts. Its template lacks what each of its workloads brings. */
export function workloadGroupErrors(spec: WorkloadGroupSpec): readonly FieldError[] {
  const errors: FieldError[] = [];
  checkLabels(spec.metadata?.labels, 'spec.metadata.labels', errors);
  if (spec.probe !== undefined) checkProbe(spec.probe, 'spec.probe', errors);
  return errors;
}

function checkProbe(probe: ReadinessProbe, path: string, errors: FieldError[]): void {
  checkNotNegative(probe as Readonly<Record<string, unknown>>, path, errors);
  const { httpGet, tcpSocket, exec, grpc } = probe;
  if ([httpGet, tcpSocket, exec, grpc].every((method) => method === undefined)) errors.push(required(path, 'one of httpGet, tcpSocket, exec and grpc'));
  checkPort(httpGet?.port, `${path}.httpGet.port`, errors);
  checkPort(tcpSocket?.port, `${path}.tcpSocket.port`, errors);
  if (!['', 'HTTP', 'HTTPS'].includes(httpGet?.scheme ?? '')) errors.push(invalid(`${path}.httpGet.scheme`, httpGet?.scheme ?? '', 'must be HTTP or HTTPS'));
  for (const [index, { name = '' }] of (httpGet?.httpHeaders ?? []).entries()) {
    if (!/^[-A-Za-z0-9]+$/.test(name)) errors.push(invalid(`${path}.httpGet.httpHeaders[${index}].name`, name, 'must be letters, digits and "-"'));
  }
  if (exec !== undefined && (exec.command ?? []).length === 0) errors.push(required(`${path}.exec.command`, 'the command to run'));
}
