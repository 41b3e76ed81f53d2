import type { QueryParameterMatcher as QueryParameterMatcherConfig } from '@outrigger/xds/protos/envoy/config/route/v3/route_components';
import type { CompileReport } from './compile-result.ts';
import { compileStringMatcher, type TextMatcher } from './string-matcher.ts';

/** First value of a query parameter as sent (not percent-decoded, as Envoy's routes see it); undefined: not there. */
export function queryValue(path: string, name: string): string | undefined {
  let at = path.indexOf('?') + 1;
  if (at === 0) return undefined;
  const hash = path.indexOf('#', at);
  const end = hash < 0 ? path.length : hash;
  while (at < end) {
    let next = path.indexOf('&', at);
    if (next < 0 || next > end) next = end;
    if (path.startsWith(name, at)) {
      const after = at + name.length;
      if (after === next) return '';
      if (after < next && path.charCodeAt(after) === 0x3d) return path.slice(after + 1, next);
    }
    at = next + 1;
  }
  return undefined;
}

/** envoy.config.route.v3.QueryParameterMatcher. */
export class QueryParameterMatcher {
  readonly #name: string;
  /** null: presence decides. */
  readonly #matcher: TextMatcher | null;
  readonly #present: boolean;

  constructor(name: string, matcher: TextMatcher | null, present: boolean) {
    this.#name = name;
    this.#matcher = matcher;
    this.#present = present;
  }

  matches(path: string): boolean {
    const value = queryValue(path, this.#name);
    if (this.#matcher === null) return (value !== undefined) === this.#present;
    return value !== undefined && this.#matcher.matches(value);
  }
}

export function compileQueryParameter(config: QueryParameterMatcherConfig, path: string, report: CompileReport): QueryParameterMatcher {
  if (config.name === '') report.error(`${path}.name`, 'must not be empty');
  const specifier = config.queryParameterMatchSpecifier;
  if (specifier.case === 'stringMatch')
    return new QueryParameterMatcher(config.name, compileStringMatcher(specifier.value, `${path}.string_match`, report), true);
  return new QueryParameterMatcher(config.name, null, specifier.case === 'presentMatch' ? specifier.value : true);
}
