import type { TypedExtensionConfig } from '@outrigger/xds/protos/envoy/config/core/v3/extension';
import {
  type RedirectAction,
  RedirectAction_RedirectResponseCode,
  type RouteAction,
  RouteAction_ClusterNotFoundResponseCode,
  RouteAction_InternalRedirectAction,
  type RouteAction_RequestMirrorPolicy,
  RouteAction_RequestMirrorPolicySchema,
  RouteActionSchema,
  type WeightedCluster,
  WeightedCluster_ClusterWeightSchema,
  WeightedClusterSchema,
} from '@outrigger/xds/protos/envoy/config/route/v3/route_components';
import { UriTemplateRewriteConfigSchema } from '@outrigger/xds/protos/envoy/extensions/path/rewrite/uri_template/v3/uri_template_rewrite';
import { criteriaOf } from '../lb/subset-criteria.ts';
import { checkFields, fieldPolicy, typeNameOf, unpack } from '../xds/fields.ts';
import { ClusterChoice } from './cluster-choice.ts';
import type { CompileReport } from './compile-result.ts';
import { ALWAYS, compileFraction } from './fraction.ts';
import { compileHeaderMutations, type HeaderMutations } from './header-mutations.ts';
import { compileInternalRedirect, type InternalRedirectPolicy, olderInternalRedirect } from './internal-redirect.ts';
import type { MirrorPolicy } from './mirror.ts';
import { Redirect } from './redirect.ts';
import { compileRegexRewrite } from './regex.ts';
import { type HostRewriteFields, NO_HOST_REWRITE, PathRewrite, RequestRewrite } from './rewrite.ts';
import type { RouteMatch } from './route-match.ts';
import { orderMutations, type RouteScope } from './route-scope.ts';
import { compileUriTemplateRewrite, type UriTemplateRewrite } from './uri-template.ts';

export const ROUTE_ACTION = fieldPolicy(
  `cluster cluster_header weighted_clusters cluster_not_found_response_code prefix_rewrite regex_rewrite host_rewrite_literal auto_host_rewrite
   host_rewrite_header host_rewrite_path_regex append_x_forwarded_host timeout idle_timeout retry_policy request_mirror_policies hash_policy cors
   max_grpc_timeout grpc_timeout_offset upgrade_configs max_stream_duration internal_redirect_action internal_redirect_policy path_rewrite_policy max_internal_redirects hedge_policy rate_limits include_vh_rate_limits metadata_match priority`,
  'early_data_policy',
);
const WEIGHTED = fieldPolicy('clusters total_weight header_name', 'runtime_key_prefix');
const CLUSTER_WEIGHT = fieldPolicy(
  'name cluster_header weight request_headers_to_add request_headers_to_remove response_headers_to_add response_headers_to_remove host_rewrite_literal metadata_match',
);

/** A field's number. */
const USE_HASH_POLICY = 5;
/** What a subset balancer looks at, in routes and endpoints. */
const LB_METADATA = 'envoy.lb';
/** Envoy keeps the sum within 32 bits. */
const MAX_TOTAL_WEIGHT = 0xffffffff;

/** The route's own level of header mutations, most specific first, with those of its scope. */
export interface RouteMutations {
  readonly request: HeaderMutations;
  readonly response: HeaderMutations;
}

export interface ForwardTarget {
  readonly clusters: readonly ClusterChoice[];
  readonly totalWeight: number;
  readonly randomValueHeader: string;
  readonly choosesByHash: boolean;
}

const NOT_FOUND_STATUS: Readonly<Record<RouteAction_ClusterNotFoundResponseCode, number>> = {
  [RouteAction_ClusterNotFoundResponseCode.SERVICE_UNAVAILABLE]: 503,
  [RouteAction_ClusterNotFoundResponseCode.NOT_FOUND]: 404,
  [RouteAction_ClusterNotFoundResponseCode.INTERNAL_SERVER_ERROR]: 500,
};

export function clusterNotFoundStatus(action: RouteAction): number {
  return NOT_FOUND_STATUS[action.clusterNotFoundResponseCode] ?? 503;
}

export function checkRouteAction(action: RouteAction, path: string, report: CompileReport): void {
  checkFields(RouteActionSchema, action, ROUTE_ACTION, path, report);
}

export function compileRedirects(action: RouteAction, path: string, report: CompileReport): InternalRedirectPolicy | null {
  if (action.internalRedirectPolicy !== undefined) return compileInternalRedirect(action.internalRedirectPolicy, `${path}.internal_redirect_policy`, report);
  const older = action.internalRedirectAction === RouteAction_InternalRedirectAction.HANDLE_INTERNAL_REDIRECT;
  return older ? olderInternalRedirect(action.maxInternalRedirects) : null;
}

