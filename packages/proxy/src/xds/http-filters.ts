import type { Any } from '@bufbuild/protobuf/wkt';
import { HTTPFaultSchema } from '@outrigger/xds/protos/envoy/extensions/filters/http/fault/v3/fault';
import { HeaderMutationSchema } from '@outrigger/xds/protos/envoy/extensions/filters/http/header_mutation/v3/header_mutation';
import { RBACSchema } from '@outrigger/xds/protos/envoy/extensions/filters/http/rbac/v3/rbac';
import { RouterSchema } from '@outrigger/xds/protos/envoy/extensions/filters/http/router/v3/router';
import type { HttpFilter } from '@outrigger/xds/protos/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager';
import { RBACSchema as NetworkRbacSchema } from '@outrigger/xds/protos/envoy/extensions/filters/network/rbac/v3/rbac';
import { compileFault, type FaultPolicy } from '../filters/fault.ts';
import { type CompiledMutations, compileMutations } from '../filters/header-mutation.ts';
import { compileHttpRbac, compileNetworkRbac, type RbacFilter } from '../filters/rbac/rbac.ts';
import type { CompileReport } from '../routing/compile-result.ts';
import { checkFields, fieldPolicy, typeNameOf, unpack } from './fields.ts';

export interface NamedRbac {
  readonly name: string;
  readonly filter: RbacFilter;
}

export interface NamedFault {
  readonly name: string;
  readonly policy: FaultPolicy;
}

export interface NamedMutations extends CompiledMutations {
  readonly name: string;
}

/** The filters of an HTTP connection manager. They run in the order RBAC, CORS, header mutation, fault, router. */
export interface HttpFilters {
  readonly rbac: readonly NamedRbac[];
  /** Its name, '' if there is none. */
  readonly cors: string;
  /** null: there is no such filter. */
  readonly fault: NamedFault | null;
  readonly mutations: NamedMutations | null;
}

/** Network RBAC. */
export type NetworkPolicy = RbacFilter;

// This proxy never adds headers of Envoy's own.
const ROUTER = fieldPolicy(
  'suppress_envoy_headers',
  `dynamic_stats start_child_span upstream_log upstream_log_options strict_check_headers respect_expected_rq_timeout
   suppress_grpc_request_failure_code_stats`,
);
const CORS = 'envoy.extensions.filters.http.cors.v3.Cors';
/** Their work is done by the engine itself, or they only count. */
const INHERENT: ReadonlySet<string> = new Set([
  'envoy.extensions.filters.http.on_demand.v3.OnDemand',
  'envoy.extensions.filters.http.dynamic_forward_proxy.v3.FilterConfig',
  'envoy.extensions.filters.http.grpc_stats.v3.FilterConfig',
]);

/** One of each is all that the engine has a place for. */
const ONCE: ReadonlySet<string> = new Set([CORS, HTTPFaultSchema.typeName, HeaderMutationSchema.typeName]);

/** An unknown filter is an error unless it is optional: it may be the one that keeps somebody out. */
export function compileHttpFilters(filters: readonly HttpFilter[], path: string, report: CompileReport): HttpFilters {
  const rbac: NamedRbac[] = [];
  let cors = '';
  let fault: NamedFault | null = null;
  let mutations: NamedMutations | null = null;
  let routed = false;
  const kinds = new Set<string>();
  filters.forEach((filter, index) => {
    const at = `${path}[${index}]`;
    const any = filter.configType.case === 'typedConfig' ? filter.configType.value : undefined;
    const type = typeNameOf(any);
    if (filter.configType.case === 'configDiscovery') {
      report.error(`${at}.config_discovery`, 'not supported by this proxy');
      return;
    }
    if (filter.disabled) {
      report.error(`${at}.disabled`, 'not supported by this proxy');
      return;
    }
    if (routed) report.error(at, 'stands behind the router, which ends the chain');
    if (ONCE.has(type) && kinds.has(type)) report.error(at, `a second ${type} is not supported by this proxy`);
    // Policies would be held against what the client sent, and not against what the filter before them made of it.
    if (type === RBACSchema.typeName && mutations !== null) report.error(at, 'an RBAC filter behind a header mutation is not supported by this proxy');
    kinds.add(type);
    switch (type) {
      case RouterSchema.typeName: {
        routed = true;
        const config = unpack(any, RouterSchema, `${at}.typed_config`, report);
        if (config !== undefined) checkFields(RouterSchema, config, ROUTER, `${at}.typed_config`, report);
        return;
      }
      case CORS:
        cors = filter.name;
        return;
      case RBACSchema.typeName: {
        const config = unpack(any, RBACSchema, `${at}.typed_config`, report);
        if (config !== undefined) rbac.push({ name: filter.name, filter: compileHttpRbac(config, `${at}.typed_config`, report) });
        return;
      }
      case HTTPFaultSchema.typeName: {
        const config = unpack(any, HTTPFaultSchema, `${at}.typed_config`, report);
        if (config !== undefined) fault = { name: filter.name, policy: compileFault(config, `${at}.typed_config`, report) };
        return;
      }
      case HeaderMutationSchema.typeName: {
        const config = unpack(any, HeaderMutationSchema, `${at}.typed_config`, report);
        if (config !== undefined) mutations = { name: filter.name, ...compileMutations(config.mutations, `${at}.typed_config.mutations`, report) };
        return;
      }
      default:
        if (INHERENT.has(type)) return;
        if (filter.isOptional) report.ignore(at);
        else report.error(at, `HTTP filter ${type === '' ? filter.name : type} is not supported by this proxy`);
    }
  });
  if (!routed) report.error(path, 'needs envoy.filters.http.router as the last filter');
  return { rbac, cors, fault, mutations };
}

export function compileNetworkPolicy(any: Any | undefined, path: string, report: CompileReport): NetworkPolicy | undefined {
  const config = unpack(any, NetworkRbacSchema, path, report);
  return config === undefined ? undefined : compileNetworkRbac(config, path, report);
}
