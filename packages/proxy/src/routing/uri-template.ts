import { RE2JS } from 're2js';
import { pathOnly } from './headers.ts';

/** pchar of RFC 3986 without "*" and "=". */
const LITERAL = "a-zA-Z0-9\\-._~%!$&'()+,;:@";
const IS_LITERAL = new RegExp(`^[${LITERAL}]+$`);
const IS_REWRITE_LITERAL = new RegExp(`^[${LITERAL}/]+$`);
const NAME = /^[a-zA-Z][a-zA-Z0-9_]{0,15}$/;
const MAX_VARIABLES = 5;
const SEGMENT = `[${LITERAL}]+`;
const REST = `[${LITERAL}/]*`;

export type TemplateResult<T> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly message: string };

const wrong = (message: string) => ({ ok: false, message }) as const;

/** A path template ("/videos/{id}/**.mpd"), compiled. */
export class UriTemplate {
  readonly #regex: RE2JS;
  readonly names: readonly string[];

  constructor(regex: RE2JS, names: readonly string[]) {
    this.#regex = regex;
    this.names = names;
  }

  /** `path` without its query. */
  matches(path: string): boolean {
    return this.#regex.testExact(path);
  }

  /** What stands where the variables are, by their place; null: it does not match. */
  valuesIn(path: string): readonly string[] | null {
    const matcher = this.#regex.matcher(path);
    return matcher.matches() ? this.names.map((_name, index) => matcher.group(index + 1) ?? '') : null;
  }
}

/** Turns one piece of a template into a regex, and sees to it that no glob follows "**". */
class Builder {
  readonly names: string[] = [];
  #ended = false;

  /** undefined: it is wrong. */
  segment(text: string): string | undefined {
    if (text === '*' || text === '**') {
      if (this.#ended) return undefined;
      this.#ended = text === '**';
      return this.#ended ? REST : SEGMENT;
    }
    return IS_LITERAL.test(text) ? text.replace(/[$()+.]/g, '\\$&') : undefined;
  }

  variable(text: string): string | undefined {
    const equals = text.indexOf('=');
    const name = equals < 0 ? text : text.slice(0, equals);
    const pieces = (equals < 0 ? '*' : text.slice(equals + 1)).split('/').map((piece) => this.segment(piece));
    if (!NAME.test(name) || this.names.includes(name) || this.names.length >= MAX_VARIABLES || pieces.includes(undefined)) return undefined;
    this.names.push(name);
    return `(${pieces.join('/')})`;
  }
}

/** envoy.extensions.path.match.uri_template: "*" is one segment, "**" any number, {name} and {name=pattern} are captured. */
export function compileUriTemplate(template: string): TemplateResult<UriTemplate> {
  if (!/^\/[\x21-\x7e]*$/.test(template)) return wrong('must start with "/" and be printable');
  const builder = new Builder();
  let regex = '';
  let at = 0;
  while (at < template.length) {
    // At a "/".
    regex += '/';
    at++;
    if (at === template.length) break;
    const piece = /^(?:\{([^}]*)\}|(\*\*|\*)|([^/*{}]+))/.exec(template.slice(at));
    const [text = '', variable, glob, literal] = piece ?? [];
    const part = variable !== undefined ? builder.variable(variable) : builder.segment(glob ?? literal ?? '');
    if (part === undefined) return wrong(`is wrong at ${JSON.stringify(template.slice(at, at + 40))}`);
    regex += part;
    at += text.length;
    if (at < template.length && template[at] !== '/') {
      // What stands behind a glob or a variable ends the template.
      const suffix = template.slice(at);
      if (!IS_LITERAL.test(suffix)) return wrong(`is wrong at ${JSON.stringify(suffix.slice(0, 40))}`);
      regex += suffix.replace(/[$()+.]/g, '\\$&');
      break;
    }
  }
  return { ok: true, value: new UriTemplate(RE2JS.compile(regex), builder.names) };
}

/** envoy.extensions.path.rewrite.uri_template: literals, and variables of the match. */
export class UriTemplateRewrite {
  readonly #template: UriTemplate;
  /** A literal, or a variable's place. */
  readonly #parts: readonly (string | number)[];

  constructor(template: UriTemplate, parts: readonly (string | number)[]) {
    this.#template = template;
    this.#parts = parts;
  }

  /** Path and query in, path and query out. */
  rewrite(path: string): string {
    const plain = pathOnly(path);
    const values = this.#template.valuesIn(plain);
    if (values === null) return path;
    let result = '';
    for (const part of this.#parts) result += typeof part === 'string' ? part : values[part]!;
    return result + path.slice(plain.length);
  }
}

export function compileUriTemplateRewrite(rewrite: string, template: UriTemplate): TemplateResult<UriTemplateRewrite> {
  if (!rewrite.startsWith('/')) return wrong('must start with "/"');
  const parts: (string | number)[] = [];
  for (const piece of rewrite.split(/(\{[^}]*\})/)) {
    if (piece === '') continue;
    if (piece.startsWith('{')) {
      const index = template.names.indexOf(piece.slice(1, -1));
      if (index < 0) return wrong(`names ${piece}, which the match does not capture`);
      parts.push(index);
    } else if (IS_REWRITE_LITERAL.test(piece) && !piece.includes('//')) parts.push(piece);
    else return wrong(`is wrong at ${JSON.stringify(piece.slice(0, 40))}`);
  }
  return { ok: true, value: new UriTemplateRewrite(template, parts) };
}
