import type {
  ApiRouteFilter,
  BackendReference,
  GrpcApiRouteSpec,
  HeaderModifier,
  HeaderOperations,
  HttpApiMatch,
  HttpApiRule,
  HttpRouteDestination,
  NamedMatch,
  PathModifier,
  Resource,
  StringMatch,
} from '@outrigger/resources';
import type { Reader } from '../../reader.ts';
import { INVALID_BACKEND } from '../../routes/destination.ts';
import type { RouteMatch, RouteRule } from '../../routes/rule.ts';
import type { Visibility } from '../../visibility.ts';
import { backendOf } from './references.ts';

/** Where a rule of Gateway API is served: what redirects are completed from. */
export interface ServedAt {
  readonly port: number;
  readonly scheme: 'http' | 'https';
}

const SERVER_ERROR = 500;

const escaped = (text: string): string => text.replaceAll(/[\\^$.*+?()[\]{}|]/g, '\\$&');
/** "\" begins a group's number in a substitution. */
const literal = (text: string): string => text.replaceAll('\\', '\\\\');

/** One rule of an HTTPRoute for one of its matches, in the mesh's own terms. */
export function httpRule(
  reader: Reader,
  visibility: Visibility,
  route: Resource,
  rule: Omit<HttpApiRule, 'matches'>,
  match: HttpApiMatch,
  at: ServedAt,
): RouteRule {
  const prefix = match.path?.type === undefined || match.path.type === 'PathPrefix' ? (match.path?.value ?? '/') : undefined;
  const filters = [...(rule.filters ?? []), ...filtersOfOnly(rule.backendRefs)];
  const redirect = filters.find(({ requestRedirect }) => requestRedirect !== undefined)?.requestRedirect;
  const rewrite = filters.find(({ urlRewrite }) => urlRewrite !== undefined)?.urlRewrite;
  const { request, backendRequest } = rule.timeouts ?? {};
  const cors = filters.find((filter) => filter.cors !== undefined)?.cors;
  const base: RouteRule = {
    ...(rule.name === undefined ? {} : { name: rule.name }),
    match: [matchOf(match)],
    headers: headersOf(filters),
    ...(request === undefined && backendRequest === undefined ? {} : { timeout: request ?? backendRequest! }),
    ...(rule.retry === undefined && (request === undefined || backendRequest === undefined)
      ? {}
      : {
          retries: {
            ...(rule.retry?.attempts === undefined ? {} : { attempts: rule.retry.attempts }),
            ...(rule.retry === undefined ? {} : { retryOn: ['connect-failure', 'refused-stream', ...(rule.retry.codes ?? [])].join(',') }),
            ...(rule.retry?.backoff === undefined ? {} : { backoff: rule.retry.backoff }),
            ...(backendRequest === undefined ? {} : { perTryTimeout: backendRequest }),
          },
        }),
    mirrors: mirrorsOf(reader, visibility, route, filters),
    ...(cors === undefined
      ? {}
      : {
          corsPolicy: {
            allowOrigins: (cors.allowOrigins ?? []).map((origin) =>
              origin.includes('*') ? { regex: escaped(origin).replaceAll('\\*', '.*') } : { exact: origin },
            ),
            allowMethods: cors.allowMethods ?? [],
            allowHeaders: cors.allowHeaders ?? [],
            exposeHeaders: cors.exposeHeaders ?? [],
            ...(cors.allowCredentials === undefined ? {} : { allowCredentials: cors.allowCredentials }),
            maxAge: `${cors.maxAge ?? 5}s`,
          },
        }),
  };
  if (redirect !== undefined) {
    const scheme = redirect.scheme ?? at.scheme;
    const port = redirect.port ?? (redirect.scheme === undefined ? at.port : usualPort(scheme));
    return {
      ...base,
      redirect: {
        ...(redirect.scheme === undefined ? {} : { scheme: redirect.scheme }),
        ...(redirect.hostname === undefined ? {} : { authority: redirect.hostname }),
        ...(port === usualPort(scheme) ? {} : { port }),
        ...(redirect.path === undefined ? {} : pathRedirect(redirect.path, prefix)),
        redirectCode: redirect.statusCode ?? 302,
      },
    };
  }
  return {
    ...base,
    ...(rewrite === undefined
      ? {}
      : {
          rewrite: {
            ...(rewrite.hostname === undefined ? {} : { authority: rewrite.hostname }),
            ...(rewrite.path === undefined ? {} : { uriRegexRewrite: pathRewrite(rewrite.path, prefix) }),
          },
        }),
    ...backends(reader, visibility, route, rule.backendRefs),
  };
}

