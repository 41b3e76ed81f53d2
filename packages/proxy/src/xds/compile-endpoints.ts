import type { JsonObject } from '@bufbuild/protobuf';
import type { Address } from '@outrigger/xds/protos/envoy/config/core/v3/address';
import type { Locality, Metadata } from '@outrigger/xds/protos/envoy/config/core/v3/base';
import { HealthStatus } from '@outrigger/xds/protos/envoy/config/core/v3/health_check';
import {
  type ClusterLoadAssignment,
  ClusterLoadAssignment_PolicySchema,
  ClusterLoadAssignmentSchema,
} from '@outrigger/xds/protos/envoy/config/endpoint/v3/endpoint';
import {
  type Endpoint,
  Endpoint_AdditionalAddressSchema,
  Endpoint_HealthCheckConfigSchema,
  EndpointSchema,
  LbEndpointSchema,
  LocalityLbEndpointsSchema,
} from '@outrigger/xds/protos/envoy/config/endpoint/v3/endpoint_components';
import { atOnce, type Steps } from '@outrigger/xds/slices';
import { type HostHealth, MAX_HOST_WEIGHT, NO_METADATA } from '../lb/host.ts';
import { CompileReport, type CompileResult } from '../routing/compile-result.ts';
import { type EndpointAddress, type EndpointCheck, type EndpointConfig, type EndpointSetConfig, PLAIN_CHECK } from './endpoint-config.ts';
import { checkFields, fieldPolicy } from './fields.ts';

const ASSIGNMENT = fieldPolicy('cluster_name endpoints policy');
const POLICY = fieldPolicy('overprovisioning_factor', 'endpoint_stale_after weighted_priority_health');
const LOCALITY = fieldPolicy('locality lb_endpoints load_balancing_weight priority', 'proximity metadata');
const LB_ENDPOINT = fieldPolicy('endpoint health_status metadata load_balancing_weight');
const ENDPOINT = fieldPolicy('address hostname health_check_config additional_addresses');
const ADDITIONAL = fieldPolicy('address');
const CHECK = fieldPolicy('port_value hostname address disable_active_health_check');

const EMPTY: JsonObject = {};
/** Envoy's limit. */
const MAX_PRIORITY = 128;

const HEALTH: Readonly<Record<number, HostHealth>> = {
  [HealthStatus.UNKNOWN]: 'healthy',
  [HealthStatus.HEALTHY]: 'healthy',
  [HealthStatus.UNHEALTHY]: 'unhealthy',
  [HealthStatus.DRAINING]: 'unhealthy',
  [HealthStatus.TIMEOUT]: 'unhealthy',
  [HealthStatus.DEGRADED]: 'degraded',
};

export function hostPort(host: string, port: number): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}

export function addressText(address: EndpointAddress): string {
  if (address.kind === 'socket') return hostPort(address.host, address.port);
  return address.kind === 'pipe' ? address.path : `internal:${address.listener}`;
}

/** undefined, and an error, where this proxy cannot connect to it or bind it. */
export function compileAddress(config: Address | undefined, path: string, report: CompileReport): EndpointAddress | undefined {
  const address = config?.address;
  switch (address?.case) {
    case 'socketAddress': {
      const port = address.value.portSpecifier;
      if (port.case === 'namedPort') report.error(`${path}.socket_address.named_port`, 'not supported by this proxy');
      if (address.value.protocol !== 0) report.error(`${path}.socket_address.protocol`, 'only TCP is supported');
      if (address.value.address === '') report.error(`${path}.socket_address.address`, 'must not be empty');
      if (port.case !== 'portValue' || port.value > 65_535) {
        report.error(`${path}.socket_address.port_value`, 'must be a port');
        return undefined;
      }
      return { kind: 'socket', host: address.value.address, port: port.value };
    }
    case 'pipe':
      return { kind: 'pipe', path: address.value.path };
    case 'envoyInternalAddress':
      return { kind: 'internal', listener: address.value.addressNameSpecifier.value ?? '' };
    default:
      report.error(path, 'needs a socket_address, pipe or envoy_internal_address');
      return undefined;
  }
}

export function localityText(locality: Locality | undefined): string {
  if (locality === undefined || (locality.region === '' && locality.zone === '')) return '';
  const zone = locality.subZone === '' ? locality.zone : `${locality.zone}/${locality.subZone}`;
  return zone === '' ? locality.region : `${locality.region}/${zone}`;
}

function textOf(metadata: Metadata | undefined, filter: string, key: string): string {
  const value = metadata?.filterMetadata[filter]?.[key];
  return typeof value === 'string' ? value : '';
}

