import type { RouteConfiguration } from '@outrigger/xds/protos/envoy/config/route/v3/route';
import type { RouteAction_RequestMirrorPolicy, VirtualHost } from '@outrigger/xds/protos/envoy/config/route/v3/route_components';
import { compileRateLimits, type RateLimitRule } from '../filters/rate-limit/descriptors.ts';
import { compileFilterLevel, type FilterLevel } from '../filters/route-filters.ts';
import type { CompileReport } from './compile-result.ts';
import { compileHeaderMutations, concatMutations, type HeaderMutations } from './header-mutations.ts';

/** Envoy's default of max_direct_response_body_size_bytes. */
const DEFAULT_MAX_DIRECT_RESPONSE_BYTES = 4096;

/** What a route inherits from its virtual host and its configuration. */
export interface RouteScope {
  readonly virtualHost: VirtualHost;
  readonly requestHeaders: readonly HeaderMutations[];
  readonly responseHeaders: readonly HeaderMutations[];
  /** The more specific level's mutations run last and so win. */
  readonly mostSpecificWins: boolean;
  readonly filterLevels: readonly FilterLevel[];
  readonly rateLimits: readonly RateLimitRule[];
  readonly mirrors: readonly RouteAction_RequestMirrorPolicy[];
  readonly mirrorsPath: string;
  readonly maxDirectResponseBytes: number;
}

/** Virtual host first, then configuration. */
export function compileRouteScope(config: RouteConfiguration, virtualHost: VirtualHost, path: string, report: CompileReport): RouteScope {
  const level = (part: RouteConfiguration | VirtualHost, at: string) => ({
    request: compileHeaderMutations(
      part.requestHeadersToAdd,
      part.requestHeadersToRemove,
      `${at}request_headers_to_add`,
      `${at}request_headers_to_remove`,
      report,
    ),
    response: compileHeaderMutations(
      part.responseHeadersToAdd,
      part.responseHeadersToRemove,
      `${at}response_headers_to_add`,
      `${at}response_headers_to_remove`,
      report,
    ),
  });
  const own = level(virtualHost, `${path}.`);
  const whole = level(config, '');
  return {
    virtualHost,
    requestHeaders: [own.request, whole.request],
    responseHeaders: [own.response, whole.response],
    mostSpecificWins: config.mostSpecificHeaderMutationsWins,
    filterLevels: [
      compileFilterLevel(virtualHost.typedPerFilterConfig, `${path}.typed_per_filter_config`, report),
      compileFilterLevel(config.typedPerFilterConfig, 'typed_per_filter_config', report),
    ],
    rateLimits: compileRateLimits(virtualHost.rateLimits, `${path}.rate_limits`, report),
    mirrors: virtualHost.requestMirrorPolicies.length > 0 ? virtualHost.requestMirrorPolicies : config.requestMirrorPolicies,
    mirrorsPath: virtualHost.requestMirrorPolicies.length > 0 ? `${path}.request_mirror_policies` : 'request_mirror_policies',
    maxDirectResponseBytes: config.maxDirectResponseBodySizeBytes ?? DEFAULT_MAX_DIRECT_RESPONSE_BYTES,
  };
}

/** Lists from the most to the least specific level, in the order in which they run: normally the most specific first. */
export function orderMutations(lists: readonly HeaderMutations[], mostSpecificWins: boolean): HeaderMutations {
  return concatMutations(mostSpecificWins ? [...lists].reverse() : lists);
}
