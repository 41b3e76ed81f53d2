import type { StringMatcher } from '@outrigger/xds/protos/envoy/type/matcher/v3/string';
import type { RE2JS } from 're2js';
import type { CompileReport } from './compile-result.ts';
import { compileRegex } from './regex.ts';

/** Decides about one text. */
export interface TextMatcher {
  matches(text: string): boolean;
}

class Exact implements TextMatcher {
  readonly #text: string;
  constructor(text: string) {
    this.#text = text;
  }
  matches(text: string): boolean {
    return text === this.#text;
  }
}

class Prefix implements TextMatcher {
  readonly #text: string;
  constructor(text: string) {
    this.#text = text;
  }
  matches(text: string): boolean {
    return text.startsWith(this.#text);
  }
}

class Suffix implements TextMatcher {
  readonly #text: string;
  constructor(text: string) {
    this.#text = text;
  }
  matches(text: string): boolean {
    return text.endsWith(this.#text);
  }
}

class Contains implements TextMatcher {
  readonly #text: string;
  constructor(text: string) {
    this.#text = text;
  }
  matches(text: string): boolean {
    return text.includes(this.#text);
  }
}

class Regex implements TextMatcher {
  readonly #regex: RE2JS;
  constructor(regex: RE2JS) {
    this.#regex = regex;
  }
  matches(text: string): boolean {
    return this.#regex.testExact(text);
  }
}

class IgnoreCase implements TextMatcher {
  readonly #inner: TextMatcher;
  /** `inner` was made with lower-case text. */
  constructor(inner: TextMatcher) {
    this.#inner = inner;
  }
  matches(text: string): boolean {
    return this.#inner.matches(text.toLowerCase());
  }
}

class Nothing implements TextMatcher {
  matches(): boolean {
    return false;
  }
}

/** Matches no text; stands where a compile error was reported. */
export const MATCHES_NOTHING: TextMatcher = new Nothing();

export function exactMatcher(text: string): TextMatcher {
  return new Exact(text);
}

export function prefixMatcher(text: string): TextMatcher {
  return new Prefix(text);
}

export function suffixMatcher(text: string): TextMatcher {
  return new Suffix(text);
}

export function containsMatcher(text: string): TextMatcher {
  return new Contains(text);
}

export function regexMatcher(regex: RE2JS): TextMatcher {
  return new Regex(regex);
}

function nonEmpty(text: string, path: string, report: CompileReport): string {
  if (text === '') report.error(path, 'must not be empty');
  return text;
}

/** envoy.type.matcher.v3.StringMatcher. `ignore_case` does nothing for a regex, as in Envoy. */
export function compileStringMatcher(matcher: StringMatcher | undefined, path: string, report: CompileReport): TextMatcher {
  const pattern = matcher?.matchPattern;
  if (matcher === undefined || pattern === undefined || pattern.case === undefined) {
    report.error(path, 'needs one of exact, prefix, suffix, safe_regex, contains');
    return MATCHES_NOTHING;
  }
  const text = (value: string): string => (matcher.ignoreCase ? value.toLowerCase() : value);
  const cased = (inner: TextMatcher): TextMatcher => (matcher.ignoreCase ? new IgnoreCase(inner) : inner);
  switch (pattern.case) {
    case 'exact':
      return cased(new Exact(text(pattern.value)));
    case 'prefix':
      return cased(new Prefix(text(nonEmpty(pattern.value, `${path}.prefix`, report))));
    case 'suffix':
      return cased(new Suffix(text(nonEmpty(pattern.value, `${path}.suffix`, report))));
    case 'contains':
      return cased(new Contains(text(nonEmpty(pattern.value, `${path}.contains`, report))));
    case 'safeRegex': {
      const regex = compileRegex(pattern.value, `${path}.safe_regex`, report);
      return regex === null ? MATCHES_NOTHING : new Regex(regex);
    }
    case 'custom':
      report.error(`${path}.custom`, 'extensions for matching are not supported');
      return MATCHES_NOTHING;
  }
}
