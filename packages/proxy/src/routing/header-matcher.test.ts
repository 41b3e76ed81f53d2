import { create } from '@bufbuild/protobuf';
import { type HeaderMatcher as Config, HeaderMatcherSchema } from '@outrigger/xds/protos/envoy/config/route/v3/route_components';
import { RegexMatcherSchema } from '@outrigger/xds/protos/envoy/type/matcher/v3/regex';
import { StringMatcherSchema } from '@outrigger/xds/protos/envoy/type/matcher/v3/string';
import { Int64RangeSchema } from '@outrigger/xds/protos/envoy/type/v3/range';
import { describe, expect, it } from 'vitest';
import { RequestHead, ResponseHead } from '../http/message.ts';
import { CompileReport } from './compile-result.ts';
import { compileHeaderMatcher } from './header-matcher.ts';

type Specifier = Config['headerMatchSpecifier'];

function matches(specifier: Specifier, value: string | undefined, options: { invertMatch?: boolean; treatMissingHeaderAsEmpty?: boolean } = {}): boolean {
  const report = new CompileReport();
  const matcher = compileHeaderMatcher(create(HeaderMatcherSchema, { name: 'X-Thing', headerMatchSpecifier: specifier, ...options }), 'headers[0]', report);
  expect(report.errors).toEqual([]);
  const head = new RequestHead();
  if (value !== undefined) for (const one of value.split('|')) head.headers.push('x-THING', one);
  return matcher.matchesRequest(head);
}

const text = (pattern: NonNullable<Parameters<typeof create<typeof StringMatcherSchema>>[1]>): Specifier => ({
  case: 'stringMatch',
  value: create(StringMatcherSchema, pattern),
});
const regex = (source: string) => create(RegexMatcherSchema, { regex: source });

describe('header matcher', () => {
  it.each<[string, Specifier, string | undefined, boolean]>([
    ['nothing given: presence', { case: undefined }, 'a', true],
    ['nothing given: absence', { case: undefined }, undefined, false],
    ['present_match true', { case: 'presentMatch', value: true }, '', true],
    ['present_match false, absent', { case: 'presentMatch', value: false }, undefined, true],
    ['present_match false, present', { case: 'presentMatch', value: false }, 'a', false],
    ['exact', { case: 'exactMatch', value: 'a' }, 'a', true],
    ['exact, other', { case: 'exactMatch', value: 'a' }, 'A', false],
    ['repeated headers are joined', { case: 'exactMatch', value: 'a,b' }, 'a|b', true],
    ['prefix', { case: 'prefixMatch', value: 'ab' }, 'abc', true],
    ['suffix', { case: 'suffixMatch', value: 'bc' }, 'abc', true],
    ['contains', { case: 'containsMatch', value: 'b' }, 'abc', true],
    ['contains, other', { case: 'containsMatch', value: 'x' }, 'abc', false],
    ['regex must match all', { case: 'safeRegexMatch', value: regex('a+') }, 'aab', false],
    ['regex', { case: 'safeRegexMatch', value: regex('a+b?') }, 'aab', true],
    ['string match without case', text({ matchPattern: { case: 'exact', value: 'AbC' }, ignoreCase: true }), 'aBc', true],
    ['string match regex', text({ matchPattern: { case: 'safeRegex', value: regex('v[12]') } }), 'v2', true],
    ['range holds its start', { case: 'rangeMatch', value: create(Int64RangeSchema, { start: -1n, end: 5n }) }, '-1', true],
    ['range ends before its end', { case: 'rangeMatch', value: create(Int64RangeSchema, { start: -1n, end: 5n }) }, '5', false],
    ['range takes whole numbers only', { case: 'rangeMatch', value: create(Int64RangeSchema, { start: -1n, end: 5n }) }, '1.5', false],
  ])('%s', (_name, specifier, value, expected) => {
    expect(matches(specifier, value)).toBe(expected);
  });

  it('inverts, but a missing header matches nothing', () => {
    const range: Specifier = { case: 'rangeMatch', value: create(Int64RangeSchema, { start: 0n, end: 10n }) };
    expect(matches(range, '3', { invertMatch: true })).toBe(false);
    expect(matches(range, '30', { invertMatch: true })).toBe(true);
    expect(matches(range, undefined, { invertMatch: true })).toBe(false);
    expect(matches(range, undefined, { invertMatch: true, treatMissingHeaderAsEmpty: true })).toBe(true);
    expect(matches({ case: 'presentMatch', value: true }, undefined, { invertMatch: true })).toBe(true);
  });

  it.each([
    [':method', 'POST'],
    [':path', '/a?b'],
    [':authority', 'order-service'],
    ['Host', 'order-service'],
    [':scheme', 'https'],
  ])('reads %s from the head', (name, value) => {
    const head = new RequestHead();
    head.method = 'POST';
    head.path = '/a?b';
    head.authority = 'order-service';
    head.scheme = 'https';
    const report = new CompileReport();
    const matcher = compileHeaderMatcher(create(HeaderMatcherSchema, { name, headerMatchSpecifier: { case: 'exactMatch', value } }), 'h', report);
    expect(matcher.matchesRequest(head)).toBe(true);
    expect(matcher.matchesResponse(new ResponseHead())).toBe(false);
  });

  it('refuses an expression that RE2 does not know', () => {
    const report = new CompileReport();
    compileHeaderMatcher(
      create(HeaderMatcherSchema, { name: 'a', headerMatchSpecifier: { case: 'safeRegexMatch', value: regex('(?=a)') } }),
      'headers[0]',
      report,
    );
    expect(report.errors[0]?.path).toBe('headers[0].safe_regex_match.regex');
  });

  it('takes time that grows with the text, not more, for a pattern that would make a backtracking engine stand still', () => {
    expect(matches({ case: 'safeRegexMatch', value: regex('(a*)*b') }, 'a'.repeat(50_000))).toBe(false);
  });
});
