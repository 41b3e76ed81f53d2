import type { ServiceEntrySpec } from '../kinds/workloads.ts';
import type { Resource } from '../resource.ts';
import { duplicate, type FieldError, forbidden, invalid, required } from '../schema/field-error.ts';
import { checkExportTo, checkPort, checkPortName, checkProtocol, checkSelector } from './checks.ts';
import { domainFault, isSubnet, wildcardDomainFault } from './names.ts';
import { checkSrvNames } from './srv-names.ts';
import { checkEndpoint } from './workloads.ts';

/** What tells several hosts of one port apart: the Host header, or SNI. */
const namesItsHost: ReadonlySet<string> = new Set(['HTTP', 'HTTP2', 'HTTP_PROXY', 'GRPC', 'GRPC-WEB', 'HTTPS', 'TLS']);
const resolvedPerRequest: ReadonlySet<string> = new Set(['HTTP', 'HTTP2', 'GRPC', 'TLS']);
const waypointLabel = 'istio.io/use-waypoint';

/** What is wrong with a ServiceEntry that its schema accepts. */
export function serviceEntryErrors(resource: Resource<ServiceEntrySpec>): readonly FieldError[] {
  const { spec, metadata } = resource;
  const errors: FieldError[] = [];
  const { hosts = [], addresses = [], ports = [], endpoints = [], resolution = 'NONE' } = spec;
  checkSelector(spec.workloadSelector?.labels, 'spec.workloadSelector.labels', errors);
  if (hosts.length === 0) errors.push(required('spec.hosts', 'at least one host'));
  for (const [index, host] of hosts.entries()) {
    const fault = host === '*' ? 'a service cannot be every host' : wildcardDomainFault(host);
    if (fault !== undefined) errors.push(invalid(`spec.hosts[${index}]`, host, fault));
  }
  for (const [index, address] of addresses.entries()) {
    if (!isSubnet(address)) errors.push(invalid(`spec.addresses[${index}]`, address, 'must be an IP address or a CIDR block'));
    else if (address.includes('/') && resolution !== 'NONE' && resolution !== 'STATIC')
      errors.push(invalid(`spec.addresses[${index}]`, address, 'CIDR blocks are for the resolutions NONE and STATIC'));
  }
  checkPorts(spec, errors);
  checkResolution(spec, errors);
  if (resolution !== 'NONE' && hosts.length > 1) {
    const index = ports.findIndex(({ protocol = '' }) => !namesItsHost.has(protocol.toUpperCase()));
    if (index >= 0)
      errors.push(
        invalid(`spec.ports[${index}].protocol`, ports[index]?.protocol ?? '', 'with several hosts a port must be of HTTP or TLS, which say the host'),
      );
  }
  if (resolution === 'DYNAMIC_DNS' && spec.location === 'MESH_INTERNAL' && !/^(?:none)?$/i.test(metadata.labels[waypointLabel] ?? ''))
    errors.push(forbidden('spec.location', 'MESH_INTERNAL with the resolution DYNAMIC_DNS cannot go through a waypoint'));
  const servicePorts = new Set(ports.map(({ name }) => name));
  for (const [index, endpoint] of endpoints.entries()) {
    const rules = resolution === 'STATIC' ? { servicePorts, ipOnly: true } : { servicePorts, noSocket: true };
    if (resolution !== 'NONE') checkEndpoint(endpoint, `spec.endpoints[${index}]`, rules, errors);
  }
  checkExportTo(spec.exportTo, { namespace: metadata.namespace, mayHide: true }, errors);
  checkSrvNames(resource, errors);
  return errors;
}

function checkPorts({ ports = [] }: ServiceEntrySpec, errors: FieldError[]): void {
  const names = new Set<string>();
  for (const [index, port] of ports.entries()) {
    const path = `spec.ports[${index}]`;
    if (names.has(port.name)) errors.push(duplicate(`${path}.name`, port.name));
    names.add(port.name);
    checkPortName(port.name, `${path}.name`, errors);
    checkProtocol(port.protocol, `${path}.protocol`, errors);
    checkPort(port.number, `${path}.number`, errors);
    if (port.targetPort !== 0) checkPort(port.targetPort, `${path}.targetPort`, errors);
  }
}

function checkResolution({ hosts = [], addresses = [], ports = [], endpoints = [], resolution = 'NONE' }: ServiceEntrySpec, errors: FieldError[]): void {
  switch (resolution) {
    case 'NONE':
      if (endpoints.length > 0) errors.push(forbidden('spec.endpoints', 'with the resolution NONE requests go where they were sent'));
      return;
    case 'DNS':
    case 'DNS_ROUND_ROBIN': {
      const index = endpoints.length > 0 ? -1 : hosts.findIndex((host) => domainFault(host) !== undefined);
      if (index >= 0)
        errors.push(
          invalid(`spec.hosts[${index}]`, hosts[index] as string, `must be a domain name, to be resolved by ${resolution} as there are no endpoints`),
        );
      if (resolution === 'DNS_ROUND_ROBIN' && endpoints.length > 1) errors.push(forbidden('spec.endpoints', 'DNS_ROUND_ROBIN resolves one name'));
      return;
    }
    case 'DYNAMIC_DNS':
      for (const [index, host] of hosts.entries()) {
        if (!host.startsWith('*')) errors.push(invalid(`spec.hosts[${index}]`, host, 'must begin with "*.": DYNAMIC_DNS resolves the name of each request'));
      }
      if (addresses.length > 0) errors.push(forbidden('spec.addresses', 'DYNAMIC_DNS goes by names alone'));
      if (endpoints.length > 0) errors.push(forbidden('spec.endpoints', 'DYNAMIC_DNS resolves the name of each request'));
      for (const [index, { protocol = '' }] of ports.entries()) {
        if (!resolvedPerRequest.has(protocol.toUpperCase()))
          errors.push(invalid(`spec.ports[${index}].protocol`, protocol, `DYNAMIC_DNS is for ${[...resolvedPerRequest].join(', ')}`));
      }
      return;
    default:
  }
}