/** cluster, cluster_header or weighted_clusters. */
export function compileTarget(action: RouteAction, own: RouteMutations, scope: RouteScope, path: string, report: CompileReport): ForwardTarget {
  const specifier = action.clusterSpecifier;
  const single = (name: string, header: string): ForwardTarget => ({
    clusters: [
      new ClusterChoice(
        name,
        header,
        1,
        orderMutations([own.request, ...scope.requestHeaders], scope.mostSpecificWins),
        orderMutations([own.response, ...scope.responseHeaders], scope.mostSpecificWins),
        '',
        criteriaOf(action.metadataMatch?.filterMetadata[LB_METADATA]),
      ),
    ],
    totalWeight: 1,
    randomValueHeader: '',
    choosesByHash: false,
  });
  switch (specifier.case) {
    case 'cluster':
      if (specifier.value === '') report.error(`${path}.cluster`, 'must not be empty');
      return single(specifier.value, '');
    case 'clusterHeader':
      if (specifier.value === '') report.error(`${path}.cluster_header`, 'must not be empty');
      return single('', specifier.value.toLowerCase());
    case 'weightedClusters':
      return compileWeighted(specifier.value, action.metadataMatch, own, scope, `${path}.weighted_clusters`, report);
    case undefined:
      report.error(path, 'needs one of cluster, cluster_header, weighted_clusters');
      return single('', '');
    default:
      // The plugins were refused by checkRouteAction.
      return single('', '');
  }
}

function compileWeighted(
  config: WeightedCluster,
  metadataMatch: RouteAction['metadataMatch'],
  own: RouteMutations,
  scope: RouteScope,
  path: string,
  report: CompileReport,
): ForwardTarget {
  checkFields(WeightedClusterSchema, config, WEIGHTED, path, report);
  let sum = 0;
  const clusters = config.clusters.map((cluster, index) => {
    const at = `${path}.clusters[${index}]`;
    checkFields(WeightedCluster_ClusterWeightSchema, cluster, CLUSTER_WEIGHT, at, report);
    const weight = cluster.weight ?? 0;
    sum += weight;
    if ((cluster.name === '') === (cluster.clusterHeader === '')) report.error(at, 'needs exactly one of name, cluster_header');
    const level = {
      request: compileHeaderMutations(
        cluster.requestHeadersToAdd,
        cluster.requestHeadersToRemove,
        `${at}.request_headers_to_add`,
        `${at}.request_headers_to_remove`,
        report,
      ),
      response: compileHeaderMutations(
        cluster.responseHeadersToAdd,
        cluster.responseHeadersToRemove,
        `${at}.response_headers_to_add`,
        `${at}.response_headers_to_remove`,
        report,
      ),
    };
    return new ClusterChoice(
      cluster.name,
      cluster.clusterHeader.toLowerCase(),
      weight,
      orderMutations([level.request, own.request, ...scope.requestHeaders], scope.mostSpecificWins),
      orderMutations([level.response, own.response, ...scope.responseHeaders], scope.mostSpecificWins),
      cluster.hostRewriteSpecifier.case === 'hostRewriteLiteral' ? cluster.hostRewriteSpecifier.value : '',
      criteriaOf(metadataMatch?.filterMetadata[LB_METADATA], cluster.metadataMatch?.filterMetadata[LB_METADATA]),
    );
  });
  if (clusters.length === 0) report.error(`${path}.clusters`, 'must not be empty');
  else if (sum === 0) report.error(`${path}.clusters`, 'need a sum of weights above 0');
  if (sum > MAX_TOTAL_WEIGHT) report.error(`${path}.clusters`, `must not weigh more than ${MAX_TOTAL_WEIGHT} together`);
  if (config.totalWeight !== undefined && config.totalWeight !== sum)
    report.error(`${path}.total_weight`, `is ${config.totalWeight}, but the weights sum up to ${sum}`);
  const randomValueHeader = config.randomValueSpecifier.case === 'headerName' ? config.randomValueSpecifier.value.toLowerCase() : '';
  return { clusters, totalWeight: Math.max(1, sum), randomValueHeader, choosesByHash: usesHashPolicy(config) };
}

/** use_hash_policy (google.protobuf.BoolValue, field 5), which our generated messages are too old to have. */
function usesHashPolicy(config: WeightedCluster): boolean {
  const data = config.$unknown?.findLast(({ no }) => no === USE_HASH_POLICY)?.data;
  // Its length, its one field, and true.
  return data !== undefined && data.length === 3 && data[1] === 8 && data[2] === 1;
}

/** The part of the path that a prefix rewrite replaces; -1: all but the query. */
function matchedLength(match: RouteMatch): number {
  const { pathKind, path } = match.fields;
  return pathKind === 'prefix' || pathKind === 'separated-prefix' ? path.length : -1;
}

