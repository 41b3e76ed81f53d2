import type { Any } from '@bufbuild/protobuf/wkt';
import type { HttpFilter } from '@outrigger/xds/protos/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager';
import type { RbacFilter } from '../filters/rbac/rbac.ts';
import type { CompileReport } from '../routing/compile-result.ts';
import { typeNameOf } from './fields.ts';

/** The filters of an HTTP connection manager in their order. */
export interface HttpFilters {
  readonly rbac: readonly RbacFilter[];
}

/** Network RBAC. */
export type NetworkPolicy = RbacFilter;

const ROUTER = 'envoy.extensions.filters.http.router.v3.Router';
/** Their work is done by the engine itself, or they only count. */
const INHERENT: ReadonlySet<string> = new Set([
  'envoy.extensions.filters.http.on_demand.v3.OnDemand',
  'envoy.extensions.filters.http.dynamic_forward_proxy.v3.FilterConfig',
  'envoy.extensions.filters.http.grpc_stats.v3.FilterConfig',
]);

/** An unknown filter is an error unless it is optional: it may be the one that keeps somebody out. */
export function compileHttpFilters(filters: readonly HttpFilter[], path: string, report: CompileReport): HttpFilters {
  const rbac: RbacFilter[] = [];
  let routed = false;
  filters.forEach((filter, index) => {
    const at = `${path}[${index}]`;
    const any = filter.configType.case === 'typedConfig' ? filter.configType.value : undefined;
    const type = typeNameOf(any);
    if (routed) report.error(at, 'stands behind the router, which ends the chain');
    if (type === ROUTER) routed = true;
    else if (!INHERENT.has(type)) {
      if (filter.isOptional) report.ignore(at);
      else report.error(at, `HTTP filter ${type === '' ? filter.name : type} is not supported by this proxy`);
    }
  });
  if (!routed) report.error(path, 'needs envoy.filters.http.router as the last filter');
  return { rbac };
}

export function compileNetworkPolicy(any: Any | undefined, path: string, report: CompileReport): NetworkPolicy | undefined {
  report.error(path, `${typeNameOf(any)} is not supported by this proxy`);
  return undefined;
}
