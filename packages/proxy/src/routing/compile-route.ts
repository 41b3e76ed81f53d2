import { type DataSource, RoutingPriority } from '@outrigger/xds/protos/envoy/config/core/v3/base';
import {
  type HedgePolicy,
  HedgePolicySchema,
  type Route,
  type RouteAction,
  RouteMatchSchema,
  RouteSchema,
} from '@outrigger/xds/protos/envoy/config/route/v3/route_components';
import { compileCors } from '../filters/cors.ts';
import type { RouteSetting } from '../filters/http-filter.ts';
import { compileRateLimits, RouteRateLimits } from '../filters/rate-limit/descriptors.ts';
import { compileFilterLevel, mergeFilterLevels } from '../filters/route-filters.ts';
import { compileRetryPolicy, NO_RETRIES } from '../resilience/compile-retry.ts';
import { checkFields, fieldPolicy } from '../xds/fields.ts';
import {
  checkRouteAction,
  clusterNotFoundStatus,
  compileMirrors,
  compileRedirect,
  compileRedirects,
  compileRewrite,
  compileTarget,
  type ForwardTarget,
} from './compile-action.ts';
import type { CompileReport } from './compile-result.ts';
import { durationMs } from './duration.ts';
import { compileHashPolicies, NO_HASH } from './hash-policy.ts';
import { compileHeaderMutations } from './header-mutations.ts';
import { NO_REWRITE } from './rewrite.ts';
import { type DirectResponse, RouteEntry, type RouteEntryFields } from './route-entry.ts';
import { compileRouteMatch, type RouteMatch } from './route-match.ts';
import { orderMutations, type RouteScope } from './route-scope.ts';

/** Envoy's default of RouteAction.timeout. */
export const DEFAULT_ROUTE_TIMEOUT_MS = 15_000;
/** Metadata keys of docs/xds.md. */
const MESH_METADATA = 'outrigger.dev';
const ISTIO_METADATA = 'istio';

const ROUTE = fieldPolicy(
  `name match route redirect direct_response non_forwarding_action metadata decorator typed_per_filter_config request_headers_to_add
   request_headers_to_remove response_headers_to_add response_headers_to_remove per_request_buffer_limit_bytes`,
  'tracing stat_prefix',
);
const ROUTE_MATCH = fieldPolicy(
  'prefix path safe_regex connect_matcher path_separated_prefix path_match_policy case_sensitive runtime_fraction headers query_parameters grpc tls_context dynamic_metadata',
);

export interface CompiledRoute {
  readonly match: RouteMatch;
  readonly entry: RouteEntry;
}

type Timeouts = Pick<
  RouteEntryFields,
  'timeoutMs' | 'idleTimeoutMs' | 'maxStreamDurationMs' | 'grpcTimeoutMaxMs' | 'grpcTimeoutIsDuration' | 'grpcTimeoutOffsetMs'
>;

const NO_TIMEOUTS: Timeouts = {
  timeoutMs: 0,
  idleTimeoutMs: -1,
  maxStreamDurationMs: -1,
  grpcTimeoutMaxMs: -1,
  grpcTimeoutIsDuration: false,
  grpcTimeoutOffsetMs: 0,
};

function timeoutsOf(action: RouteAction): Timeouts {
  const stream = action.maxStreamDuration;
  return {
    timeoutMs: durationMs(action.timeout, DEFAULT_ROUTE_TIMEOUT_MS),
    idleTimeoutMs: durationMs(action.idleTimeout, -1),
    maxStreamDurationMs: durationMs(stream?.maxStreamDuration, -1),
    grpcTimeoutMaxMs: durationMs(stream?.grpcTimeoutHeaderMax ?? action.maxGrpcTimeout, -1),
    grpcTimeoutIsDuration: stream !== undefined,
    grpcTimeoutOffsetMs: durationMs(stream?.grpcTimeoutHeaderOffset ?? action.grpcTimeoutOffset, 0),
  };
}

function upgradesOf(action: RouteAction, path: string, report: CompileReport): { upgrades: Map<string, boolean>; connectTerminates: boolean } {
  const upgrades = new Map<string, boolean>();
  let connectTerminates = false;
  action.upgradeConfigs.forEach((upgrade, index) => {
    const type = upgrade.upgradeType.toLowerCase();
    if (upgrades.has(type)) report.error(`${path}.upgrade_configs[${index}]`, `names ${upgrade.upgradeType} twice`);
    upgrades.set(type, upgrade.enabled ?? true);
    if (upgrade.connectConfig === undefined) return;
    const at = `${path}.upgrade_configs[${index}].connect_config`;
    if (type !== 'connect') report.error(at, 'is only for CONNECT');
    if (upgrade.connectConfig.proxyProtocolConfig !== undefined) report.error(`${at}.proxy_protocol_config`, 'is not supported');
    if (upgrade.connectConfig.allowPost) report.error(`${at}.allow_post`, 'is not supported');
    connectTerminates = true;
  });
  return { upgrades, connectTerminates };
}

function directBody(source: DataSource | undefined, limit: number, path: string, report: CompileReport): Uint8Array {
  const specifier = source?.specifier;
  if (specifier?.case === undefined) return new Uint8Array(0);
  if (specifier.case === 'filename' || specifier.case === 'environmentVariable') {
    report.error(path, 'must be inline; files and environment variables are not read');
    return new Uint8Array(0);
  }
  const body = specifier.case === 'inlineBytes' ? specifier.value : new TextEncoder().encode(specifier.value);
  if (body.length > limit) report.error(path, `is ${body.length} bytes long, above the limit of ${limit}`);
  return body;
}

/** Envoy does nothing with the other two fields. */
const HEDGE = fieldPolicy('hedge_on_per_try_timeout', 'initial_requests additional_request_chance');

