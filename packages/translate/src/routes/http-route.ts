import { create, type JsonObject } from '@bufbuild/protobuf';
import { type HttpRouteDestination, MESH_GATEWAY, type Resource, type Service } from '@outrigger/resources';
import {
  RedirectAction_RedirectResponseCode,
  type Route,
  RouteAction_ClusterNotFoundResponseCode,
  type RouteActionSchema,
  RouteSchema,
} from '@outrigger/xds/protos/envoy/config/route/v3/route_components';
import { OUTRIGGER_METADATA } from '../clusters/resilience.ts';
import { durationOf } from '../durations.ts';
import { serviceRoutes } from '../gateways/api/service-routes.ts';
import type { VirtualService } from '../mesh.ts';
import { type Init, milliseconds } from '../messages.ts';
import type { Reader } from '../reader.ts';
import type { Visibility } from '../visibility.ts';
import { httpRules } from './delegate.ts';
import { hashPolicy, type ResolvedDestination, resolveDestination, serviceDestination } from './destination.ts';
import { fraction, perFilterConfig } from './filters.ts';
import { headerFields, hostOperation, namesPeer, PEER_HEADER } from './headers.ts';
import { appliesTo, everyPath, type RouteMatchInit, routeMatch } from './match.ts';
import { type Retry, type RetryPolicyInit, retryOf, splitByIdempotency } from './retry.ts';
import type { RouteRule } from './rule.ts';
import { chooseByHash, stickyPolicies } from './stickiness.ts';

type RouteInit = Init<typeof RouteSchema>;
/** Action, match and metadata are filled in at the end: Envoys get a route in several. */
type RouteFields = Omit<RouteInit, 'match' | 'action' | 'metadata'>;
type ActionInit = Init<typeof RouteActionSchema>;

/** The host and port that routes are made for. */
export interface RoutedHost {
  /** Full name. */
  readonly host: string;
  readonly port: number;
  readonly service: Service | undefined;
  /** Whether requests come in TLS that is ended here. */
  readonly secure?: boolean;
}

/** Routes of one host and port for a sidecar: those attached to the service, else its VirtualService's, else one for everything. */
export function httpRoutes(reader: Reader, visibility: Visibility, target: RoutedHost): Route[] {
  const attached = serviceRoutes(reader, visibility, target);
  if (attached !== undefined) return [...attached];
  for (const virtualService of visibility.virtualServices(target.host)) {
    const routes = virtualServiceRoutes(reader, visibility, virtualService, target, MESH_GATEWAY);
    // One whose rules are all for others says nothing of these requests.
    if (routes.length === 0) continue;
    reader.uses(virtualService);
    return routes;
  }
  return target.service === undefined ? [] : defaultRoutes(reader, visibility, target);
}

/** The routes of a VirtualService for what comes by one gateway. */
export function virtualServiceRoutes(reader: Reader, visibility: Visibility, virtualService: VirtualService, target: RoutedHost, gateway: string): Route[] {
  const rules = httpRules(reader, virtualService);
  const routes: Route[] = [];
  for (const [index, { rule, owner, field }] of rules.entries()) {
    const matches = rule.match ?? [];
    if (matches.length === 0) {
      routes.push(...routesOf(reader, visibility, owner, field, rule, undefined, target));
      // Everything ends here: Envoy would never look further.
      const next = rules[index + 1];
      if (next !== undefined) reader.ignored(next.owner, next.field, `${field} matches every request, so later routes get none`);
      break;
    }
    for (const [at, match] of matches.entries()) {
      if (appliesTo(reader, match, owner.metadata, target.port, gateway)) routes.push(...routesOf(reader, visibility, owner, field, rule, at, target));
    }
  }
  return routes;
}

function defaultRoutes(reader: Reader, visibility: Visibility, target: RoutedHost): Route[] {
  const service = target.service!;
  const destination = serviceDestination(visibility, service, target.port);
  const action: ActionInit = {
    clusterSpecifier: { case: 'cluster', value: destination.cluster },
    hashPolicy: hashPolicy(reader, visibility, destination),
    ...timeouts(reader, undefined),
  };
  const route: RouteFields = { name: 'default', ...peerFields(reader, [destination]) };
  return finish(reader, everyPath, route, action, retryOf(reader, undefined, '', undefined), {});
}

