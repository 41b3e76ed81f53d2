import type { HeaderMatcher as HeaderMatcherConfig } from '@outrigger/xds/protos/envoy/config/route/v3/route_components';
import type { RequestHead, ResponseHead } from '../http/message.ts';
import type { CompileReport } from './compile-result.ts';
import { headerIndex, joinedHeader } from './headers.ts';
import { compileRegex } from './regex.ts';
import {
  compileStringMatcher,
  containsMatcher,
  exactMatcher,
  MATCHES_NOTHING,
  prefixMatcher,
  regexMatcher,
  suffixMatcher,
  type TextMatcher,
} from './string-matcher.ts';

/** Where a header's text comes from: pseudo-headers live in fields of the head. */
type Field = 'header' | 'method' | 'path' | 'authority' | 'scheme' | 'protocol' | 'status';

const PSEUDO: ReadonlyMap<string, Field> = new Map([
  [':method', 'method'],
  [':path', 'path'],
  [':authority', 'authority'],
  ['host', 'authority'],
  [':scheme', 'scheme'],
  [':protocol', 'protocol'],
  [':status', 'status'],
]);

type Kind = 'present' | 'text';

/** envoy.config.route.v3.HeaderMatcher. Repeated headers are joined by "," first, as in Envoy. */
export class HeaderMatcher {
  readonly name: string;
  readonly #field: Field;
  readonly #kind: Kind;
  readonly #present: boolean;
  readonly #matcher: TextMatcher;
  readonly #invert: boolean;
  readonly #missingIsEmpty: boolean;

  constructor(name: string, kind: Kind, present: boolean, matcher: TextMatcher, invert: boolean, missingIsEmpty: boolean) {
    this.name = name.toLowerCase();
    this.#field = PSEUDO.get(this.name) ?? 'header';
    this.#kind = kind;
    this.#present = present;
    this.#matcher = matcher;
    this.#invert = invert;
    this.#missingIsEmpty = missingIsEmpty;
  }

  matchesRequest(head: RequestHead): boolean {
    switch (this.#field) {
      case 'header':
        return this.#matchesList(head.headers);
      case 'method':
        return this.#matchesText(head.method === '' ? undefined : head.method);
      case 'path':
        return this.#matchesText(head.path === '' ? undefined : head.path);
      case 'authority':
        return this.#matchesText(head.authority === '' ? undefined : head.authority);
      case 'scheme':
        return this.#matchesText(head.scheme === '' ? undefined : head.scheme);
      case 'protocol':
        return this.#matchesText(head.protocol === '' ? undefined : head.protocol);
      case 'status':
        return this.#matchesText(undefined);
    }
  }

  matchesResponse(head: ResponseHead): boolean {
    if (this.#field === 'header') return this.#matchesList(head.headers);
    return this.#matchesText(this.#field === 'status' ? String(head.status) : undefined);
  }

  #matchesList(headers: readonly string[]): boolean {
    if (this.#kind === 'present') return (headerIndex(headers, this.name) >= 0 === this.#present) !== this.#invert;
    return this.#matchesText(joinedHeader(headers, this.name));
  }

  #matchesText(text: string | undefined): boolean {
    if (this.#kind === 'present') return ((text !== undefined) === this.#present) !== this.#invert;
    if (text !== undefined) return this.#matcher.matches(text) !== this.#invert;
    // A missing header matches nothing, inverted or not, unless it counts as empty.
    return this.#missingIsEmpty && this.#matcher.matches('') !== this.#invert;
  }
}

const MIN_INT64 = -(2n ** 63n);
const MAX_INT64 = 2n ** 63n - 1n;
const INTEGER = /^[+-]?\d{1,19}$/;

/** Half-open range over the whole text as a signed 64-bit integer. */
class Range implements TextMatcher {
  readonly #start: bigint;
  readonly #end: bigint;
  constructor(start: bigint, end: bigint) {
    this.#start = start;
    this.#end = end;
  }
  matches(text: string): boolean {
    if (!INTEGER.test(text)) return false;
    const value = BigInt(text[0] === '+' ? text.slice(1) : text);
    return value >= MIN_INT64 && value <= MAX_INT64 && value >= this.#start && value < this.#end;
  }
}

export function compileHeaderMatcher(config: HeaderMatcherConfig, path: string, report: CompileReport): HeaderMatcher {
  if (config.name === '') report.error(`${path}.name`, 'must not be empty');
  const specifier = config.headerMatchSpecifier;
  const text = (matcher: TextMatcher): HeaderMatcher =>
    new HeaderMatcher(config.name, 'text', true, matcher, config.invertMatch, config.treatMissingHeaderAsEmpty);
  switch (specifier.case) {
    case undefined:
      return new HeaderMatcher(config.name, 'present', true, MATCHES_NOTHING, config.invertMatch, config.treatMissingHeaderAsEmpty);
    case 'presentMatch':
      return new HeaderMatcher(config.name, 'present', specifier.value, MATCHES_NOTHING, config.invertMatch, config.treatMissingHeaderAsEmpty);
    case 'exactMatch':
      return text(exactMatcher(specifier.value));
    case 'prefixMatch':
      return text(prefixMatcher(specifier.value));
    case 'suffixMatch':
      return text(suffixMatcher(specifier.value));
    case 'containsMatch':
      return text(containsMatcher(specifier.value));
    case 'rangeMatch':
      return text(new Range(specifier.value.start, specifier.value.end));
    case 'safeRegexMatch': {
      const regex = compileRegex(specifier.value, `${path}.safe_regex_match`, report);
      return text(regex === null ? MATCHES_NOTHING : regexMatcher(regex));
    }
    case 'stringMatch':
      return text(compileStringMatcher(specifier.value, `${path}.string_match`, report));
  }
}

export function compileHeaderMatchers(configs: readonly HeaderMatcherConfig[], path: string, report: CompileReport): readonly HeaderMatcher[] {
  return configs.map((config, index) => compileHeaderMatcher(config, `${path}[${index}]`, report));
}

export function allMatchRequest(matchers: readonly HeaderMatcher[], head: RequestHead): boolean {
  for (let i = 0; i < matchers.length; i++) {
    if (!matchers[i]!.matchesRequest(head)) return false;
  }
  return true;
}