export function compileRewrite(action: RouteAction, match: RouteMatch, path: string, report: CompileReport): RequestRewrite {
  if (action.prefixRewrite !== '' && action.regexRewrite !== undefined) report.error(path, 'has both prefix_rewrite and regex_rewrite');
  const regex = action.regexRewrite === undefined ? null : compileRegexRewrite(action.regexRewrite, `${path}.regex_rewrite`, report);
  const policy = action.pathRewritePolicy;
  if (policy !== undefined && (action.prefixRewrite !== '' || regex !== null)) report.error(path, 'has path_rewrite_policy and another rewrite of the path');
  const template = policy === undefined ? null : compileTemplateRewrite(policy, match, `${path}.path_rewrite_policy`, report);
  const specifier = action.hostRewriteSpecifier;
  let host: HostRewriteFields = { ...NO_HOST_REWRITE, appendXForwardedHost: action.appendXForwardedHost };
  switch (specifier.case) {
    case 'hostRewriteLiteral':
      host = { ...host, literal: specifier.value };
      break;
    case 'hostRewriteHeader':
      host = { ...host, header: specifier.value.toLowerCase() };
      break;
    case 'autoHostRewrite':
      host = { ...host, auto: specifier.value.value };
      break;
    case 'hostRewritePathRegex':
      host = { ...host, pathRegex: compileRegexRewrite(specifier.value, `${path}.host_rewrite_path_regex`, report) };
      break;
    case undefined:
      break;
  }
  return new RequestRewrite(host, new PathRewrite(action.prefixRewrite, matchedLength(match), regex, template));
}

function compileTemplateRewrite(config: TypedExtensionConfig, match: RouteMatch, path: string, report: CompileReport): UriTemplateRewrite | null {
  if (typeNameOf(config.typedConfig) !== UriTemplateRewriteConfigSchema.typeName) report.error(path, `${config.name} is not supported by this proxy`);
  else if (match.fields.pathKind !== 'template') report.error(path, 'needs a path_match_policy in the match');
  else if (match.fields.template !== null) {
    const { pathTemplateRewrite = '' } = unpack(config.typedConfig, UriTemplateRewriteConfigSchema, path, report) ?? {};
    const compiled = compileUriTemplateRewrite(pathTemplateRewrite, match.fields.template);
    if (compiled.ok) return compiled.value;
    report.error(`${path}.typed_config.path_template_rewrite`, compiled.message);
  }
  return null;
}

const MIRROR = fieldPolicy('cluster cluster_header runtime_fraction disable_shadow_host_suffix_append', 'trace_sampled');

export function compileMirrors(configs: readonly RouteAction_RequestMirrorPolicy[], path: string, report: CompileReport): readonly MirrorPolicy[] {
  return configs.map((config, index) => {
    checkFields(RouteAction_RequestMirrorPolicySchema, config, MIRROR, `${path}[${index}]`, report);
    if ((config.cluster === '') === (config.clusterHeader === '')) report.error(`${path}[${index}]`, 'needs exactly one of cluster, cluster_header');
    return {
      cluster: config.cluster,
      clusterHeader: config.clusterHeader.toLowerCase(),
      fraction: compileFraction(config.runtimeFraction?.defaultValue, ALWAYS),
      appendShadowSuffix: !config.disableShadowHostSuffixAppend,
    };
  });
}

const REDIRECT_STATUS: Readonly<Record<RedirectAction_RedirectResponseCode, number>> = {
  [RedirectAction_RedirectResponseCode.MOVED_PERMANENTLY]: 301,
  [RedirectAction_RedirectResponseCode.FOUND]: 302,
  [RedirectAction_RedirectResponseCode.SEE_OTHER]: 303,
  [RedirectAction_RedirectResponseCode.TEMPORARY_REDIRECT]: 307,
  [RedirectAction_RedirectResponseCode.PERMANENT_REDIRECT]: 308,
};

export function compileRedirect(action: RedirectAction, match: RouteMatch, path: string, report: CompileReport): Redirect {
  const scheme = action.schemeRewriteSpecifier;
  const rewrite = action.pathRewriteSpecifier;
  const regex = rewrite.case === 'regexRewrite' ? compileRegexRewrite(rewrite.value, `${path}.regex_rewrite`, report) : null;
  return new Redirect({
    status: REDIRECT_STATUS[action.responseCode] ?? 301,
    scheme: scheme.case === 'schemeRedirect' ? scheme.value : scheme.case === 'httpsRedirect' && scheme.value ? 'https' : '',
    host: action.hostRedirect,
    port: action.portRedirect,
    path: rewrite.case === 'pathRedirect' ? rewrite.value : '',
    rewrite: new PathRewrite(rewrite.case === 'prefixRewrite' ? rewrite.value : '', matchedLength(match), regex),
    stripQuery: action.stripQuery,
  });
}
