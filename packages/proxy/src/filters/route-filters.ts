import type { Any } from '@bufbuild/protobuf/wkt';
import { FilterConfigSchema } from '@outrigger/xds/protos/envoy/config/route/v3/route_components';
import { CorsPolicySchema } from '@outrigger/xds/protos/envoy/extensions/filters/http/cors/v3/cors';
import { HTTPFaultSchema } from '@outrigger/xds/protos/envoy/extensions/filters/http/fault/v3/fault';
import { HeaderMutationPerRouteSchema } from '@outrigger/xds/protos/envoy/extensions/filters/http/header_mutation/v3/header_mutation';
import { RBACPerRouteSchema } from '@outrigger/xds/protos/envoy/extensions/filters/http/rbac/v3/rbac';
import type { CompileReport } from '../routing/compile-result.ts';
import { concatMutations, type HeaderMutations, NO_MUTATIONS } from '../routing/header-mutations.ts';
import { typeNameOf, unpack } from '../xds/fields.ts';
import { type CorsPolicy, compileCors, NO_CORS } from './cors.ts';
import { compileFault, type FaultPolicy, NO_FAULT } from './fault.ts';
import { compileMutations } from './header-mutation.ts';
import { ALLOW_EVERYTHING, compileHttpRbac, type RbacFilter } from './rbac/rbac.ts';

/** What typed_per_filter_config of one level (configuration, virtual host, route) says; null: nothing. */
export interface FilterLevel {
  readonly cors: CorsPolicy | null;
  readonly fault: FaultPolicy | null;
  /** By the filter's name: there may be several, and each has its own. */
  readonly rbac: ReadonlyMap<string, RbacFilter>;
  readonly requestMutations: HeaderMutations;
  readonly responseMutations: HeaderMutations;
  readonly disabled: ReadonlySet<string>;
  readonly enabled: ReadonlySet<string>;
}

/** HTTP filters' settings of a route, worked out over all levels. */
export interface RouteFilters {
  readonly cors: CorsPolicy;
  readonly fault: FaultPolicy;
  /** Instead of the policy of the filter of that name. */
  readonly rbac: ReadonlyMap<string, RbacFilter>;
  readonly requestMutations: HeaderMutations;
  readonly responseMutations: HeaderMutations;
  /** Names of filters that are switched off here (FilterConfig.disabled). */
  readonly disabled: ReadonlySet<string>;
}

export function compileFilterLevel(configs: Readonly<Record<string, Any>>, path: string, report: CompileReport): FilterLevel {
  const level = {
    cors: null as CorsPolicy | null,
    fault: null as FaultPolicy | null,
    rbac: new Map<string, RbacFilter>(),
    requestMutations: NO_MUTATIONS,
    responseMutations: NO_MUTATIONS,
    disabled: new Set<string>(),
    enabled: new Set<string>(),
  };
  for (const [name, outer] of Object.entries(configs)) {
    const at = `${path}[${JSON.stringify(name)}]`;
    let any: Any | undefined = outer;
    let optional = false;
    if (typeNameOf(outer) === FilterConfigSchema.typeName) {
      const wrapper = unpack(outer, FilterConfigSchema, at, report);
      optional = wrapper?.isOptional ?? false;
      if (wrapper?.disabled) {
        level.disabled.add(name);
        continue;
      }
      level.enabled.add(name);
      any = wrapper?.config;
      if (any === undefined) continue;
    }
    switch (typeNameOf(any)) {
      case CorsPolicySchema.typeName: {
        const cors = unpack(any, CorsPolicySchema, at, report);
        if (cors !== undefined) level.cors = compileCors(cors, at, report);
        break;
      }
      case HTTPFaultSchema.typeName: {
        const fault = unpack(any, HTTPFaultSchema, at, report);
        if (fault !== undefined) level.fault = compileFault(fault, at, report);
        break;
      }
      case HeaderMutationPerRouteSchema.typeName: {
        const mutations = compileMutations(unpack(any, HeaderMutationPerRouteSchema, at, report)?.mutations, `${at}.mutations`, report);
        level.requestMutations = mutations.request;
        level.responseMutations = mutations.response;
        break;
      }
      case RBACPerRouteSchema.typeName: {
        const perRoute = unpack(any, RBACPerRouteSchema, at, report);
        // Without an inner policy the filter is off for this route.
        if (perRoute !== undefined) level.rbac.set(name, perRoute.rbac === undefined ? ALLOW_EVERYTHING : compileHttpRbac(perRoute.rbac, `${at}.rbac`, report));
        break;
      }
      default:
        if (optional) report.ignore(at);
        else report.error(at, `${typeNameOf(any)} is not supported by this proxy`);
    }
  }
  return level;
}

/** The most specific level wins; header mutations of all levels run, the most specific first. `levels` come in that order. */
export function mergeFilterLevels(levels: readonly FilterLevel[], legacyCors: CorsPolicy | null): RouteFilters {
  const disabled = new Set<string>();
  const rbac = new Map<string, RbacFilter>();
  for (const level of [...levels].reverse()) {
    for (const [name, filter] of level.rbac) rbac.set(name, filter);
    for (const name of level.enabled) disabled.delete(name);
    for (const name of level.disabled) disabled.add(name);
  }
  const first = <T>(of: (level: FilterLevel) => T | null): T | null => {
    for (const level of levels) {
      const value = of(level);
      if (value !== null) return value;
    }
    return null;
  };
  return {
    cors: first((level) => level.cors) ?? legacyCors ?? NO_CORS,
    fault: first((level) => level.fault) ?? NO_FAULT,
    rbac,
    requestMutations: concatMutations(levels.map((level) => level.requestMutations)),
    responseMutations: concatMutations(levels.map((level) => level.responseMutations)),
    disabled,
  };
}
