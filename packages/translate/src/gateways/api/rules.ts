import type {
  BackendReference,
  GrpcApiRouteSpec,
  HttpApiMatch,
  HttpApiRule,
  HttpRouteDestination,
  NamedMatch,
  Resource,
  StringMatch,
} from '@outrigger/resources';
import type { Reader } from '../../reader.ts';
import { INVALID_BACKEND } from '../../routes/destination.ts';
import type { RouteMatch, RouteRule } from '../../routes/rule.ts';
import type { Visibility } from '../../visibility.ts';
import { backendOf } from './references.ts';
import { corsOf, filtersOfOnly, headersOf, mirrorsOf, redirectOf, rewriteOf, type ServedAt, unableFilter } from './rule-filters.ts';

/** What becomes of a request whose backends are none: 500 for a page, UNAVAILABLE for a call of gRPC, as its clients read 503. */
const NO_BACKEND_STATUS: Readonly<Record<string, number>> = { HTTPRoute: 500, GRPCRoute: 503 };

const escaped = (text: string): string => text.replaceAll(/[\\^$.*+?()[\]{}|]/g, '\\$&');

/** One rule of an HTTPRoute for one of its matches, in the mesh's own terms. */
export function httpRule(
  reader: Reader,
  visibility: Visibility,
  route: Resource,
  field: string,
  rule: Omit<HttpApiRule, 'matches'>,
  match: HttpApiMatch,
  at: ServedAt,
): RouteRule {
  const prefix = match.path?.type === undefined || match.path.type === 'PathPrefix' ? (match.path?.value ?? '/') : undefined;
  const filters = [...(rule.filters ?? []), ...filtersOfOnly(reader, route, field, rule.backendRefs)];
  const base: RouteRule = {
    ...(rule.name === undefined ? {} : { name: rule.name }),
    match: [matchOf(match)],
    headers: headersOf(filters),
    ...timesOf(rule),
    mirrors: mirrorsOf(reader, visibility, route, filters),
    ...corsOf(filters),
  };
  const unable = unableFilter(filters);
  if (unable !== undefined) {
    reader.ignored(route, `${field}.filters`, `${unable.type} is no filter of this mesh: requests that the rule matches are refused`);
    return { match: base.match!, directResponse: { status: NO_BACKEND_STATUS[route.kind]! } };
  }
  const redirect = redirectOf(filters, prefix, at);
  if (redirect !== undefined) return { ...base, ...redirect };
  const { mirrors: copies = [], ...sent } = backends(reader, visibility, route, field, rule.backendRefs);
  return { ...base, mirrors: [...(base.mirrors ?? []), ...copies], ...rewriteOf(filters, prefix), ...sent };
}

/** Tries that are not told to be repeated have the mesh's own retries, within the time that one of them has. */
function timesOf({ timeouts: { request, backendRequest } = {}, retry }: Omit<HttpApiRule, 'matches'>): Pick<RouteRule, 'timeout' | 'retries'> {
  const timeout = request ?? (retry === undefined ? backendRequest : undefined);
  return {
    ...(timeout === undefined ? {} : { timeout }),
    ...(retry === undefined && (request === undefined || backendRequest === undefined)
      ? {}
      : {
          retries: {
            ...(retry?.attempts === undefined ? {} : { attempts: retry.attempts }),
            ...(retry === undefined ? {} : { retryOn: ['connect-failure', 'refused-stream', 'reset', ...(retry.codes ?? [])].join(',') }),
            ...(retry?.backoff === undefined ? {} : { backoff: retry.backoff }),
            ...(backendRequest === undefined ? {} : { perTryTimeout: backendRequest }),
          },
        }),
  };
}