function compileAdditional({ additionalAddresses }: Endpoint, path: string, report: CompileReport): EndpointAddress[] {
  return additionalAddresses.flatMap((additional, index) => {
    checkFields(Endpoint_AdditionalAddressSchema, additional, ADDITIONAL, `${path}[${index}]`, report);
    const address = compileAddress(additional.address, `${path}[${index}].address`, report);
    return address === undefined ? [] : [address];
  });
}

function compileCheck(config: Endpoint['healthCheckConfig'], path: string, report: CompileReport): EndpointCheck {
  if (config === undefined) return PLAIN_CHECK;
  checkFields(Endpoint_HealthCheckConfigSchema, config, CHECK, path, report);
  if (config.portValue > 65_535) report.error(`${path}.port_value`, 'must be a port');
  return {
    disabled: config.disableActiveHealthCheck,
    address: config.address === undefined ? null : (compileAddress(config.address, `${path}.address`, report) ?? null),
    port: config.portValue,
    hostname: config.hostname,
  };
}

export function* endpointSteps(config: ClusterLoadAssignment, path: string, report: CompileReport): Steps<EndpointSetConfig> {
  checkFields(ClusterLoadAssignmentSchema, config, ASSIGNMENT, path, report);
  if (config.policy !== undefined) checkFields(ClusterLoadAssignment_PolicySchema, config.policy, POLICY, `${path}policy`, report);
  const endpoints: EndpointConfig[] = [];
  const seen = new Set<string>();
  for (const [groupIndex, group] of config.endpoints.entries()) {
    const at = `${path}endpoints[${groupIndex}]`;
    checkFields(LocalityLbEndpointsSchema, group, LOCALITY, at, report);
    const locality = localityText(group.locality);
    if (group.priority > MAX_PRIORITY) report.error(`${at}.priority`, `must not be above ${MAX_PRIORITY}`);
    for (const [index, lbEndpoint] of group.lbEndpoints.entries()) {
      if (index > 0) yield;
      const where = `${at}.lb_endpoints[${index}]`;
      checkFields(LbEndpointSchema, lbEndpoint, LB_ENDPOINT, where, report);
      const endpoint = lbEndpoint.hostIdentifier.case === 'endpoint' ? lbEndpoint.hostIdentifier.value : undefined;
      if (endpoint === undefined) {
        report.error(where, 'needs an endpoint');
        continue;
      }
      checkFields(EndpointSchema, endpoint, ENDPOINT, `${where}.endpoint`, report);
      const address = compileAddress(endpoint.address, `${where}.endpoint.address`, report);
      if (address === undefined) continue;
      const text = addressText(address);
      // An address that comes twice is one host, as in Envoy; the first wins.
      if (seen.has(text)) continue;
      seen.add(text);
      const weight = lbEndpoint.loadBalancingWeight ?? 1;
      if (weight === 0 || weight > MAX_HOST_WEIGHT) report.error(`${where}.load_balancing_weight`, `must be 1 to ${MAX_HOST_WEIGHT}`);
      endpoints.push({
        text,
        address,
        additionalAddresses: compileAdditional(endpoint, `${where}.endpoint.additional_addresses`, report),
        hostname: endpoint.hostname,
        weight,
        priority: group.priority,
        locality,
        localityWeight: group.loadBalancingWeight ?? 0,
        health: HEALTH[lbEndpoint.healthStatus] ?? 'unhealthy',
        edsHealth: HealthStatus[lbEndpoint.healthStatus] ?? 'UNKNOWN',
        hashKey: textOf(lbEndpoint.metadata, 'envoy.lb', 'hash_key'),
        healthCheck: compileCheck(endpoint.healthCheckConfig, `${where}.endpoint.health_check_config`, report),
        metadata: lbEndpoint.metadata?.filterMetadata['envoy.lb'] ?? NO_METADATA,
        transportSocketMatch: lbEndpoint.metadata?.filterMetadata['envoy.transport_socket_match'] ?? EMPTY,
        workload: textOf(lbEndpoint.metadata, 'istio', 'workload'),
      });
    }
  }
  return { clusterName: config.clusterName, endpoints, overprovisioningFactor: config.policy?.overprovisioningFactor ?? 140 };
}

export function* loadAssignmentSteps(config: ClusterLoadAssignment): Steps<CompileResult<EndpointSetConfig>> {
  const report = new CompileReport();
  return report.result(yield* endpointSteps(config, '', report));
}

export function compileLoadAssignment(config: ClusterLoadAssignment): CompileResult<EndpointSetConfig> {
  return atOnce(loadAssignmentSteps(config));
}