/** A path is rewritten, and a request redirected, by its route: filters of a backend do so where it is the only one. */
function filtersOfOnly(references: readonly BackendReference[] | undefined): readonly ApiRouteFilter[] {
  const taking = (references ?? []).filter(({ weight }) => weight !== 0);
  if (taking.length !== 1) return [];
  return (taking[0]!.filters ?? []).filter(({ urlRewrite, requestRedirect }) => urlRewrite !== undefined || requestRedirect !== undefined);
}

/** A rule of a GRPCRoute: its calls are requests of HTTP. */
export function grpcRule(
  reader: Reader,
  visibility: Visibility,
  route: Resource,
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
  return httpRule(reader, visibility, route, rule, { path, headers: match.headers ?? [] }, at);
}

function usualPort(scheme: string): number {
  return scheme === 'https' ? 443 : 80;
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

function operations(modifier: HeaderModifier | undefined): HeaderOperations {
  const pairs = (list: HeaderModifier['set']): Record<string, string> =>
    Object.fromEntries((list ?? []).map(({ name, value }) => [name, value.replaceAll('%', '%%')]));
  return { set: pairs(modifier?.set), add: pairs(modifier?.add), remove: modifier?.remove ?? [] };
}

function headersOf(filters: readonly ApiRouteFilter[]) {
  return {
    request: operations(filters.find(({ requestHeaderModifier }) => requestHeaderModifier !== undefined)?.requestHeaderModifier),
    response: operations(filters.find(({ responseHeaderModifier }) => responseHeaderModifier !== undefined)?.responseHeaderModifier),
  };
}

function mirrorsOf(reader: Reader, visibility: Visibility, route: Resource, filters: readonly ApiRouteFilter[]): NonNullable<RouteRule['mirrors']> {
  return filters.flatMap(({ requestMirror }) => {
    if (requestMirror === undefined) return [];
    const { backendRef, percent, fraction } = requestMirror;
    const backend = backendOf(reader, visibility, route, backendRef);
    if ('reason' in backend) return [];
    const value = fraction === undefined ? (percent ?? 100) : (fraction.numerator * 100) / (fraction.denominator ?? 100);
    return [{ destination: { host: backend.service.hostname, port: { number: backend.port } }, percentage: { value } }];
  });
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
  references: readonly BackendReference[] | undefined,
): Pick<RouteRule, 'route' | 'directResponse'> {
  const all = (references ?? []).map((reference) => ({
    reference,
    backend: unregistered(reference, backendOf(reader, visibility, route, reference)),
    weight: reference.weight ?? 1,
  }));
  const weighted = all.filter(({ weight }) => weight > 0);
  if (weighted.every(({ backend }) => 'reason' in backend)) return { directResponse: { status: SERVER_ERROR } };
  return {
    route: weighted.map(({ reference, backend, weight }): HttpRouteDestination => {
      const { service, port } = 'reason' in backend ? { service: { hostname: INVALID_BACKEND }, port: 1 } : backend;
      return { destination: { host: service.hostname, port: { number: port } }, weight, headers: headersOf(reference.filters ?? []) };
    }),
  };
}

/** As a regular expression over the path, so that the slash between what is replaced and what stays is neither lost nor doubled. */
function pathRewrite(path: PathModifier, prefix: string | undefined): { match: string; rewrite: string } {
  if (path.type === 'ReplaceFullPath') return { match: '^/.*', rewrite: literal(path.replaceFullPath ?? '/') };
  const before = escaped((prefix ?? '').replace(/\/+$/, ''));
  const after = (path.replacePrefixMatch ?? '').replace(/\/+$/, '');
  return after === '' ? { match: `^${before}/*`, rewrite: '/' } : { match: `^${before}(/.*)?`, rewrite: `${literal(after)}\\1` };
}

function pathRedirect(path: PathModifier, prefix: string | undefined): Pick<NonNullable<RouteRule['redirect']>, 'uri' | 'uriRegexRewrite'> {
  return path.type === 'ReplaceFullPath' ? { uri: path.replaceFullPath ?? '/' } : { uriRegexRewrite: pathRewrite(path, prefix) };
}