/** A rule of a GRPCRoute: its calls are requests of HTTP. */
export function grpcRule(
  reader: Reader,
  visibility: Visibility,
  route: Resource,
  field: string,
  rule: NonNullable<GrpcApiRouteSpec['rules']>[number],
  match: NonNullable<NonNullable<GrpcApiRouteSpec['rules']>[number]['matches']>[number],
  at: ServedAt,
): RouteRule {
  const { type = 'Exact', service = '', method = '' } = match.method ?? {};
  const part = (text: string): string => (text === '' ? '[^/]+' : type === 'Exact' ? escaped(text) : text);
  const path: HttpApiMatch['path'] =
    service === '' && method === ''
      ? { type: 'PathPrefix', value: '/' }
      : type === 'Exact' && method === ''
        ? { type: 'PathPrefix', value: `/${service}` }
        : type === 'Exact' && service !== ''
          ? { type: 'Exact', value: `/${service}/${method}` }
          : { type: 'RegularExpression', value: `/${part(service)}/${part(method)}` };
  return httpRule(reader, visibility, route, field, rule, { path, headers: match.headers ?? [] }, at);
}

function matchOf({ path, headers = [], queryParams = [], method }: HttpApiMatch): RouteMatch {
  const { type = 'PathPrefix', value = '/' } = path ?? {};
  return {
    ...(type === 'Exact'
      ? { uri: { exact: value } }
      : type === 'RegularExpression'
        ? { uri: { regex: value } }
        : { uri: { prefix: value }, wholeSegments: true }),
    ...(method === undefined ? {} : { method: { exact: method } }),
    headers: named(headers, (name) => name.toLowerCase()),
    queryParams: named(queryParams, (name) => name),
  };
}

/** Of two matches for one name the first counts. */
function named(matches: readonly NamedMatch[], key: (name: string) => string): Record<string, StringMatch> {
  const found: Record<string, StringMatch> = {};
  for (const { type = 'Exact', name, value } of matches) found[key(name)] ??= type === 'Exact' ? { exact: value } : { regex: value };
  return found;
}

/** A host by its name need not be a service yet, as in a VirtualService. */
function unregistered(
  { kind, name, port = 0 }: BackendReference,
  found: ReturnType<typeof backendOf>,
): ReturnType<typeof backendOf> | { readonly service: { readonly hostname: string }; readonly port: number } {
  return 'reason' in found && found.reason === 'BackendNotFound' && kind === 'Hostname' ? { service: { hostname: name.toLowerCase() }, port } : found;
}

function backends(
  reader: Reader,
  visibility: Visibility,
  route: Resource,
  field: string,
  references: readonly BackendReference[] | undefined,
): Pick<RouteRule, 'route' | 'directResponse' | 'mirrors' | 'sticky'> {
  const all = (references ?? []).map((reference, index) => {
    const unable = unableFilter(reference.filters);
    if (unable !== undefined)
      reader.ignored(route, `${field}.backendRefs[${index}].filters`, `${unable.type} is no filter of this mesh: its requests are refused`);
    const found = unregistered(reference, backendOf(reader, visibility, route, reference));
    return { reference, backend: unable === undefined ? found : undefined, weight: reference.weight ?? 1 };
  });
  const weighted = all.filter(({ weight }) => weight > 0);
  if (weighted.every(({ backend }) => backend === undefined || 'reason' in backend)) return { directResponse: { status: NO_BACKEND_STATUS[route.kind]! } };
  const sticky = weighted.map(({ reference }) => reference.split?.sticky).find((one) => one !== undefined);
  const destinations = weighted.map(({ reference, backend, weight }) => {
    const { service, port } = backend === undefined || 'reason' in backend ? { service: { hostname: INVALID_BACKEND }, port: 1 } : backend;
    return { reference, weight, destination: { host: service.hostname, port: { number: port } } };
  });
  return {
    route: destinations.flatMap(({ reference, weight, destination }): HttpRouteDestination[] => {
      const headers = headersOf(reference.filters ?? []);
      if (reference.split === undefined) return [{ destination, weight, headers }];
      return reference.split.subsets.map((subset) => ({ destination: { ...destination, subset: subset.name }, weight: subset.weight, headers }));
    }),
    mirrors: destinations.flatMap(({ reference: { split }, destination }) =>
      split?.mirror === undefined ? [] : [{ destination: { ...destination, subset: split.mirror.subset }, percentage: { value: split.mirror.percent } }],
    ),
    ...(sticky === undefined ? {} : { sticky }),
  };
}