function hedges(config: HedgePolicy | undefined, path: string, report: CompileReport): boolean {
  if (config === undefined) return false;
  checkFields(HedgePolicySchema, config, HEDGE, path, report);
  return config.hedgeOnPerTryTimeout;
}

const NOWHERE: ForwardTarget = { clusters: [], totalWeight: 1, randomValueHeader: '', choosesByHash: false };

export function compileRoute(config: Route, scope: RouteScope, path: string, report: CompileReport): CompiledRoute {
  checkFields(RouteSchema, config, ROUTE, path, report);
  if (config.match !== undefined) checkFields(RouteMatchSchema, config.match, ROUTE_MATCH, `${path}.match`, report);
  const match = compileRouteMatch(config.match, `${path}.match`, report);
  const own = {
    request: compileHeaderMutations(
      config.requestHeadersToAdd,
      config.requestHeadersToRemove,
      `${path}.request_headers_to_add`,
      `${path}.request_headers_to_remove`,
      report,
    ),
    response: compileHeaderMutations(
      config.responseHeadersToAdd,
      config.responseHeadersToRemove,
      `${path}.response_headers_to_add`,
      `${path}.response_headers_to_remove`,
      report,
    ),
  };
  const metadata = config.metadata?.filterMetadata ?? {};
  const configResource = metadata[ISTIO_METADATA]?.['config'];
  const { virtualHost } = scope;
  const forward = config.action.case === 'route' ? config.action.value : null;
  const at = `${path}.route`;
  if (forward !== null) checkRouteAction(forward, at, report);
  const legacyCors = forward?.cors ?? virtualHost.cors;
  const unnamed: RouteSetting[] = [];
  if (legacyCors !== undefined) unnamed.push(compileCors(legacyCors, `${path}.cors`, report));
  if (forward !== null && (forward.rateLimits.length > 0 || scope.rateLimits.length > 0))
    unnamed.push(
      new RouteRateLimits(compileRateLimits(forward.rateLimits, `${at}.rate_limits`, report), scope.rateLimits, forward.includeVhRateLimits ?? false),
    );
  const filters = mergeFilterLevels(
    [compileFilterLevel(config.typedPerFilterConfig, `${path}.typed_per_filter_config`, report), ...scope.filterLevels],
    unnamed,
  );
  let direct: DirectResponse | null = null;
  if (config.action.case === 'directResponse') {
    const { status, body } = config.action.value;
    if (status < 200 || status > 599) report.error(`${path}.direct_response.status`, 'must be between 200 and 599');
    direct = { status, body: directBody(body, scope.maxDirectResponseBytes, `${path}.direct_response.body`, report) };
  } else if (config.action.case === undefined) report.error(path, 'needs one of route, redirect, direct_response, non_forwarding_action');
  const ownMirrors = forward !== null && forward.requestMirrorPolicies.length > 0;
  const retryConfig = forward?.retryPolicy;
  const { upgrades, connectTerminates } =
    forward === null ? { upgrades: new Map<string, boolean>(), connectTerminates: false } : upgradesOf(forward, at, report);
  const fields: RouteEntryFields = {
    name: config.name,
    virtualHostName: virtualHost.name,
    kind: forward !== null ? 'forward' : config.action.case === 'redirect' ? 'redirect' : direct !== null ? 'direct-response' : 'non-forwarding',
    ...(forward === null ? NOWHERE : compileTarget(forward, own, scope, at, report)),
    clusterNotFoundStatus: forward === null ? 503 : clusterNotFoundStatus(forward),
    ...(forward === null ? NO_TIMEOUTS : timeoutsOf(forward)),
    retry:
      forward === null
        ? NO_RETRIES
        : compileRetryPolicy(
            retryConfig ?? virtualHost.retryPolicy,
            metadata[MESH_METADATA],
            retryConfig === undefined ? 'retry_policy' : `${at}.retry_policy`,
            report,
          ),
    hedgeOnPerTryTimeout: hedges(
      forward?.hedgePolicy ?? virtualHost.hedgePolicy,
      forward?.hedgePolicy === undefined ? 'hedge_policy' : `${at}.hedge_policy`,
      report,
    ),
    internalRedirect: forward === null ? null : compileRedirects(forward, at, report),
    rewrite: forward === null ? NO_REWRITE : compileRewrite(forward, match, at, report),
    hash: forward === null ? NO_HASH : compileHashPolicies(forward.hashPolicy, `${at}.hash_policy`, report),
    mirrors:
      forward === null
        ? []
        : compileMirrors(ownMirrors ? forward.requestMirrorPolicies : scope.mirrors, ownMirrors ? `${at}.request_mirror_policies` : scope.mirrorsPath, report),
    highPriority: forward?.priority === RoutingPriority.HIGH,
    upgrades,
    connectTerminates,
    redirect: config.action.case === 'redirect' ? compileRedirect(config.action.value, match, `${path}.redirect`, report) : null,
    direct,
    responseHeaders: orderMutations([own.response, ...scope.responseHeaders], scope.mostSpecificWins),
    filters,
    metadata: { configResource: typeof configResource === 'string' ? configResource : '', filterMetadata: metadata },
    operation: config.decorator?.operation ?? '',
    includeRequestAttemptCount: virtualHost.includeRequestAttemptCount,
    includeAttemptCountInResponse: virtualHost.includeAttemptCountInResponse,
    includeIsTimeoutRetry: virtualHost.includeIsTimeoutRetryHeader,
    bufferLimitBytes: config.perRequestBufferLimitBytes ?? virtualHost.perRequestBufferLimitBytes ?? -1,
  };
  return { match, entry: new RouteEntry(fields) };
}
