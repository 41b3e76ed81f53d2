import type { TypedExtensionConfig } from '@outrigger/xds/protos/envoy/config/core/v3/extension';
import type { RouteMatch_TlsContextMatchOptions, RouteMatch as RouteMatchConfig } from '@outrigger/xds/protos/envoy/config/route/v3/route_components';
import { UriTemplateMatchConfigSchema } from '@outrigger/xds/protos/envoy/extensions/path/match/uri_template/v3/uri_template_match';
import type { RE2JS } from 're2js';
import { compileMetadata } from '../filters/rbac/compile-rules.ts';
import type { MetadataRule } from '../filters/rbac/rule.ts';
import type { RequestHead } from '../http/message.ts';
import { typeNameOf, unpack } from '../xds/fields.ts';
import type { CompileReport } from './compile-result.ts';
import { ALWAYS, compileFraction, type Fraction, NEVER } from './fraction.ts';
import { allMatchRequest, compileHeaderMatchers, type HeaderMatcher } from './header-matcher.ts';
import { headerValue } from './headers.ts';
import { compileQueryParameter, type QueryParameterMatcher } from './query.ts';
import { compileRegex } from './regex.ts';
import type { RequestFacts } from './request-facts.ts';
import { compileUriTemplate, type UriTemplate } from './uri-template.ts';

export type PathKind = 'exact' | 'prefix' | 'separated-prefix' | 'regex' | 'template' | 'connect';

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
  readonly template: UriTemplate | null;
  /** tls_context; null: whatever. */
  readonly mutual: boolean | null;
  readonly metadata: readonly MetadataRule[];
}

/** One route's condition. */
export class RouteMatch {
  readonly fields: RouteMatchFields;
  readonly #unconditional: boolean;

  constructor(fields: RouteMatchFields) {
    this.fields = fields;
    this.#unconditional =
      fields.headers.length === 0 &&
      fields.query.length === 0 &&
      !fields.grpc &&
      fields.fraction.ratio === 1 &&
      fields.mutual === null &&
      fields.metadata.length === 0;
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
      case 'template':
        return this.fields.template!.matches(path);
      case 'connect':
        return head.method === 'CONNECT';
    }
  }

  /** Everything but the path. `random` is uniform in [0, 2^32). */
  matchesRest(head: RequestHead, random: number, facts: RequestFacts): boolean {
    if (this.#unconditional) return true;
    const { headers, query, grpc, fraction, mutual, metadata } = this.fields;
    if (mutual !== null && mutual !== facts.mutual) return false;
    if (!fraction.holds(random)) return false;
    if (grpc && !isGrpc(head)) return false;
    if (!allMatchRequest(headers, head)) return false;
    for (let i = 0; i < query.length; i++) {
      if (!query[i]!.matches(head.path)) return false;
    }
    for (let i = 0; i < metadata.length; i++) {
      if (!metadata[i]!.holds(facts.dynamicMetadata)) return false;
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

function compileTemplate(config: TypedExtensionConfig, path: string, report: CompileReport): UriTemplate | null {
  if (typeNameOf(config.typedConfig) !== UriTemplateMatchConfigSchema.typeName) {
    report.error(path, `${config.name} is not supported by this proxy`);
    return null;
  }
  const compiled = compileUriTemplate(unpack(config.typedConfig, UriTemplateMatchConfigSchema, path, report)?.pathTemplate ?? '');
  if (compiled.ok) return compiled.value;
  report.error(`${path}.typed_config.path_template`, compiled.message);
  return null;
}

/** A certificate that proves nothing is none here, so that both fields ask the same. */
function compileTlsContext(config: RouteMatch_TlsContextMatchOptions | undefined): boolean | null {
  return config?.validated ?? config?.presented ?? null;
}

function contradicts(config: RouteMatch_TlsContextMatchOptions | undefined): boolean {
  return config?.presented !== undefined && config.validated !== undefined && config.presented !== config.validated;
}

/** envoy.config.route.v3.RouteMatch. */
export function compileRouteMatch(config: RouteMatchConfig | undefined, path: string, report: CompileReport): RouteMatch {
  const specifier = config?.pathSpecifier;
  const caseSensitive = config?.caseSensitive ?? true;
  const cased = (text: string): string => (caseSensitive ? text : text.toLowerCase());
  let pathKind: PathKind = 'prefix';
  let text = '';
  let regex: RE2JS | null = null;
  let template: UriTemplate | null = null;
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
      pathKind = 'template';
      template = compileTemplate(specifier.value, `${path}.path_match_policy`, report);
      break;
    default:
      report.error(path, 'needs one of prefix, path, path_separated_prefix, safe_regex, connect_matcher');
  }
  return new RouteMatch({
    pathKind,
    path: text,
    caseSensitive,
    regex,
    headers: compileHeaderMatchers(config?.headers ?? [], `${path}.headers`, report),
    query: (config?.queryParameters ?? []).map((parameter, index) => compileQueryParameter(parameter, `${path}.query_parameters[${index}]`, report)),
    grpc: config?.grpc !== undefined,
    fraction: contradicts(config?.tlsContext) ? NEVER : compileFraction(config?.runtimeFraction?.defaultValue, ALWAYS),
    template,
    mutual: compileTlsContext(config?.tlsContext),
    metadata: (config?.dynamicMetadata ?? []).map((matcher, index) => compileMetadata(matcher, `${path}.dynamic_metadata[${index}]`, report)),
  });
}
