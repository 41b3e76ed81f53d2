import type { RegexMatchAndSubstitute, RegexMatcher } from '@outrigger/xds/protos/envoy/type/matcher/v3/regex';
import { RE2JS } from 're2js';
import type { CompileReport } from './compile-result.ts';

/** RE2 is linear in the text; this keeps the factor small too. */
const MAX_PATTERN_LENGTH = 4096;
const MAX_PROGRAM_SIZE = 10_000;

/** envoy.type.matcher.v3.RegexMatcher, compiled with RE2's syntax and linear time. null: an error was reported. */
export function compileRegex(matcher: RegexMatcher | undefined, path: string, report: CompileReport): RE2JS | null {
  const pattern = matcher?.regex ?? '';
  if (pattern === '') {
    report.error(`${path}.regex`, 'must not be empty');
    return null;
  }
  if (pattern.length > MAX_PATTERN_LENGTH) {
    report.error(`${path}.regex`, `is longer than ${MAX_PATTERN_LENGTH} characters`);
    return null;
  }
  try {
    const regex = RE2JS.compile(pattern);
    if (regex.programSize() <= MAX_PROGRAM_SIZE) return regex;
    report.error(`${path}.regex`, `compiles to more than ${MAX_PROGRAM_SIZE} instructions; simplify it`);
  } catch (error) {
    report.error(`${path}.regex`, `is not a valid RE2 expression: ${error instanceof Error ? error.message : String(error)}`);
  }
  return null;
}

/** A regex with its replacement; the text may name groups as \0 to \9, as RE2's Rewrite does. */
export class RegexRewrite {
  readonly #regex: RE2JS;
  /** Literal, group number, literal, group number, ... literal. */
  readonly #parts: readonly (string | number)[];

  constructor(regex: RE2JS, parts: readonly (string | number)[]) {
    this.#regex = regex;
    this.#parts = parts;
  }

  /** Every match replaced; a text without one comes back as it was. */
  replaceAll(text: string): string {
    const matcher = this.#regex.matcher(text);
    let result = '';
    let last = 0;
    while (matcher.find()) {
      result += text.slice(last, matcher.start());
      for (const part of this.#parts) result += typeof part === 'string' ? part : (matcher.group(part) ?? '');
      last = matcher.end();
    }
    return last === 0 && result === '' ? text : result + text.slice(last);
  }
}

/** envoy.type.matcher.v3.RegexMatchAndSubstitute. null: an error was reported. */
export function compileRegexRewrite(rewrite: RegexMatchAndSubstitute, path: string, report: CompileReport): RegexRewrite | null {
  const regex = compileRegex(rewrite.pattern, `${path}.pattern`, report);
  if (regex === null) return null;
  const parts: (string | number)[] = [];
  let literal = '';
  const text = rewrite.substitution;
  for (let i = 0; i < text.length; i++) {
    if (text[i] !== '\\') {
      literal += text[i];
      continue;
    }
    const next = text[++i];
    if (next === '\\') literal += '\\';
    else if (next !== undefined && next >= '0' && next <= '9') {
      if (Number(next) > regex.groupCount()) {
        report.error(`${path}.substitution`, `names group \\${next}, but the pattern has ${regex.groupCount()}`);
        return null;
      }
      parts.push(literal, Number(next));
      literal = '';
    } else {
      report.error(`${path}.substitution`, 'has a backslash that is followed by neither a digit nor a backslash');
      return null;
    }
  }
  parts.push(literal);
  return new RegexRewrite(regex, parts);
}
