import { type HttpMatchRequest, type Metadata, matchesLabels, type Resource, type StringMatch } from '@outrigger/resources';
import type { HeaderMatcherSchema, QueryParameterMatcherSchema, RouteMatchSchema } from '@outrigger/xds/protos/envoy/config/route/v3/route_components';
import type { StringMatcherSchema } from '@outrigger/xds/protos/envoy/type/matcher/v3/string';
import { gatewayNames } from '../gateways/names.ts';
import type { Init } from '../messages.ts';
import type { Reader } from '../reader.ts';
import type { RouteMatch } from './rule.ts';

export type RouteMatchInit = Init<typeof RouteMatchSchema>;
export type HeaderMatcherInit = Init<typeof HeaderMatcherSchema>;

export function stringMatcher(match: StringMatch, ignoreCase = false): Init<typeof StringMatcherSchema> | undefined {
  const base = ignoreCase ? { ignoreCase } : {};
  if (match.exact !== undefined) return { ...base, matchPattern: { case: 'exact', value: match.exact } };
  if (match.prefix !== undefined) return { ...base, matchPattern: { case: 'prefix', value: match.prefix } };
  if (match.regex !== undefined) return { matchPattern: { case: 'safeRegex', value: { regex: match.regex } } };
  return undefined;
}

export function headerMatcher(name: string, match: StringMatch): HeaderMatcherInit {
  const matcher = stringMatcher(match);
  // An empty prefix or ".*" says no more than that the header is there.
  if (matcher === undefined || match.prefix === '' || match.regex === '.*') return { name, headerMatchSpecifier: { case: 'presentMatch', value: true } };
  return { name, headerMatchSpecifier: { case: 'stringMatch', value: matcher } };
}

/** Stands for a claim of a request's token, not for a header. */
const CLAIM = '@request.auth.claims';

export const everyPath: RouteMatchInit = { pathSpecifier: { case: 'prefix', value: '/' } };

/** Whether a match of a resource can hold at all for what comes by this gateway ("mesh": from a sidecar): source and port are known when routes are made. */
export function appliesTo(reader: Reader, match: HttpMatchRequest, { namespace }: Metadata, port: number, gateway: string): boolean {
  if (match.gateways !== undefined && match.gateways.length > 0 && !gatewayNames(match.gateways, namespace).includes(gateway)) return false;
  if (match.port !== undefined && match.port !== 0 && match.port !== port) return false;
  if (match.sourceNamespace !== undefined && match.sourceNamespace !== '' && match.sourceNamespace !== reader.node.namespace) return false;
  return match.sourceLabels === undefined || matchesLabels(match.sourceLabels, reader.node.labels);
}

export function routeMatch(reader: Reader, owner: Resource, field: string, match: RouteMatch | undefined): RouteMatchInit {
  if (match === undefined) return everyPath;
  const headers: HeaderMatcherInit[] = [];
  for (const name of sorted(match.headers)) {
    if (name.startsWith(CLAIM)) reader.ignored(owner, `${field}.headers`, 'claims of tokens are not read yet: a match by one never holds');
    headers.push(headerMatcher(headerName(name), match.headers![name]!));
  }
  for (const name of sorted(match.withoutHeaders)) {
    const matcher = headerMatcher(headerName(name), match.withoutHeaders![name]!);
    // Without the header the inverted match holds; Envoy would else say that an absent header matches nothing.
    headers.push({ ...matcher, invertMatch: true, ...(matcher.headerMatchSpecifier?.case === 'presentMatch' ? {} : { treatMissingHeaderAsEmpty: true }) });
  }
  if (match.method !== undefined) headers.push(headerMatcher(':method', match.method));
  if (match.authority !== undefined) headers.push(headerMatcher(':authority', match.authority));
  if (match.scheme !== undefined) headers.push(headerMatcher(':scheme', match.scheme));
  const queryParameters: Init<typeof QueryParameterMatcherSchema>[] = sorted(match.queryParams).map((name) => {
    const matcher = stringMatcher(match.queryParams![name]!);
    return matcher === undefined
      ? { name, queryParameterMatchSpecifier: { case: 'presentMatch', value: true } }
      : { name, queryParameterMatchSpecifier: { case: 'stringMatch', value: matcher } };
  });
  if (reader.node.dataPlane === 'grpc' && queryParameters.length > 0) reader.ignored(owner, `${field}.queryParams`, 'gRPC calls have no query', 'grpc');
  return {
    pathSpecifier: match.wholeSegments === true ? segmentsSpecifier(match.uri?.prefix ?? '/') : pathSpecifier(match.uri),
    ...(match.ignoreUriCase === true && match.uri?.regex === undefined ? { caseSensitive: false } : {}),
    headers,
    ...(reader.node.dataPlane === 'grpc' ? {} : { queryParameters }),
  };
}

function segmentsSpecifier(prefix: string): RouteMatchInit['pathSpecifier'] & object {
  const path = prefix.replace(/\/+$/, '');
  return path === '' ? { case: 'prefix', value: '/' } : { case: 'pathSeparatedPrefix', value: path };
}

function pathSpecifier(uri: StringMatch | undefined): RouteMatchInit['pathSpecifier'] & object {
  if (uri?.exact !== undefined) return { case: 'path', value: uri.exact };
  if (uri?.prefix !== undefined) return { case: 'prefix', value: uri.prefix };
  if (uri?.regex !== undefined) return { case: 'safeRegex', value: { regex: uri.regex } };
  return { case: 'prefix', value: '/' };
}

function sorted(map: Readonly<Record<string, unknown>> | undefined): readonly string[] {
  return Object.keys(map ?? {}).sort();
}

/** Istio's users write pseudo-headers as they write headers. */
function headerName(name: string): string {
  const lower = name.toLowerCase();
  return lower === 'host' ? ':authority' : lower;
}
