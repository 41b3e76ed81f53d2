import { compileFormat, type Format, type StreamInfo } from '@outrigger/telemetry';
import { type HeaderValueOption, HeaderValueOption_HeaderAppendAction } from '@outrigger/xds/protos/envoy/config/core/v3/base';
import type { HeaderList } from '../http/message.ts';
import type { CompileReport } from './compile-result.ts';
import { hasHeader, removeHeader, setHeader } from './headers.ts';

export type MutationKind = 'append' | 'add-if-absent' | 'overwrite' | 'overwrite-if-exists' | 'remove';

export interface HeaderMutation {
  readonly kind: MutationKind;
  /** Lower case. */
  readonly name: string;
  readonly format: Format | null;
  readonly keepEmpty: boolean;
}

/** Steps, from `from` to `to`, whose values are all made before the first of them changes anything. */
interface Span {
  readonly from: number;
  readonly to: number;
}

/** An ordered list of changes to a header list. Immutable. */
export class HeaderMutations {
  readonly levels: readonly (readonly HeaderMutation[])[];
  readonly #steps: readonly HeaderMutation[];
  readonly #spans: readonly Span[];

  /** Level after level; within one the values are of the headers that its removals, which come first, have left. */
  constructor(levels: readonly (readonly HeaderMutation[])[]) {
    this.levels = levels;
    this.#steps = levels.flat();
    this.#spans = spansOf(levels);
  }

  get empty(): boolean {
    return this.#steps.length === 0;
  }

  /** Changes `headers` in place. */
  apply(headers: HeaderList, info: StreamInfo): void {
    const steps = this.#steps;
    const spans = this.#spans;
    let span = 0;
    let values: string[] | null = null;
    let from = 0;
    for (let i = 0; i < steps.length; i++) {
      const step = steps[i]!;
      if (step.format === null) {
        removeHeader(headers, step.name);
        continue;
      }
      if (span < spans.length && spans[span]!.from === i) {
        from = i;
        values = valuesOf(steps, spans[span++]!, info);
      }
      const made = values === null ? undefined : values[i - from];
      const value = made === undefined ? step.format.format(info, '') : made;
      if (value === '' && !step.keepEmpty) continue;
      switch (step.kind) {
        case 'append':
          headers.push(step.name, value);
          break;
        case 'add-if-absent':
          if (!hasHeader(headers, step.name)) headers.push(step.name, value);
          break;
        case 'overwrite-if-exists':
          if (hasHeader(headers, step.name)) setHeader(headers, step.name, value);
          break;
        default:
          setHeader(headers, step.name, value);
      }
    }
  }
}

/** Of levels that change several headers and look at some: of others the order says it all. */
function spansOf(levels: readonly (readonly HeaderMutation[])[]): readonly Span[] {
  const spans: Span[] = [];
  let at = 0;
  for (const level of levels) {
    const first = level.findIndex(({ format }) => format !== null);
    const looks = level.some(({ format }, index) => index > first && format !== null && format.literal === undefined);
    if (looks) spans.push({ from: at + first, to: at + level.length });
    at += level.length;
  }
  return spans;
}

function valuesOf(steps: readonly HeaderMutation[], { from, to }: Span, info: StreamInfo): string[] {
  const values: string[] = [];
  for (let i = from; i < to; i++) values.push(steps[i]!.format!.format(info, ''));
  return values;
}

export const NO_MUTATIONS = new HeaderMutations([]);

/** Several lists as one, in that order. */
export function concatMutations(lists: readonly HeaderMutations[]): HeaderMutations {
  const filled = lists.filter((list) => !list.empty);
  if (filled.length === 0) return NO_MUTATIONS;
  return filled.length === 1 ? filled[0]! : new HeaderMutations(settled(filled.flatMap((list) => list.levels)));
}

/**
 * Where a route writes or removes a header and its route configuration then overwrites it if it is there, which of the two it comes to is known
 * beforehand (x-outrigger-peer of each request is such a one).
 */
