import type { RouteMatch as RouteMatchConfig } from '@outrigger/xds/protos/envoy/config/route/v3/route_components';
import type { RE2JS } from 're2js';
import type { RequestHead } from '../http/message.ts';
import type { CompileReport } from './compile-result.ts';
import { ALWAYS, compileFraction, type Fraction } from './fraction.ts';
import { allMatchRequest, compileHeaderMatchers, type HeaderMatcher } from './header-matcher.ts';
import { headerValue } from './headers.ts';
import { compileQueryParameter, type QueryParameterMatcher } from './query.ts';
import { compileRegex } from './regex.ts';

export type PathKind = 'exact' | 'prefix' | 'separated-prefix' | 'regex' | 'connect';

export interface RouteMatchFields {
  readonly pathKind: PathKind;
  /** Exact path or prefix; lower case where the case does not count. */
  readonly path: string;
  readonly caseSensitive: boolean;
  readonly regex: RE2JS | null;
  readonly headers: readonly HeaderMatcher[];
  readonly query: readonly QueryParameterMatcher[];
  readonly grpc: boolean;
  readonly fraction: Fraction;
}

/** One route's condition. */
export class RouteMatch {
  readonly fields: RouteMatchFields;
  readonly #unconditional: boolean;

  constructor(fields: RouteMatchFields) {
    this.fields = fields;
    this.#unconditional = fields.headers.length === 0 && fields.query.length === 0 && !fields.grpc && fields.fraction.ratio === 1;
  }

  /** The path alone. `path` is without query; `lowerPath` is the same in lower case. */
  matchesPath(head: RequestHead, path: string, lowerPath: string): boolean {
    const { pathKind, path: wanted, caseSensitive, regex } = this.fields;
    const given = caseSensitive ? path : lowerPath;
    switch (pathKind) {
      case 'exact':
        return given === wanted;
      case 'prefix':
        return given.startsWith(wanted);
      case 'separated-prefix':
        return given.startsWith(wanted) && endsSegment(given, wanted.length);
      case 'regex':
        return regex?.testExact(path) ?? false;
      case 'connect':
        return head.method === 'CONNECT';
    }
  }

  /** Everything but the path. `random` is uniform in [0, 2^32). */
  matchesRest(head: RequestHead, random: number): boolean {
    if (this.#unconditional) return true;
    const { headers, query, grpc, fraction } = this.fields;
    if (!fraction.holds(random)) return false;
    if (grpc && !isGrpc(head)) return false;
    if (!allMatchRequest(headers, head)) return false;
    for (let i = 0; i < query.length; i++) {
      if (!query[i]!.matches(head.path)) return false;
    }
    return true;
  }
}

/** Whether a path segment ends at that place. */
export function endsSegment(path: string, at: number): boolean {
  return at === path.length || path.charCodeAt(at) === 0x2f;
}

/** Content-Type application/grpc, with a suffix or parameters. */
export function isGrpc(head: RequestHead): boolean {
  const type = headerValue(head.headers, 'content-type');
  if (type === undefined || !type.startsWith('application/grpc')) return false;
  return type.length === 16 || type[16] === '+' || type[16] === ';';
}

/** envoy.config.route.v3.RouteMatch. */
export function compileRouteMatch(config: RouteMatchConfig | undefined, path: string, report: CompileReport): RouteMatch {
  const specifier = config?.pathSpecifier;
  const caseSensitive = config?.caseSensitive ?? true;
  const cased = (text: string): string => (caseSensitive ? text : text.toLowerCase());
  let pathKind: PathKind = 'prefix';
  let text = '';
  let regex: RE2JS | null = null;
  switch (specifier?.case) {
    case 'prefix':
      text = cased(specifier.value);
      break;
    case 'path':
      pathKind = 'exact';
      text = cased(specifier.value);
      break;
    case 'pathSeparatedPrefix':
      pathKind = 'separated-prefix';
      text = cased(specifier.value);
      if (!text.startsWith('/') || text.endsWith('/') || /[?#]/.test(text)) {
        report.error(`${path}.path_separated_prefix`, 'must start with "/", must not end with "/" and must hold neither "?" nor "#"');
      }
      break;
    case 'safeRegex':
      pathKind = 'regex';
      regex = compileRegex(specifier.value, `${path}.safe_regex`, report);
      break;
    case 'connectMatcher':
      pathKind = 'connect';
      break;
    case 'pathMatchPolicy':
      report.error(`${path}.path_match_policy`, 'extensions for path matching are not supported');
      break;
    default:
      report.error(path, 'needs one of prefix, path, path_separated_prefix, safe_regex, connect_matcher');
  }
  if (config?.tlsContext !== undefined) report.error(`${path}.tls_context`, 'is not supported');
  if (config !== undefined && config.dynamicMetadata.length > 0) report.error(`${path}.dynamic_metadata`, 'is not supported');
  return new RouteMatch({
    pathKind,
    path: text,
    caseSensitive,
    regex,
    headers: compileHeaderMatchers(config?.headers ?? [], `${path}.headers`, report),
    query: (config?.queryParameters ?? []).map((parameter, index) => compileQueryParameter(parameter, `${path}.query_parameters[${index}]`, report)),
    grpc: config?.grpc !== undefined,
    fraction: compileFraction(config?.runtimeFraction?.defaultValue, ALWAYS),
  });
}