function timeouts(reader: Reader, timeout: ReturnType<typeof durationOf>): Pick<ActionInit, 'timeout' | 'maxStreamDuration'> {
  // gRPC clients heed max_stream_duration alone; Envoy's own default of 15 s must be turned off.
  if (reader.node.dataPlane === 'grpc') return timeout === undefined ? {} : { maxStreamDuration: { maxStreamDuration: timeout } };
  return { timeout: timeout ?? milliseconds(0) };
}

/** The peer header goes to meshed services only, and never crosses as an application wrote it. */
function peerFields(reader: Reader, destinations: readonly ResolvedDestination[]): Pick<RouteInit, 'requestHeadersToAdd' | 'requestHeadersToRemove'> {
  if (reader.node.dataPlane === 'grpc') return {};
  const internal = destinations.length > 0 && destinations.every(({ service }) => service !== undefined && service.location === 'MESH_INTERNAL');
  return internal ? { requestHeadersToAdd: [namesPeer] } : { requestHeadersToRemove: [PEER_HEADER] };
}

function finish(
  reader: Reader,
  match: RouteMatchInit,
  route: RouteFields,
  action: ActionInit,
  retry: Retry | undefined,
  metadata: Record<string, JsonObject>,
): Route[] {
  const filterMetadata = retry === undefined ? metadata : { ...metadata, [OUTRIGGER_METADATA]: { retry: retry.metadata } };
  const make = (narrowed: RouteMatchInit, retryPolicy: RetryPolicyInit | undefined): Route =>
    create(RouteSchema, {
      ...route,
      match: narrowed,
      action: { case: 'route', value: retryPolicy === undefined ? action : { ...action, retryPolicy } },
      ...(Object.keys(filterMetadata).length === 0 ? {} : { metadata: { filterMetadata } }),
    });
  if (retry === undefined) return [make(match, undefined)];
  return reader.node.dataPlane === 'envoy' && retry.idempotentOnly ? splitByIdempotency(match, retry.policy, make) : [make(match, retry.policy)];
}

/** One match of a route (undefined: every request), as one or, for an Envoy, several routes. */
export function routesOf(
  reader: Reader,
  visibility: Visibility,
  owner: Resource,
  field: string,
  route: RouteRule,
  matchIndex: number | undefined,
  target: RoutedHost,
): Route[] {
  const routes = routesFor(reader, visibility, owner, field, route, matchIndex, target);
  reader.places(routes, owner, field);
  return routes;
}

