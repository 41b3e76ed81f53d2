import { type Document, isAlias, isMap, isScalar, isSeq, type LineCounter, type Node, type Pair, type ParsedNode, type Scalar } from 'yaml';
import type { Json } from '../json.ts';
import { maxAliasExpansions, maxDepth } from '../limits.ts';
import type { LineTree } from './lines.ts';
import { plainScalar } from './scalars.ts';

export interface Composed {
  readonly value: Json;
  readonly lines: LineTree;
}

/** Why a document's tree has no value. */
export class ComposeError extends Error {
  readonly offset: number;
  readonly next: string;

  constructor(message: string, offset: number, next: string) {
    super(message);
    this.offset = offset;
    this.next = next;
  }
}

type Built = [value: Json, lines: LineTree];

/** One document's tree to JSON and lines: aliases and merge keys unfolded within bounds, duplicate keys refused. Throws ComposeError. */
export function composeValue(document: Document.Parsed<ParsedNode>, text: string, counter: LineCounter): Composed {
  const composer = new Composer(document, text, counter);
  const [value, lines] = composer.node(document.contents, 0);
  return { value, lines };
}

/** "__proto__" is a key like another. */
function setOwn(entries: { [name: string]: Json }, name: string, value: Json): void {
  if (name === '__proto__') Object.defineProperty(entries, name, { value, writable: true, enumerable: true, configurable: true });
  else entries[name] = value;
}

class Composer {
  readonly #document: Document.Parsed<ParsedNode>;
  readonly #text: string;
  readonly #counter: LineCounter;
  /** > 0 while inside what an alias stands for. */
  #aliasDepth = 0;
  #expanded = 0;

  constructor(document: Document.Parsed<ParsedNode>, text: string, counter: LineCounter) {
    this.#document = document;
    this.#text = text;
    this.#counter = counter;
  }

  /** Where the last one was found; the next is mostly on that line or the one after. */
  #lineBefore = 0;

