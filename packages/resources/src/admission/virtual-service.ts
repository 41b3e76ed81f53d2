import { ipFamily } from '../address/ip.ts';
import { covers, hostsOverlap } from '../hosts.ts';
import type { HttpRoute, L4MatchAttributes, RouteDestination, TlsMatchAttributes, VirtualServiceSpec } from '../kinds/virtual-service.ts';
import type { Resource } from '../resource.ts';
import { duplicate, type FieldError, forbidden, invalid, required } from '../schema/field-error.ts';
import { checkExportTo, checkLabels, checkPort } from './checks.ts';
import { checkDestination, checkGatewayNames, checkWeights } from './destinations.ts';
import { isClaim } from './http-headers.ts';
import { checkHttpRoute } from './http-route.ts';
import { isSubnet, wildcardDomainFault } from './names.ts';

const meshGateway = 'mesh';
/** SNI of mesh traffic that crosses a gateway: "outbound_.80_.SUBSET_.HOST". */
const meshSniPattern = /^outbound_\.?\d+_[^_]*_\.?[A-Za-z]/;

/** What is wrong with a VirtualService that its schema accepts. */
export function virtualServiceErrors({ spec, metadata }: Resource<VirtualServiceSpec>): readonly FieldError[] {
  const errors: FieldError[] = [];
  const hosts = spec.hosts ?? [];
  const gateways = spec.gateways ?? [];
  const forMesh = gateways.length === 0 || gateways.includes(meshGateway);
  if (hosts.length === 0) checkDelegate(spec, errors);
  checkGatewayNames(gateways, 'spec.gateways', errors);
  checkHosts(spec, hosts, forMesh, errors);
  if ((spec.http ?? []).length === 0 && (spec.tcp ?? []).length === 0 && (spec.tls ?? []).length === 0)
    errors.push(required('spec.http', 'http, tcp or tls must be provided in virtual service'));
  for (const [index, route] of (spec.http ?? []).entries()) {
    checkHttpRoute(route, `spec.http[${index}]`, hosts.length === 0, errors);
    if (forMesh) checkClaims(route, `spec.http[${index}]`, errors);
  }
  for (const [index, route] of (spec.tcp ?? []).entries()) {
    const path = `spec.tcp[${index}]`;
    for (const [number, match] of (route.match ?? []).entries()) checkL4Match(match, `${path}.match[${number}]`, errors);
    checkL4Destinations(route.route ?? [], path, errors);
  }
  for (const [index, route] of (spec.tls ?? []).entries()) {
    const path = `spec.tls[${index}]`;
    if ((route.match ?? []).length === 0) errors.push(required(`${path}.match`, 'a TLS route needs at least one match, with the names that it is for'));
    for (const [number, match] of (route.match ?? []).entries()) {
      checkL4Match(match, `${path}.match[${number}]`, errors);
      checkSniHosts(match, `${path}.match[${number}].sniHosts`, hosts, gateways, errors);
    }
    checkL4Destinations(route.route ?? [], path, errors);
  }
  checkExportTo(spec.exportTo, { namespace: metadata.namespace }, errors);
  return errors;
}

/** Without hosts it is a delegate, a part of another one. */
function checkDelegate(spec: VirtualServiceSpec, errors: FieldError[]): void {
  for (const field of ['gateways', 'tls', 'tcp'] as const) {
    if ((spec[field] ?? []).length > 0)
      errors.push(forbidden(`spec.${field}`, 'a virtual service without hosts is a delegate, and a delegate may have http routes only'));
  }
}

function checkHosts(spec: VirtualServiceSpec, hosts: readonly string[], forMesh: boolean, errors: FieldError[]): void {
  const before = errors.length;
  const bySni = !forMesh && (spec.tls ?? []).some(({ match }) => (match ?? []).some(({ sniHosts }) => (sniHosts ?? []).length > 0));
  for (const [index, host] of hosts.entries()) {
    const path = `spec.hosts[${index}]`;
    if (bySni && meshSniPattern.test(host)) continue;
    const fault = wildcardDomainFault(host);
    if (fault !== undefined && ipFamily(host) === undefined) errors.push(invalid(path, host, fault));
    else if (host === '*' && forMesh) errors.push(invalid(path, host, 'a virtual service of the mesh cannot be for every host'));
  }
  if (errors.length > before) return;
  for (const [index, host] of hosts.entries()) {
    if (hosts.slice(0, index).some((earlier) => hostsOverlap(earlier, host))) errors.push(duplicate(`spec.hosts[${index}]`, host));
  }
}

function checkClaims(route: HttpRoute, path: string, errors: FieldError[]): void {
  for (const [index, match] of (route.match ?? []).entries()) {
    for (const field of ['headers', 'withoutHeaders'] as const) {
      for (const name of Object.keys(match[field] ?? {}))
        if (isClaim(name)) errors.push(forbidden(`${path}.match[${index}].${field}`, `routing by the JWT claim ${name} is for gateways only`));
    }
  }
}

function checkL4Match(match: L4MatchAttributes | TlsMatchAttributes, path: string, errors: FieldError[]): void {
  for (const [index, subnet] of (match.destinationSubnets ?? []).entries()) {
    if (!isSubnet(subnet)) errors.push(invalid(`${path}.destinationSubnets[${index}]`, subnet, 'must be an IP address or a CIDR block'));
  }
  if (match.port !== 0) checkPort(match.port, `${path}.port`, errors);
  checkLabels(match.sourceLabels, `${path}.sourceLabels`, errors);
  checkGatewayNames(match.gateways, `${path}.gateways`, errors);
}

function checkSniHosts({ sniHosts }: TlsMatchAttributes, path: string, hosts: readonly string[], gateways: readonly string[], errors: FieldError[]): void {
  if ((sniHosts ?? []).length === 0) errors.push(required(path, 'at least one name'));
  for (const [index, sni] of (sniHosts ?? []).entries()) {
    const place = `${path}[${index}]`;
    if (ipFamily(sni) !== undefined && wildcardDomainFault(sni) !== undefined) continue;
    const ofMesh = !gateways.includes(meshGateway) && meshSniPattern.test(sni);
    const fault = ofMesh ? undefined : wildcardDomainFault(sni);
    if (fault !== undefined) errors.push(invalid(place, sni, fault));
    else if (!hosts.some((host) => covers(host, sni))) errors.push(invalid(place, sni, `is none of the hosts of the virtual service (${hosts.join(', ')})`));
  }
}

function checkL4Destinations(destinations: readonly RouteDestination[], path: string, errors: FieldError[]): void {
  if (destinations.length === 0) errors.push(required(`${path}.route`, 'at least one destination is needed'));
  checkWeights(destinations, `${path}.route`, errors);
  for (const [index, { destination }] of destinations.entries()) checkDestination(destination, `${path}.route[${index}].destination`, errors);
}
