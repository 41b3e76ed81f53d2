import { isMap, isScalar, isSeq, LineCounter, type Node, type Pair, parseAllDocuments, type Scalar } from 'yaml';
import type { Json } from '../json.ts';
import { pathSegments } from './lines.ts';

/** What becomes of one field; what is absent stays. */
export interface FieldEdit {
  /** A line of the object that has the field. */
  readonly line: number;
  /** "spec.http[0].match[0].uri.regex", within that object. */
  readonly path: string;
  readonly rename?: string;
  readonly value?: Json;
}

interface Splice {
  readonly start: number;
  readonly end: number;
  readonly text: string;
}

/**
 * A file with some of its fields changed, everything else of it (comments, blanks, order, quotes) as it was. `done` are the edits that were
 * made: one whose field is not written out there (an alias stands for it) is left, and so is one that another has overlapped.
 */
export function editFields<Edit extends FieldEdit>(text: string, edits: readonly Edit[]): { readonly text: string; readonly done: readonly Edit[] } {
  const counter = new LineCounter();
  const documents = parseAllDocuments(text, { lineCounter: counter, uniqueKeys: false });
  const roots = ('empty' in documents ? [] : documents).flatMap(({ contents }) => objectsOf(contents as Node | null));
  const planned: { readonly edit: Edit; readonly splices: readonly Splice[] }[] = [];
  const taken: Splice[] = [];
  for (const edit of edits) {
    const from = lineStart(counter, edit.line);
    // The last that begins before the end of the line: objects follow one another.
    const root = roots.findLast((node) => (node.range?.[0] ?? 0) < lineStart(counter, edit.line + 1) && (node.range?.[2] ?? 0) >= from);
    const splices = root === undefined ? undefined : splicesOf(root, edit);
    if (splices === undefined || splices.some((one) => taken.some((other) => one.start < other.end && other.start < one.end))) continue;
    taken.push(...splices);
    planned.push({ edit, splices });
  }
  let edited = text;
  for (const { start, end, text: replacement } of taken.toSorted((a, b) => b.start - a.start))
    edited = edited.slice(0, start) + replacement + edited.slice(end);
  return { text: edited, done: planned.map(({ edit }) => edit) };
}

/** A document, or the items of a List. */
function objectsOf(node: Node | null): readonly Node[] {
  if (!isMap(node)) return [];
  const kind = node.get('kind');
  const items = node.get('items');
  return typeof kind === 'string' && kind.endsWith('List') && isSeq(items) ? (items.items as Node[]).flatMap(objectsOf) : [node];
}

function lineStart(counter: LineCounter, line: number): number {
  return counter.lineStarts[line - 1] ?? Number.POSITIVE_INFINITY;
}

function splicesOf(root: Node, { path, rename, value }: FieldEdit): readonly Splice[] | undefined {
  const pair = pairAt(root, pathSegments(path));
  if (pair === undefined || !isScalar(pair.key)) return undefined;
  const quoted = pair.key.type === 'QUOTE_DOUBLE';
  const splices: Splice[] = [];
  if (rename !== undefined) {
    const [start, end] = pair.key.range!;
    splices.push({ start, end, text: quoted ? JSON.stringify(rename) : plain(rename) });
  }
  if (value !== undefined) {
    const node = pair.value;
    // What is only named here is written elsewhere, and a value of several lines is more than one field.
    if (!isScalar(node) || node.anchor !== undefined || node.range == null || isBlock(node) || node.range[0] === node.range[1]) return undefined;
    splices.push({ start: node.range[0], end: node.range[1], text: quoted ? JSON.stringify(value) : inline(value) });
  }
  return splices;
}

function isBlock({ type }: Scalar): boolean {
  return type === 'BLOCK_FOLDED' || type === 'BLOCK_LITERAL';
}

/** The pair of a mapping that a path leads to. A key that itself holds dots is found too. */
function pairAt(root: Node, segments: readonly (string | number)[]): Pair<Node, Node | null> | undefined {
  let node: Node | null = root;
  for (let index = 0; index < segments.length; ) {
    const segment = segments[index]!;
    if (isSeq(node)) {
      if (typeof segment !== 'number') return undefined;
      node = (node.items[segment] as Node | undefined) ?? null;
      index++;
      continue;
    }
    if (!isMap(node)) return undefined;
    const pairs = node.items as Pair<Node, Node | null>[];
    let found: Pair<Node, Node | null> | undefined;
    let end = index;
    for (let key = ''; end < segments.length && found === undefined; end++) {
      key = key === '' ? String(segments[end]) : `${key}.${segments[end]}`;
      found = pairs.find((pair) => isScalar(pair.key) && String(pair.key.value) === key);
    }
    if (found === undefined) return undefined;
    if (end === segments.length) return found;
    node = found.value;
    index = end;
  }
  return undefined;
}

/** In flow style, which stands wherever a value may. */
function inline(value: Json): string {
  if (typeof value === 'string') return plain(value);
  if (typeof value !== 'object' || value === null) return String(value);
  if (Array.isArray(value)) return `[${(value as readonly Json[]).map(inline).join(', ')}]`;
  return `{ ${Object.entries(value)
    .map(([key, item]) => `${plain(key)}: ${inline(item as Json)}`)
    .join(', ')} }`;
}

/** Without quotes where YAML reads it as the same text. */
function plain(text: string): string {
  return /^[A-Za-z/_][-A-Za-z0-9/_.]*$/.test(text) && !/^(?:true|false|null|yes|no|on|off|y|n)$/i.test(text) ? text : JSON.stringify(text);
}
