import { isMessage, type Message } from '@bufbuild/protobuf';
import { parseOutboundCluster } from '@outrigger/translate';
import { RouteConfigurationSchema } from '@outrigger/xds/protos/envoy/config/route/v3/route';
import {
  type HeaderMatcher,
  type Route,
  type RouteAction,
  type RouteMatch,
  type VirtualHost,
  VirtualHostSchema,
} from '@outrigger/xds/protos/envoy/config/route/v3/route_components';
import type { StringMatcher } from '@outrigger/xds/protos/envoy/type/matcher/v3/string';
import { durationMs, faultsOf, percentOf } from '../simulate/route-terms.ts';

/** The listener inside a proxy that takes what comes out of a CONNECT to a port of HTTP. */
const HTTP_TUNNEL = 'http_tunnel';

export function virtualHostsOf(message: Message): readonly VirtualHost[] {
  if (isMessage(message, VirtualHostSchema)) return [message];
  return isMessage(message, RouteConfigurationSchema) ? message.virtualHosts : [];
}

export function clustersNamed({ routes }: VirtualHost): ReadonlySet<string> {
  return new Set(routes.flatMap(({ action }) => (action.case === 'route' ? targetsOf(action.value).map(({ cluster }) => cluster) : [])));
}

/** A route each line, in order, as a person would say it. Where CONNECT only makes a way for requests, those say it all. */
export function routeLines({ routes, requireTls }: VirtualHost): string[] {
  const lines = routes.filter((route) => !isTunnelForRequests(route)).map((route) => `${matchText(route.match)} -> ${actionText(route)}`);
  return requireTls === 0 ? lines : ['without TLS -> redirect to https', ...lines];
}

/** Whether some request has no route of a virtual host that would be asked for it. */
export function leavesSome(lines: readonly string[]): boolean {
  return lines.length > 0 && !lines.some((line) => /^\/?\* ->|^connections ->/.test(line));
}

function isTunnelForRequests({ match, action }: Route): boolean {
  return (
    match?.pathSpecifier.case === 'connectMatcher' && action.case === 'route' && targetsOf(action.value).every(({ cluster }) => cluster.startsWith(HTTP_TUNNEL))
  );
}

interface Target {
  readonly cluster: string;
  readonly weight: number;
}

function targetsOf({ clusterSpecifier }: RouteAction): Target[] {
  if (clusterSpecifier.case === 'cluster') return [{ cluster: clusterSpecifier.value, weight: 1 }];
  if (clusterSpecifier.case === 'weightedClusters') return clusterSpecifier.value.clusters.map(({ name, weight }) => ({ cluster: name, weight: weight ?? 0 }));
  return [];
}

/** "reviews.default.svc.cluster.local:9080 v2" */
function clusterText(name: string): string {
  const parsed = parseOutboundCluster(name);
  if (parsed === undefined) return name;
  return `${parsed.host}:${parsed.port}${parsed.subset === '' ? '' : ` ${parsed.subset}`}`;
}

function matchText(match: RouteMatch | undefined): string {
  if (match === undefined) return 'nothing';
  if (match.pathSpecifier.case === 'connectMatcher') return 'connections';
  const method = match.headers.find(({ name }) => name === ':method');
  const parts = [
    ...(method === undefined ? [] : [headerValueText(method)]),
    pathText(match),
    ...match.headers.filter((header) => header !== method).map(headerText),
    ...match.queryParameters.map(({ name, queryParameterMatchSpecifier: specifier }) =>
      specifier.case === 'stringMatch' ? `?${name}${stringText(specifier.value)}` : `?${name}`,
    ),
    ...(match.runtimeFraction?.defaultValue === undefined ? [] : [`for ${percentOf(match.runtimeFraction.defaultValue)} %`]),
  ];
  return parts.join(' ');
}

function pathText({ pathSpecifier, caseSensitive }: RouteMatch): string {
  const any = caseSensitive?.valueOf() === false ? ' (any case)' : '';
  switch (pathSpecifier.case) {
    case 'prefix':
      return `${pathSpecifier.value}*${any}`;
    case 'pathSeparatedPrefix':
      return `${pathSpecifier.value}[/*]${any}`;
    case 'path':
      return pathSpecifier.value + any;
    case 'safeRegex':
      return `~${pathSpecifier.value.regex}${any}`;
    default:
      return 'another path';
  }
}

function headerText(header: HeaderMatcher): string {
  return `${header.invertMatch ? 'not ' : ''}${header.name.replace(/^:/, '')}${headerMatchText(header)}`;
}

