import type { ApiRouteFilter, BackendReference, HeaderModifier, HeaderOperations, PathModifier, Resource } from '@outrigger/resources';
import type { Reader } from '../../reader.ts';
import type { RouteRule } from '../../routes/rule.ts';
import type { Visibility } from '../../visibility.ts';
import { backendOf } from './references.ts';

/** Where a rule of Gateway API is served: what redirects are completed from. */
export interface ServedAt {
  readonly port: number;
  readonly scheme: 'http' | 'https';
}

/** Filters that nothing here can carry out. A request that one of them is for is answered with an error, never let through without it. */
const UNABLE: ReadonlySet<string> = new Set(['ExtensionRef', 'ExternalAuth']);

const escaped = (text: string): string => text.replaceAll(/[\\^$.*+?()[\]{}|]/g, '\\$&');
/** "\" begins a group's number in a substitution. */
const literal = (text: string): string => text.replaceAll('\\', '\\\\');

/** The first filter that cannot be carried out. */
export function unableFilter(filters: readonly ApiRouteFilter[] | undefined): ApiRouteFilter | undefined {
  return filters?.find(({ type }) => UNABLE.has(type));
}

/** What a backend's own filters may do to its requests alone; the rest is done by the rule's route, for all its backends. */
export function forOneBackend({ requestHeaderModifier, responseHeaderModifier }: ApiRouteFilter): boolean {
  return requestHeaderModifier !== undefined || responseHeaderModifier !== undefined;
}

export function headersOf(filters: readonly ApiRouteFilter[]) {
  return {
    request: operations(filters.find(({ requestHeaderModifier }) => requestHeaderModifier !== undefined)?.requestHeaderModifier),
    response: operations(filters.find(({ responseHeaderModifier }) => responseHeaderModifier !== undefined)?.responseHeaderModifier),
  };
}

function operations(modifier: HeaderModifier | undefined): HeaderOperations {
  return { set: pairs(modifier?.set), add: pairs(modifier?.add), remove: modifier?.remove ?? [] };
}

/** Of entries for one name, whatever its case, the first counts. */
function pairs(list: HeaderModifier['set']): Record<string, string> {
  const seen = new Set<string>();
  const found: Record<string, string> = {};
  for (const { name, value } of list ?? []) {
    if (seen.has(name.toLowerCase())) continue;
    seen.add(name.toLowerCase());
    // "%" begins a command in Envoy's header values.
    found[name] = value.replaceAll('%', '%%');
  }
  return found;
}

export function mirrorsOf(reader: Reader, visibility: Visibility, route: Resource, filters: readonly ApiRouteFilter[]): NonNullable<RouteRule['mirrors']> {
  return filters.flatMap(({ requestMirror }) => {
    if (requestMirror === undefined) return [];
    const { backendRef, percent, fraction } = requestMirror;
    const backend = backendOf(reader, visibility, route, backendRef);
    if ('reason' in backend) return [];
    const value = fraction === undefined ? (percent ?? 100) : (fraction.numerator * 100) / (fraction.denominator ?? 100);
    return [{ destination: { host: backend.service.hostname, port: { number: backend.port } }, percentage: { value } }];
  });
}

export function corsOf(filters: readonly ApiRouteFilter[]): Pick<RouteRule, 'corsPolicy'> {
  const cors = filters.find((filter) => filter.cors !== undefined)?.cors;
  if (cors === undefined) return {};
  const credentials = cors.allowCredentials === true;
  const origins = cors.allowOrigins ?? [];
  return {
    corsPolicy: {
      // Without any named, every origin: else the policy would say nothing at all.
      allowOrigins: origins.length === 0 ? [{ regex: '.*' }] : origins.map(originMatch),
      allowMethods: cors.allowMethods ?? [],
      allowHeaders: cors.allowHeaders ?? [],
      // A browser with credentials takes "*" for the name of a header.
      exposeHeaders: (cors.exposeHeaders ?? []).filter((name) => !(credentials && name === '*')),
      ...(cors.allowCredentials === undefined ? {} : { allowCredentials: cors.allowCredentials }),
      maxAge: `${cors.maxAge ?? 5}s`,
    },
  };
}

const USUAL_PORTS: Readonly<Record<string, string>> = { http: '80', https: '443' };

/** "*" is any number of labels of a host, and never a port; browsers leave out the port that a scheme has anyway. */
function originMatch(origin: string): { readonly exact: string } | { readonly regex: string } {
  if (origin === '*') return { regex: '.*' };
  const [, scheme = '', host = '', port = ''] = /^([a-z]+):\/\/(.*?)(?::(\d+))?$/.exec(origin.toLowerCase()) ?? [];
  const usual = port === '' || port === USUAL_PORTS[scheme];
  if (scheme === '') return { exact: origin };
  if (usual && !host.includes('*')) return { exact: `${scheme}://${host}` };
  const name = host === '*' ? '(\\[[^\\]]+\\]|[^:]+)' : escaped(host).replaceAll('\\*', '[^:]+');
  return { regex: `${scheme}://${name}${usual ? '' : `:${port}`}` };
}

export function usualPort(scheme: string): number {
  return scheme === 'https' ? 443 : 80;
}

/** What a rule with a redirect does in the place of sending requests on. */
export function redirectOf(filters: readonly ApiRouteFilter[], prefix: string | undefined, at: ServedAt): Pick<RouteRule, 'redirect'> | undefined {
  const redirect = filters.find(({ requestRedirect }) => requestRedirect !== undefined)?.requestRedirect;
  if (redirect === undefined) return undefined;
  const scheme = redirect.scheme ?? at.scheme;
  const port = redirect.port ?? (redirect.scheme === undefined ? at.port : usualPort(scheme));
  return {
    redirect: {
      ...(redirect.scheme === undefined ? {} : { scheme: redirect.scheme }),
      ...(redirect.hostname === undefined ? {} : { authority: redirect.hostname }),
      ...(port === usualPort(scheme) ? {} : { port }),
      ...(redirect.path === undefined ? {} : pathRedirect(redirect.path, prefix)),
      redirectCode: redirect.statusCode ?? 302,
    },
  };
}

export function rewriteOf(filters: readonly ApiRouteFilter[], prefix: string | undefined): Pick<RouteRule, 'rewrite'> {
  const rewrite = filters.find(({ urlRewrite }) => urlRewrite !== undefined)?.urlRewrite;
  if (rewrite === undefined) return {};
  return {
    rewrite: {
      ...(rewrite.hostname === undefined ? {} : { authority: rewrite.hostname }),
      ...(rewrite.path === undefined ? {} : { uriRegexRewrite: pathRewrite(rewrite.path, prefix) }),
    },
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

/** Filters of the only backend of a rule, which are the route's as much as its own; of several, what they cannot do apart is noted. */
export function filtersOfOnly(reader: Reader, route: Resource, field: string, references: readonly BackendReference[] | undefined): readonly ApiRouteFilter[] {
  const taking = (references ?? []).filter(({ weight }) => weight !== 0);
  const only = taking.length === 1 ? (taking[0]!.filters ?? []) : undefined;
  if (only !== undefined) return only.filter((filter) => !forOneBackend(filter));
  for (const [index, { filters = [] }] of (references ?? []).entries())
    for (const filter of filters)
      if (!forOneBackend(filter) && !UNABLE.has(filter.type))
        reader.ignored(route, `${field}.backendRefs[${index}].filters`, `of several backends one alone has no ${filter.type}: write it at the rule`);
  return [];
}