  /** Lines count from 1. */
  #line(offset: number): number {
    const { lineStarts } = this.#counter;
    let line = this.#lineBefore;
    const startOf = (index: number) => lineStarts[index] ?? Number.POSITIVE_INFINITY;
    if (startOf(line) > offset || startOf(line + 2) <= offset) line = this.#counter.linePos(offset).line - 1;
    else if (startOf(line + 1) <= offset) line++;
    this.#lineBefore = line;
    return line + 1;
  }

  node(node: Node | null, depth: number): Built {
    const offset = node?.range?.[0] ?? 0;
    const line = this.#line(offset);
    if (depth > maxDepth) throw new ComposeError(`nested deeper than ${maxDepth} levels`, offset, 'flatten the document; no resource nests that deep');
    if (this.#aliasDepth > 0 && ++this.#expanded > maxAliasExpansions) {
      throw new ComposeError(`aliases stand for more than ${maxAliasExpansions} values`, offset, 'write the values out, or use fewer aliases');
    }
    if (node === null) return [null, { line }];
    if (isAlias(node)) return this.#alias(node.source, offset, depth);
    if (isScalar(node)) return [this.#scalar(node), { line }];
    if (isSeq(node)) return this.#sequence(node.items as Node[], line, depth);
    if (isMap(node)) return this.#mapping(node.items as Pair<Node, Node | null>[], line, depth);
    throw new ComposeError('a value of an unknown form', offset, 'use plain YAML values');
  }

  #alias(source: string, offset: number, depth: number): Built {
    const target = this.#anchored(source, offset);
    this.#aliasDepth++;
    const built = this.node(target, depth + 1);
    this.#aliasDepth--;
    return built;
  }

  /** The last node before the alias that carries the anchor; an alias inside its own anchor never ends and falls to the depth limit. */
  #anchored(source: string, offset: number): Node {
    let found: Node | undefined;
    for (const [start, node] of this.#anchors.get(source) ?? []) if (start < offset) found = node;
    if (found === undefined) throw new ComposeError(`alias "*${source}" has no anchor before it`, offset, `write "&${source}" at the value it stands for`);
    return found;
  }

  #anchorIndex: Map<string, [number, Node][]> | undefined;
  get #anchors(): Map<string, [number, Node][]> {
    if (this.#anchorIndex === undefined) {
      this.#anchorIndex = new Map();
      const open: (Node | null)[] = [this.#document.contents];
      while (open.length > 0) {
        const node = open.pop();
        if (node === null || node === undefined || isAlias(node)) continue;
        const anchor = (node as Scalar).anchor;
        if (anchor !== undefined) {
          const list = this.#anchorIndex.get(anchor) ?? [];
          list.push([node.range?.[0] ?? 0, node]);
          this.#anchorIndex.set(anchor, list);
        }
        if (isSeq(node)) for (const item of node.items) open.push(item as Node);
        else if (isMap(node)) for (const pair of node.items as Pair<Node, Node | null>[]) open.push(pair.key, pair.value);
      }
      for (const list of this.#anchorIndex.values()) list.sort(([a], [b]) => a - b);
    }
    return this.#anchorIndex;
  }

  #scalar(node: Scalar): Json {
    const value = node.type === 'PLAIN' ? plainScalar(node.source ?? '', node.value) : node.value;
    if (typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean' || value === null) return value;
    throw new ComposeError(
      `a value that JSON does not have (${node.source ?? String(node.value)})`,
      node.range?.[0] ?? 0,
      'write a string, a number, true, false or null',
    );
  }

  #sequence(items: readonly Node[], line: number, depth: number): Built {
    const values: Json[] = [];
    const children = new Map<number, LineTree>();
    for (const [index, item] of items.entries()) {
      const [value, lines] = this.#endsInColon(item) ?? this.node(item, depth + 1);
      values.push(value);
      children.set(index, lines);
    }
    return [values, { line, children }];
  }

  /** `[10.0.0.1, 2001:db8::]`: to go-yaml a ":" that no blank follows is a part of the string, to YAML 1.2 a key without a value. */
  #endsInColon(item: Node): Built | undefined {
    if (!isMap(item) || item.items.length !== 1 || this.#text[item.range?.[0] ?? 0] === '{') return undefined;
    const key = item.items[0]?.key;
    if (!isScalar(key) || key.type !== 'PLAIN' || key.range === undefined || key.range === null) return undefined;
    const end = key.range[1];
    if (this.#text[end] !== ':' || !',]'.includes(this.#text[end + 1] ?? ' ')) return undefined;
    return [`${key.source}:`, { line: this.#line(key.range[0]) }];
  }

  #mapping(pairs: readonly Pair<Node, Node | null>[], line: number, depth: number): Built {
    const entries: { [name: string]: Json } = {};
    const children = new Map<string, LineTree>();
    const merged: [Node | null, number][] = [];
    for (const { key, value } of pairs) {
      const offset = key?.range?.[0] ?? 0;
      const name = this.#key(key, offset);
      if (name === '<<' && isScalar(key) && key.type === 'PLAIN') {
        merged.push([value, offset]);
        continue;
      }
      const earlier = children.get(name)?.line;
      if (earlier !== undefined) {
        throw new ComposeError(`key ${JSON.stringify(name)} already set in map, at line ${earlier}`, offset, 'keep one of the two');
      }
      const keyLine = this.#line(offset);
      const [built, lines] = this.node(value, depth + 1);
      setOwn(entries, name, built);
      // A field is looked for where its key stands, not where its block begins.
      children.set(name, lines.children === undefined ? { line: keyLine } : { line: keyLine, children: lines.children });
    }
    for (const [value, offset] of merged) this.#merge(value, offset, depth, entries, children);
    return [entries, { line, children }];
  }

  #key(key: Node | null, offset: number): string {
    if (key === null) return 'null';
    if (isAlias(key)) return this.#key(this.#anchored(key.source, offset), offset);
    if (isScalar(key)) return String(this.#scalar(key));
    throw new ComposeError('a key that is no string', offset, 'write a string before the ":"');
  }

  /** YAML 1.1's `<<`: what the mapping says itself wins, then the earlier of several. */
  #merge(value: Node | null, offset: number, depth: number, entries: { [name: string]: Json }, children: Map<string, LineTree>): void {
    for (const source of isSeq(value) ? (value.items as Node[]) : [value]) {
      const [built, lines] = this.node(source, depth + 1);
      if (typeof built !== 'object' || built === null || Array.isArray(built)) {
        throw new ComposeError('"<<" merges something that is no mapping', offset, 'let "<<" name an anchor of a mapping');
      }
      for (const [name, item] of Object.entries(built)) {
        if (Object.hasOwn(entries, name)) continue;
        setOwn(entries, name, item as Json);
        const line = lines.children?.get(name);
        if (line !== undefined) children.set(name, line);
      }
    }
  }
}
