import { describe, expect, it } from 'vitest';
import { compileUriTemplate, compileUriTemplateRewrite, type UriTemplate } from './uri-template.ts';

function template(text: string): UriTemplate {
  const compiled = compileUriTemplate(text);
  if (!compiled.ok) throw new Error(compiled.message);
  return compiled.value;
}

describe('a path template', () => {
  it.each([
    ['/a', '/a', true],
    ['/a', '/a/', false],
    ['/a/', '/a/', true],
    ['/a/*', '/a/b', true],
    ['/a/*', '/a/', false],
    ['/a/*', '/a/b/c', false],
    ['/a/**', '/a/b/c', true],
    ['/a/**', '/a/', true],
    ['/**.mpd', '/x/y/z.mpd', true],
    ['/**.mpd', '/x/y/zmpd', false],
    ['/v/*/*.m4s', '/v/1/2.m4s', true],
    ['/{a}/{b}', '/cat/dog', true],
    ['/v/{l=lang/*}/*', '/v/lang/en/x', true],
    ['/v/{l=lang/*}/*', '/v/other/en/x', false],
    ['/{rest=**}', '/a/b', true],
    ['/a+b', '/a+b', true],
    ['/a+b', '/aab', false],
    ['/', '/', true],
  ])('%s, %s: %s', (text, path, matches) => {
    expect(template(text).matches(path)).toBe(matches);
  });

  it.each(['', 'a', '/**/*', '/{a}/{a}', '/{1a}', '/{a', '/{a}/{b}/{c}/{d}/{e}/{f}', '/{a=}', '/a//b', '/a*', '/*a/b', '/{a=**}/{b}', '/{seventeenletters1}'])(
    '%j is refused',
    (text) => {
      expect(compileUriTemplate(text).ok).toBe(false);
    },
  );
});

describe('a rewrite', () => {
  it.each([
    ['/{one}/{two}', '/{two}/{one}', '/cat/dog?q=1', '/dog/cat?q=1'],
    ['/v/{language=lang/*}/*', '/{language}', '/v/lang/en/video.m4s', '/lang/en'],
    ['/c/{f}/{l}/{id}/{file}.vtt', '/{l}/{f}/{file}.vtt', '/c/hls/en-us/1/en_1.vtt', '/en-us/hls/en_1.vtt'],
    ['/{a}', '/x-{a}.y', '/b', '/x-b.y'],
  ])('of %s as %s', (match, rewrite, path, becomes) => {
    const compiled = compileUriTemplateRewrite(rewrite, template(match));
    expect(compiled.ok && compiled.value.rewrite(path)).toBe(becomes);
  });

  it.each(['', 'x', '/{none}', '/a b', '/{', '//a'])('as %j is refused', (rewrite) => {
    expect(compileUriTemplateRewrite(rewrite, template('/{a}')).ok).toBe(false);
  });
});