function settled(levels: readonly (readonly HeaderMutation[])[]): readonly (readonly HeaderMutation[])[] {
  const result: HeaderMutation[][] = [];
  for (const level of levels) {
    const own: HeaderMutation[] = [];
    result.push(own);
    for (const step of level) {
      const written = step.kind === 'overwrite-if-exists' ? result.findLast((steps) => steps.some(({ name }) => name === step.name)) : undefined;
      const at = written?.findLastIndex(({ name }) => name === step.name) ?? -1;
      const before = written?.[at];
      if (before?.kind === 'remove') continue;
      if (before?.kind === 'overwrite' && isLiteral(before) && isLiteral(step)) written![at] = { ...step, kind: 'overwrite' };
      else own.push(step);
    }
  }
  return result;
}

function isLiteral({ format }: HeaderMutation): boolean {
  return format?.literal !== undefined && format.literal !== '';
}

const KINDS: Readonly<Record<HeaderValueOption_HeaderAppendAction, MutationKind>> = {
  [HeaderValueOption_HeaderAppendAction.APPEND_IF_EXISTS_OR_ADD]: 'append',
  [HeaderValueOption_HeaderAppendAction.ADD_IF_ABSENT]: 'add-if-absent',
  [HeaderValueOption_HeaderAppendAction.OVERWRITE_IF_EXISTS_OR_ADD]: 'overwrite',
  [HeaderValueOption_HeaderAppendAction.OVERWRITE_IF_EXISTS]: 'overwrite-if-exists',
};

const TOKEN = /^[!#$%&'*+\-.^_`|~0-9a-z]+$/;
const LINE_BREAK = /[\r\n\0]/;

function checkedName(name: string, path: string, report: CompileReport): string {
  const lower = name.toLowerCase();
  if (lower === 'host' || lower.startsWith(':')) report.error(path, `${name}: Host and pseudo-headers are changed by host_rewrite and path rewrites, not here`);
  else if (!TOKEN.test(lower)) report.error(path, `${JSON.stringify(name)} is no header name`);
  return lower;
}

/** One HeaderValueOption; null: an error was reported. */
export function compileHeaderOption(option: HeaderValueOption, path: string, report: CompileReport): HeaderMutation | null {
  const header = option.header;
  if (header === undefined) {
    report.error(`${path}.header`, 'is missing');
    return null;
  }
  const name = checkedName(header.key, `${path}.header.key`, report);
  // Header lists are bytes: what is no ASCII leaves as the UTF-8 that it is, and no half of it as a line break.
  const text = latin1(header.rawValue.length > 0 ? header.rawValue : new TextEncoder().encode(header.value));
  if (LINE_BREAK.test(text)) {
    report.error(`${path}.header.value`, 'must not hold a line break');
    return null;
  }
  const compiled = compileFormat(text);
  if (!compiled.ok) {
    report.error(`${path}.header.value`, compiled.message);
    return null;
  }
  // `append` is the older form and wins where it is set.
  const kind = option.append === undefined ? KINDS[option.appendAction] : option.append ? 'append' : 'overwrite';
  return { kind: kind ?? 'append', name, format: compiled.format, keepEmpty: option.keepEmptyValue };
}

export function removal(name: string, path: string, report: CompileReport): HeaderMutation {
  return { kind: 'remove', name: checkedName(name, path, report), format: null, keepEmpty: false };
}

function latin1(bytes: Uint8Array): string {
  let text = '';
  for (const byte of bytes) text += String.fromCharCode(byte);
  return text;
}

/** `*_headers_to_add` and `*_headers_to_remove` of one level, in Envoy's order: removals, then what takes the place of others, then what is added. */
export function compileHeaderMutations(
  add: readonly HeaderValueOption[],
  remove: readonly string[],
  addPath: string,
  removePath: string,
  report: CompileReport,
): HeaderMutations {
  if (add.length === 0 && remove.length === 0) return NO_MUTATIONS;
  const removals = remove.map((name, index) => removal(name, `${removePath}[${index}]`, report));
  const overwrites: HeaderMutation[] = [];
  const additions: HeaderMutation[] = [];
  add.forEach((option, index) => {
    const step = compileHeaderOption(option, `${addPath}[${index}]`, report);
    if (step !== null) (step.kind === 'append' || step.kind === 'add-if-absent' ? additions : overwrites).push(step);
  });
  return new HeaderMutations([[...removals, ...overwrites, ...additions]]);
}