function headerMatchText({ headerMatchSpecifier: specifier }: HeaderMatcher): string {
  switch (specifier.case) {
    case 'stringMatch':
      return stringText(specifier.value);
    case 'presentMatch':
      return specifier.value ? ' there' : ' not there';
    case 'exactMatch':
    case 'prefixMatch':
    case 'suffixMatch':
    case 'containsMatch':
      return `=${specifier.value}`;
    case 'safeRegexMatch':
      return `~${specifier.value.regex}`;
    default:
      return '';
  }
}

/** Of a method: "GET". */
function headerValueText(header: HeaderMatcher): string {
  const text = headerMatchText(header);
  return `${header.invertMatch ? 'not ' : ''}${text.replace(/^=/, '')}`;
}

function stringText({ matchPattern, ignoreCase }: StringMatcher): string {
  const any = ignoreCase ? ' (any case)' : '';
  switch (matchPattern.case) {
    case 'exact':
      return `=${matchPattern.value}${any}`;
    case 'prefix':
      return `=${matchPattern.value}*${any}`;
    case 'suffix':
      return `=*${matchPattern.value}${any}`;
    case 'contains':
      return `=*${matchPattern.value}*${any}`;
    case 'safeRegex':
      return `~${matchPattern.value.regex}`;
    default:
      return ' matches';
  }
}

function actionText(route: Route): string {
  const { action } = route;
  if (action.case === 'directResponse') return `answers ${action.value.status}`;
  if (action.case === 'redirect') {
    const { hostRedirect, portRedirect, responseCode, pathRewriteSpecifier: path, schemeRewriteSpecifier: scheme } = action.value;
    const to = [
      scheme.case === 'httpsRedirect' ? 'https' : (scheme.value ?? ''),
      hostRedirect,
      portRedirect === 0 ? '' : `port ${portRedirect}`,
      typeof path.value === 'string' ? path.value : '',
    ].filter(Boolean);
    return `redirects to ${to.join(' ')} (${REDIRECTS[responseCode] ?? 301})`;
  }
  if (action.case !== 'route') return 'does nothing';
  return [destinationsText(action.value), ...detailsOf(route, action.value)].join('; ');
}

/** RedirectResponseCode. */
const REDIRECTS: Readonly<Record<number, number>> = { 0: 301, 1: 302, 2: 303, 3: 307, 4: 308 };

function destinationsText(action: RouteAction): string {
  const targets = targetsOf(action);
  const total = targets.reduce((sum, { weight }) => sum + weight, 0);
  if (targets.length === 0) return 'where the request says';
  if (targets.length === 1) return clusterText(targets[0]!.cluster);
  return targets.map(({ cluster, weight }) => `${clusterText(cluster)} ${Number(((weight * 100) / (total || 1)).toFixed(1))} %`).join(', ');
}

/** Of the proxies among themselves: no application reads them. */
const OWN_HEADERS = 'x-outrigger-';

function detailsOf(route: Route, action: RouteAction): string[] {
  const { timeout, retryPolicy, requestMirrorPolicies, prefixRewrite, regexRewrite, hostRewriteSpecifier: host } = action;
  const details: string[] = [];
  if (durationMs(timeout) > 0) details.push(`timeout ${timeText(durationMs(timeout))}`);
  if (retryPolicy !== undefined) {
    const perTry = retryPolicy.perTryTimeout === undefined ? '' : `, ${timeText(durationMs(retryPolicy.perTryTimeout))} each`;
    details.push(`${retryPolicy.numRetries ?? 1} retries on ${retryPolicy.retryOn}${perTry}`);
  }
  if (prefixRewrite !== '') details.push(`path rewritten to ${prefixRewrite}`);
  if (regexRewrite !== undefined) details.push(`path rewritten by ${regexRewrite.pattern?.regex} to ${regexRewrite.substitution}`);
  if (host.case === 'hostRewriteLiteral') details.push(`host ${host.value}`);
  for (const { cluster, runtimeFraction } of requestMirrorPolicies)
    details.push(`copy to ${clusterText(cluster)}${runtimeFraction?.defaultValue === undefined ? '' : ` ${percentOf(runtimeFraction.defaultValue)} %`}`);
  for (const { header } of route.requestHeadersToAdd)
    if (header !== undefined && !header.key.startsWith(OWN_HEADERS)) details.push(`request header ${header.key}: ${header.value}`);
  for (const name of route.requestHeadersToRemove) details.push(`without request header ${name}`);
  for (const { header } of route.responseHeadersToAdd) if (header !== undefined) details.push(`response header ${header.key}: ${header.value}`);
  for (const name of route.responseHeadersToRemove) details.push(`without response header ${name}`);
  for (const { kind, percent, status, delayMs } of faultsOf(route))
    details.push(`${kind === 'delay' ? `delay ${timeText(delayMs ?? 0)}` : `abort ${status}`} for ${percent} %`);
  return details;
}

function timeText(ms: number): string {
  return ms >= 1000 && ms % 1000 === 0 ? `${ms / 1000} s` : `${ms} ms`;
}
