import { create } from '@bufbuild/protobuf';
import { RegexMatchAndSubstituteSchema, RegexMatcherSchema } from '@outrigger/xds/protos/envoy/type/matcher/v3/regex';
import { describe, expect, it } from 'vitest';
import { CompileReport } from './compile-result.ts';
import { compileRegexRewrite } from './regex.ts';

function rewrite(pattern: string, substitution: string, text: string): string {
  const report = new CompileReport();
  const compiled = compileRegexRewrite(
    create(RegexMatchAndSubstituteSchema, { pattern: create(RegexMatcherSchema, { regex: pattern }), substitution }),
    'r',
    report,
  );
  return compiled === null ? report.errors[0]!.path : compiled.replaceAll(text);
}

describe('regex rewrite', () => {
  it.each([
    ['^/service/([^/]+)(/.*)$', '\\2/instance/\\1', '/service/foo/v1/api', '/v1/api/instance/foo'],
    ['one', 'two', '/xxx/one/yyy/one/zzz', '/xxx/two/yyy/two/zzz'],
    ['^(.*?)one(.*)$', '\\1two\\2', '/xxx/one/yyy/one/zzz', '/xxx/two/yyy/one/zzz'],
    ['(?i)/xxx/', '/yyy/', '/aaa/XxX/bbb', '/aaa/yyy/bbb'],
    ['x', 'y', '/none', '/none'],
    ['a', '\\\\', 'ab', '\\b'],
    ['^/gone', '', '/gone', ''],
  ])('%j by %j makes %j into %j', (pattern, substitution, text, expected) => {
    expect(rewrite(pattern, substitution, text)).toBe(expected);
  });

  it.each([
    ['(', 'a', 'r.pattern.regex'],
    ['', 'a', 'r.pattern.regex'],
    ['(a)', '\\2', 'r.substitution'],
    ['(a)', '\\x', 'r.substitution'],
    [`(${'a{0,500}'.repeat(50)})`, '', 'r.pattern.regex'],
  ])('refuses %j with %j', (pattern, substitution, path) => {
    expect(rewrite(pattern, substitution, '')).toBe(path);
  });
});
