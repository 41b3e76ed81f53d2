import { findOperator, type Operator } from './command-operators.ts';
import type { StreamInfo } from './stream-info.ts';

/** Longest format text; the control plane is trusted, a mistake in it should still not hurt. */
const MAX_FORMAT_LENGTH = 16_384;

/** One piece of a format: fixed text, or an operator with the longest text that it may give (0: no limit). */
export type FormatPart = { readonly literal: string } | { readonly operator: Operator; readonly maxLength: number };

export type FormatResult = { readonly ok: true; readonly format: Format } | { readonly ok: false; readonly message: string };

/** Envoy's substitution format ("%REQ(:method)% from %DOWNSTREAM_REMOTE_ADDRESS%"), compiled once. */
export class Format {
  readonly parts: readonly FormatPart[];
  /** The text where it holds no operator, else undefined. */
  readonly literal: string | undefined;

  constructor(parts: readonly FormatPart[]) {
    this.parts = parts;
    const only = parts.length === 0 ? { literal: '' } : parts[0]!;
    this.literal = parts.length <= 1 && 'literal' in only ? only.literal : undefined;
  }

  /** `missing` stands for what the stream does not have: "-" in text logs, '' in headers. */
  format(info: StreamInfo, missing: string): string {
    if (this.literal !== undefined) return this.literal;
    const parts = this.parts;
    let result = '';
    for (let i = 0; i < parts.length; i++) {
      const part = parts[i]!;
      result += 'literal' in part ? part.literal : readPart(part.operator, part.maxLength, info, missing);
    }
    return result;
  }
}

function readPart(operator: Operator, maxLength: number, info: StreamInfo, missing: string): string {
  let value: string;
  if (operator.kind === 'number') {
    const given = operator.read(info);
    value = given < 0 ? missing : String(given);
  } else {
    value = operator.read(info);
    if (value === '' && operator.kind === 'text') value = missing;
  }
  return maxLength > 0 && value.length > maxLength ? value.slice(0, maxLength) : value;
}

/** Compiles a format; "%%" stands for one per cent sign. */
export function compileFormat(text: string): FormatResult {
  if (text.length > MAX_FORMAT_LENGTH) return { ok: false, message: `the format is longer than ${MAX_FORMAT_LENGTH} characters` };
  // START_TIME's argument may hold ")" in no version of Envoy, so the first one ends it.
  const command = /%([A-Z0-9_]+)(?:\(([^)]*)\))?(?::(\d{1,6}))?%/y;
  const parts: FormatPart[] = [];
  let literal = '';
  let i = 0;
  while (i < text.length) {
    const percent = text.indexOf('%', i);
    if (percent < 0) break;
    literal += text.slice(i, percent);
    if (text[percent + 1] === '%') {
      literal += '%';
      i = percent + 2;
      continue;
    }
    command.lastIndex = percent;
    const found = command.exec(text);
    if (found === null)
      return { ok: false, message: `"${text.slice(percent, percent + 40)}" is no command operator (%NAME% or %NAME(argument)%; "%%" is a per cent sign)` };
    const operator = findOperator(found[1]!, found[2]);
    if (typeof operator === 'string') return { ok: false, message: operator };
    if (literal !== '') parts.push({ literal });
    literal = '';
    parts.push({ operator, maxLength: found[3] === undefined ? 0 : Number(found[3]) });
    i = command.lastIndex;
  }
  literal += text.slice(i);
  if (literal !== '') parts.push({ literal });
  return { ok: true, format: new Format(parts) };
}