function routesFor(
  reader: Reader,
  visibility: Visibility,
  owner: Resource,
  field: string,
  route: RouteRule,
  matchIndex: number | undefined,
  target: RoutedHost,
): Route[] {
  const match = matchIndex === undefined ? undefined : route.match![matchIndex]!;
  const { namespace, name } = owner.metadata;
  const metadata: Record<string, JsonObject> = { istio: { config: `/apis/${owner.apiVersion}/namespaces/${namespace}/${kebab(owner.kind)}/${name}` } };
  const fields = headerFields(route.headers);
  const matcher = routeMatch(reader, owner, matchIndex === undefined ? field : `${field}.match[${matchIndex}]`, match);
  const base: RouteFields = {
    name: [route.name, match?.name].filter((part) => part !== undefined && part !== '').join('.') || 'default',
    ...(match?.statPrefix ? { statPrefix: match.statPrefix } : {}),
    ...(reader.node.dataPlane === 'grpc' ? {} : fields),
    typedPerFilterConfig: perFilterConfig(reader, owner, field, route),
  };
  if (reader.node.dataPlane === 'grpc') noteForGrpc(reader, owner, field, route);
  if (route.redirect !== undefined)
    return [create(RouteSchema, { ...base, match: matcher, action: redirect(route, target), metadata: { filterMetadata: metadata } })];
  if (route.directResponse !== undefined) {
    const { status, body } = route.directResponse;
    const specifier =
      body?.string !== undefined
        ? ({ case: 'inlineString', value: body.string } as const)
        : body?.bytes !== undefined
          ? ({ case: 'inlineBytes', value: Uint8Array.from(atob(body.bytes), (char) => char.charCodeAt(0)) } as const)
          : undefined;
    return [
      create(RouteSchema, {
        ...base,
        match: matcher,
        action: { case: 'directResponse', value: { status, ...(specifier === undefined ? {} : { body: { specifier } }) } },
        metadata: { filterMetadata: metadata },
      }),
    ];
  }
  const destinations = (route.route ?? []).map((entry, at) => ({
    entry,
    at: resolveDestination(reader, visibility, owner, `${field}.route[${at}].destination`, entry.destination, target.port),
  }));
  if (destinations.length === 0) {
    reader.ignored(owner, field, 'the route has no destination, redirect or direct response');
    return [];
  }
  const action: ActionInit = {
    clusterSpecifier: clusterSpecifier(destinations, route),
    // Gateway API: a backend that is none; a client of gRPC reads 503, the default, as it should.
    ...(owner.kind === 'HTTPRoute' ? { clusterNotFoundResponseCode: RouteAction_ClusterNotFoundResponseCode.INTERNAL_SERVER_ERROR } : {}),
    hashPolicy: [...stickyPolicies(route), ...(destinations.map(({ at }) => hashPolicy(reader, visibility, at)).find((policies) => policies.length > 0) ?? [])],
    ...timeouts(reader, durationOf(reader, owner, `${field}.timeout`, route.timeout)),
    ...rewrite(route, destinations.length === 1 ? destinations[0]!.entry : undefined),
    requestMirrorPolicies: mirrors(reader, visibility, owner, field, route, target),
  };
  const peer = peerFields(
    reader,
    destinations.map(({ at }) => at),
  );
  const single = destinations.length === 1 && reader.node.dataPlane !== 'grpc' ? headerFields(destinations[0]!.entry.headers) : undefined;
  const withHeaders: RouteFields = {
    ...base,
    requestHeadersToAdd: [...(base.requestHeadersToAdd ?? []), ...(single?.requestHeadersToAdd ?? []), ...(peer.requestHeadersToAdd ?? [])],
    requestHeadersToRemove: [...(base.requestHeadersToRemove ?? []), ...(single?.requestHeadersToRemove ?? []), ...(peer.requestHeadersToRemove ?? [])],
    responseHeadersToAdd: [...(base.responseHeadersToAdd ?? []), ...(single?.responseHeadersToAdd ?? [])],
    responseHeadersToRemove: [...(base.responseHeadersToRemove ?? []), ...(single?.responseHeadersToRemove ?? [])],
  };
  return finish(reader, matcher, withHeaders, action, retryOf(reader, owner, `${field}.retries`, route.retries), metadata);
}

interface Weighted {
  readonly entry: HttpRouteDestination;
  readonly at: ResolvedDestination;
}

function clusterSpecifier(destinations: readonly Weighted[], route: RouteRule): ActionInit['clusterSpecifier'] & object {
  const single = destinations[0]!;
  if (destinations.length === 1) return { case: 'cluster', value: single.at.cluster };
  const weighted = {
    clusters: destinations
      .filter(({ entry }) => (entry.weight ?? 0) > 0)
      .map(({ entry, at }) => {
        const host = hostOperation(entry.headers);
        return {
          name: at.cluster,
          weight: entry.weight!,
          ...headerFields(entry.headers),
          ...(host === undefined ? {} : { hostRewriteSpecifier: { case: 'hostRewriteLiteral', value: host } as const }),
        };
      }),
  };
  return { case: 'weightedClusters', value: route.sticky === undefined ? weighted : chooseByHash(weighted) };
}

