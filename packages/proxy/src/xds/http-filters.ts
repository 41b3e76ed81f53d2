import type { Any } from '@bufbuild/protobuf/wkt';
import { RouterSchema } from '@outrigger/xds/protos/envoy/extensions/filters/http/router/v3/router';
import type { HttpFilter } from '@outrigger/xds/protos/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager';
import { RBACSchema as NetworkRbacSchema } from '@outrigger/xds/protos/envoy/extensions/filters/network/rbac/v3/rbac';
import { type ChainLink, HttpFilterChain } from '../filters/filter-chain.ts';
import { filterTypes } from '../filters/filter-types.ts';
import type { FilterContext } from '../filters/http-filter.ts';
import { compileNetworkRbac, type RbacFilter } from '../filters/rbac/rbac.ts';
import type { CompileReport } from '../routing/compile-result.ts';
import { checkFields, fieldPolicy, typeNameOf, unpack } from './fields.ts';

/** Network RBAC. */
export type NetworkPolicy = RbacFilter;

// This proxy never adds headers of Envoy's own.
const ROUTER = fieldPolicy(
  'suppress_envoy_headers',
  `dynamic_stats start_child_span upstream_log upstream_log_options strict_check_headers respect_expected_rq_timeout
   suppress_grpc_request_failure_code_stats`,
);
/** Their work is done by the engine itself, or they only count. */
const INHERENT: ReadonlySet<string> = new Set([
  'envoy.extensions.filters.http.on_demand.v3.OnDemand',
  'envoy.extensions.filters.http.dynamic_forward_proxy.v3.FilterConfig',
  'envoy.extensions.filters.http.grpc_stats.v3.FilterConfig',
]);

/** An unknown filter is an error unless it is optional: it may be the one that keeps somebody out. */
export function compileHttpFilters(filters: readonly HttpFilter[], path: string, context: FilterContext, report: CompileReport): HttpFilterChain {
  const links: ChainLink[] = [];
  let routed = false;
  filters.forEach((filter, index) => {
    const at = `${path}[${index}]`;
    const any = filter.configType.case === 'typedConfig' ? filter.configType.value : undefined;
    const type = typeNameOf(any);
    if (filter.configType.case === 'configDiscovery') {
      report.error(`${at}.config_discovery`, 'not supported by this proxy');
      return;
    }
    if (routed) report.error(at, 'stands behind the router, which ends the chain');
    if (type === RouterSchema.typeName) {
      routed = true;
      const config = unpack(any, RouterSchema, `${at}.typed_config`, report);
      if (config !== undefined) checkFields(RouterSchema, config, ROUTER, `${at}.typed_config`, report);
      if (filter.disabled) report.error(`${at}.disabled`, 'the router cannot be switched off');
      return;
    }
    const known = filterTypes.get(type);
    if (known === undefined) {
      if (INHERENT.has(type)) return;
      if (filter.isOptional) report.ignore(at);
      else report.error(at, `HTTP filter ${type === '' ? filter.name : type} is not supported by this proxy`);
      return;
    }
    const made = known.compile(any, filter.name, `${at}.typed_config`, context, report);
    if (made !== null) links.push({ filter: made, disabled: filter.disabled });
  });
  if (!routed) report.error(path, 'needs envoy.filters.http.router as the last filter');
  return new HttpFilterChain(links);
}

export function compileNetworkPolicy(any: Any | undefined, path: string, report: CompileReport): NetworkPolicy | undefined {
  const config = unpack(any, NetworkRbacSchema, path, report);
  return config === undefined ? undefined : compileNetworkRbac(config, path, report);
}