function rewrite(route: RouteRule, single: HttpRouteDestination | undefined): Pick<ActionInit, 'prefixRewrite' | 'regexRewrite' | 'hostRewriteSpecifier'> {
  const { uri, authority, uriRegexRewrite } = route.rewrite ?? {};
  const host = authority || hostOperation(single?.headers) || hostOperation(route.headers);
  const regex = uriRegexRewrite?.match;
  return {
    ...(uri !== undefined && uri !== '' ? { prefixRewrite: uri } : {}),
    ...(regex !== undefined && regex !== '' ? { regexRewrite: { pattern: { regex }, substitution: uriRegexRewrite?.rewrite ?? '' } } : {}),
    ...(host ? { hostRewriteSpecifier: { case: 'hostRewriteLiteral', value: host } } : {}),
  };
}

function mirrors(
  reader: Reader,
  visibility: Visibility,
  owner: Resource,
  field: string,
  route: RouteRule,
  target: RoutedHost,
): ActionInit['requestMirrorPolicies'] & object {
  const { mirror } = route;
  const all = [
    ...(mirror === undefined
      ? []
      : [{ destination: mirror, percent: route.mirrorPercentage?.value ?? route.mirrorPercent ?? route.mirror_percent ?? 100, field: `${field}.mirror` }]),
    ...(route.mirrors ?? []).map(({ destination, percentage }, index) => ({
      destination,
      percent: percentage?.value ?? 100,
      field: `${field}.mirrors[${index}].destination`,
    })),
  ];
  return all
    .filter(({ percent }) => percent > 0)
    .map(({ destination, percent, field: at }) => ({
      cluster: resolveDestination(reader, visibility, owner, at, destination, target.port).cluster,
      runtimeFraction: { defaultValue: fraction(percent) },
      traceSampled: false,
      disableShadowHostSuffixAppend: true,
    }));
}

const redirectCodes: Readonly<Record<number, RedirectAction_RedirectResponseCode>> = {
  301: RedirectAction_RedirectResponseCode.MOVED_PERMANENTLY,
  302: RedirectAction_RedirectResponseCode.FOUND,
  303: RedirectAction_RedirectResponseCode.SEE_OTHER,
  307: RedirectAction_RedirectResponseCode.TEMPORARY_REDIRECT,
  308: RedirectAction_RedirectResponseCode.PERMANENT_REDIRECT,
};

/** "VirtualService": "virtual-service"; "HTTPRoute": "http-route". */
function kebab(kind: string): string {
  return kind.replaceAll(/([a-z])([A-Z])|([A-Z])([A-Z][a-z])/g, '$1$3-$2$4').toLowerCase();
}

function redirect(route: RouteRule, target: RoutedHost): RouteInit['action'] & object {
  const { uri, prefixRewrite, uriRegexRewrite, authority, port, derivePort, scheme, redirectCode } = route.redirect!;
  const regex =
    uriRegexRewrite && ({ case: 'regexRewrite', value: { pattern: { regex: uriRegexRewrite.match }, substitution: uriRegexRewrite.rewrite } } as const);
  const path = regex
    ? regex
    : uri
      ? ({ case: 'pathRedirect', value: uri } as const)
      : prefixRewrite
        ? ({ case: 'prefixRewrite', value: prefixRewrite } as const)
        : undefined;
  const asked = port ?? (derivePort === 'FROM_REQUEST_PORT' ? target.port : 0);
  const usual = (scheme || (target.secure === true ? 'https' : 'http')) === 'https' ? 443 : 80;
  return {
    case: 'redirect',
    value: {
      hostRedirect: authority ?? '',
      // The usual port of the scheme goes without saying.
      portRedirect: asked === usual ? 0 : asked,
      ...(scheme ? { schemeRewriteSpecifier: { case: 'schemeRedirect', value: scheme } } : {}),
      ...(path === undefined ? {} : { pathRewriteSpecifier: path }),
      responseCode: redirectCodes[redirectCode ?? 301] ?? RedirectAction_RedirectResponseCode.MOVED_PERMANENTLY,
    },
  };
}

function noteForGrpc(reader: Reader, owner: Resource, field: string, route: RouteRule): void {
  for (const name of ['rewrite', 'headers', 'mirror', 'mirrors', 'redirect', 'directResponse'] as const) {
    if (route[name] !== undefined) reader.ignored(owner, `${field}.${name}`, 'clients without a proxy do not do this', 'grpc');
  }
}
