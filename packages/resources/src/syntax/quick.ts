import type { Json } from '../json.ts';
import { maxDepth, maxDocuments } from '../limits.ts';
import type { Composed } from './compose.ts';
import type { LineTree } from './lines.ts';
import { plainScalar } from './scalars.ts';

/** Blanks other than spaces, line ends other than "\n", control characters and marks of byte order are for the whole parser. */
const unusual = /[^\n -~\u00a1-\u2027\u202a-\ufefe\uff00-\ufffd]/;
const key = /(?:([A-Za-z_/][\w./-]{0,250})|"([\w./ -]{0,250})"|'([\w./ -]{0,250})'):(?= |$)/y;
const doubleQuoted = /"(?:[^"\\]|\\["\\/bfnrt])*"/y;
const singleQuoted = /'(?:[^']|'')*'/y;
/** Of "[a, b]" and "{ a: b }": what a ":", a "#" or a quote may mean there is for the whole parser. */
const flowPlain = /(?:[^\s,[\]{}#:"'&*!|>%@`?=-]|-(?=\w))[^,[\]{}#:"']*/y;
const flowKey = /(?:([A-Za-z_/][\w./-]{0,250})|"([\w./ -]{0,250})"|'([\w./ -]{0,250})'):(?= )/y;
const integer = /^[-+]?[0-9]+$/;
const float = /^[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?$/;
const otherNumber = /^(?:0[ox]|[-+]?\.(?:inf|Inf|INF)$|\.(?:nan|NaN|NAN)$)/;

type Built = [value: Json, lines: LineTree];

/** The text has something that only the whole parser understands, or can say what is wrong with. */
const giveUp = Symbol('for the whole parser');

/**
 * The documents of the plain form nearly all resources are written in: block mappings and sequences, scalars and flow collections of one
 * line, literal blocks, comments. Undefined where anything else occurs, or anything wrong: then the whole parser reads the text from its
 * beginning. What this reads it reads as that does, several times as fast.
 */
export function readQuickly(text: string): Composed[] | undefined {
  if (unusual.test(text)) return undefined;
  try {
    return new Reader(text).documents();
  } catch (cause) {
    if (cause === giveUp) return undefined;
    throw cause;
  }
}

class Reader {
  readonly #lines: readonly string[];
  /** The line being read, and how far its text is indented; past the last, -1. */
  #at = -1;
  #line = '';
  #indent = -1;

  constructor(text: string) {
    this.#lines = text.split('\n');
  }

  documents(): Composed[] {
    const found: Composed[] = [];
    let separators = 0;
    this.#next();
    while (this.#at < this.#lines.length) {
      if (this.#isSeparator()) {
        // Documents that are empty count, too.
        if (++separators > maxDocuments) throw giveUp;
        this.#next();
      } else {
        if (this.#indent !== 0) throw giveUp;
        const [value, lines] = this.#mapping(0, 0, 0);
        if (this.#at < this.#lines.length && !this.#isSeparator()) throw giveUp;
        found.push({ value, lines });
      }
    }
    return found;
  }

  /** To the next line that has more than blanks and a comment. */
  #next(): void {
    const lines = this.#lines;
    while (++this.#at < lines.length) {
      const line = lines[this.#at] as string;
      let indent = 0;
      while (line.charCodeAt(indent) === 32) indent++;
      if (indent === line.length || line.charCodeAt(indent) === 35) continue;
      this.#line = line;
      this.#indent = indent;
      if (indent === 0 && (line.startsWith('%') || line.startsWith('...'))) throw giveUp;
      // Within a document it ends every block, as a line indented less than all.
      if (indent === 0 && line.startsWith('---')) {
        if (!isEnd(line, 3)) throw giveUp;
        this.#indent = -1;
      }
      return;
    }
    this.#line = '';
    this.#indent = -1;
  }

  #isSeparator(): boolean {
    return this.#indent === -1 && this.#at < this.#lines.length;
  }

  #isItem(from: number): boolean {
    return this.#line.charCodeAt(from) === 45 && (this.#line.length === from + 1 || this.#line.charCodeAt(from + 1) === 32);
  }

  /** `column`: where the keys stand. The first is on this line, at `from`. */
  #mapping(column: number, from: number, depth: number): Built {
    if (depth >= maxDepth) throw giveUp;
    const entries: { [name: string]: Json } = {};
    const children = new Map<string, LineTree>();
    const line = this.#at + 1;
    for (let start = from; ; start = column) {
      key.lastIndex = start;
      const match = key.exec(this.#line);
      if (match === null) throw giveUp;
      const name = keyName(match);
      if (children.has(name)) throw giveUp;
      const keyLine = this.#at + 1;
      const [value, lines] = this.#value(skipBlanks(this.#line, key.lastIndex), column, depth);
      entries[name] = value;
      children.set(name, lines.children === undefined ? { line: keyLine } : { line: keyLine, children: lines.children });
      if (this.#indent < column) return [entries, { line, children }];
      if (this.#indent > column) throw giveUp;
    }
  }

  /** What follows "key:". */
  #value(from: number, column: number, depth: number): Built {
    if (!isEnd(this.#line, from)) return this.#inline(from, column, depth);
    const line = this.#at + 1;
    this.#next();
    if (this.#indent > column)
      return this.#isItem(this.#indent) ? this.#sequence(this.#indent, depth + 1) : this.#mapping(this.#indent, this.#indent, depth + 1);
    if (this.#indent === column && this.#isItem(column)) return this.#sequence(column, depth + 1);
    return [null, { line }];
  }

  #sequence(column: number, depth: number): Built {
    if (depth >= maxDepth) throw giveUp;
    const values: Json[] = [];
    const children = new Map<number, LineTree>();
    const line = this.#at + 1;
    while (this.#indent === column && this.#isItem(column)) {
      const from = skipBlanks(this.#line, column + 1);
      if (isEnd(this.#line, from) || this.#isItem(from)) throw giveUp;
      key.lastIndex = from;
      const [value, lines] = key.test(this.#line) ? this.#mapping(from, from, depth + 1) : this.#inline(from, column, depth);
      children.set(values.length, lines);
      values.push(value);
    }
    if (this.#indent > column) throw giveUp;
    return [values, { line, children }];
  }

  /** A value that begins on this line, and ends on it unless it is a literal block. */
  #inline(from: number, column: number, depth: number): Built {
    const built = this.#line.charCodeAt(from) === 124 ? this.#literal(from, column) : this.#oneLine(from, depth);
    if (this.#indent > column) throw giveUp;
    return built;
  }

  #oneLine(from: number, depth: number): Built {
    const text = this.#line;
    const first = text[from] as string;
    if (first !== '"' && first !== "'" && first !== '[' && first !== '{') {
      const lines = { line: this.#at + 1 };
      const value = blockPlain(text, from);
      this.#next();
      return [value, lines];
    }
    this.#position = from;
    const built = this.#flow(depth + 1);
    if (!isEnd(text, this.#position)) throw giveUp;
    this.#next();
    return built;
  }

  /** In the line, of what is read of a flow collection. */
  #position = 0;

  #flow(depth: number): Built {
    const text = this.#line;
    switch (text[this.#position]) {
      case '[':
        return this.#flowSequence(depth);
      case '{':
        return this.#flowMapping(depth);
      case '"': {
        const quoted = this.#take(doubleQuoted);
        return [quoted.includes('\\') ? (JSON.parse(quoted) as string) : quoted.slice(1, -1), { line: this.#at + 1 }];
      }
      case "'":
        return [this.#take(singleQuoted).slice(1, -1).replaceAll("''", "'"), { line: this.#at + 1 }];
      default:
        return [scalar(this.#take(flowPlain).trimEnd()), { line: this.#at + 1 }];
    }
  }

  #take(pattern: RegExp): string {
    pattern.lastIndex = this.#position;
    const match = pattern.exec(this.#line);
    if (match === null) throw giveUp;
    this.#position = pattern.lastIndex;
    return match[0];
  }

  #flowSequence(depth: number): Built {
    if (depth >= maxDepth) throw giveUp;
    const values: Json[] = [];
    const children = new Map<number, LineTree>();
    while (this.#goesOn(']', values.length)) {
      const [value, lines] = this.#flow(depth + 1);
      children.set(values.length, lines);
      values.push(value);
    }
    return [values, { line: this.#at + 1, children }];
  }

  #flowMapping(depth: number): Built {
    if (depth >= maxDepth) throw giveUp;
    const entries: { [name: string]: Json } = {};
    const children = new Map<string, LineTree>();
    while (this.#goesOn('}', children.size)) {
      flowKey.lastIndex = this.#position;
      const match = flowKey.exec(this.#line);
      if (match === null) throw giveUp;
      const name = keyName(match);
      if (children.has(name)) throw giveUp;
      this.#position = skipBlanks(this.#line, flowKey.lastIndex);
      const [value, lines] = this.#flow(depth + 1);
      entries[name] = value;
      children.set(name, lines);
    }
    return [entries, { line: this.#at + 1, children }];
  }

  /** Over the "[" or "{" before the first and the "," before another; at `end`, over that. */
  #goesOn(end: ']' | '}', count: number): boolean {
    const text = this.#line;
    if (count === 0) {
      this.#position = skipBlanks(text, this.#position + 1);
      if (text[this.#position] !== end) return true;
    } else {
      this.#position = skipBlanks(text, this.#position);
      if (text[this.#position] === ',') {
        this.#position = skipBlanks(text, this.#position + 1);
        return true;
      }
      if (text[this.#position] !== end) throw giveUp;
    }
    this.#position++;
    return false;
  }

  /** "|" and "|-". */
  #literal(from: number, column: number): Built {
    const keep = this.#line.slice(from).trimEnd();
    if (keep !== '|' && keep !== '|-') throw giveUp;
    const line = this.#at + 1;
    const first = this.#lines[this.#at + 1] ?? '';
    const indent = first.search(/[^ ]/);
    if (indent <= column) throw giveUp;
    const content: string[] = [];
    let at = this.#at + 1;
    for (; at < this.#lines.length; at++) {
      const text = this.#lines[at] as string;
      const blanks = text.search(/[^ ]/);
      if (blanks !== -1 && blanks <= column) break;
      if (blanks !== -1 && blanks < indent) throw giveUp;
      if (blanks === -1 && text.length > indent) throw giveUp;
      content.push(text.slice(indent));
    }
    // The last line of a file that ends without a line end.
    if (at === this.#lines.length && content.at(-1) !== '') throw giveUp;
    while (content.at(-1) === '') content.pop();
    this.#at = at - 1;
    this.#next();
    return [`${content.join('\n')}${keep === '|' ? '\n' : ''}`, { line }];
  }
}

function skipBlanks(text: string, from: number): number {
  let at = from;
  while (text.charCodeAt(at) === 32) at++;
  return at;
}

/** Nothing but blanks and a comment. */
function isEnd(text: string, from: number): boolean {
  const at = skipBlanks(text, from);
  return at >= text.length || (text.charCodeAt(at) === 35 && (at > from || text.charCodeAt(at - 1) === 32));
}

function keyName(match: RegExpExecArray): string {
  const name = match[1] !== undefined ? String(scalar(match[1])) : (match[2] ?? match[3] ?? '');
  if (name === '__proto__') throw giveUp;
  return name;
}

function blockPlain(text: string, from: number): Json {
  const first = text[from] as string;
  if (',[]{}#&*!|>%@`"\'?:='.includes(first) || (first === '-' && !/[\w.]/.test(text[from + 1] ?? ' '))) throw giveUp;
  const comment = text.indexOf(' #', from);
  const source = (comment === -1 ? text.slice(from) : text.slice(from, comment)).trimEnd();
  if (source.includes(': ') || source.endsWith(':')) throw giveUp;
  return scalar(source);
}

/** As the core schema resolves it, and then as go-yaml does. */
function scalar(source: string): Json {
  if (source === '~' || source === 'null' || source === 'Null' || source === 'NULL') return null;
  if (source === 'true' || source === 'True' || source === 'TRUE') return true;
  if (source === 'false' || source === 'False' || source === 'FALSE') return false;
  const code = source.charCodeAt(0);
  // A digit, "+", "-" or ".".
  const isNumeric = (code >= 48 && code <= 57) || code === 43 || code === 45 || code === 46;
  if (!isNumeric) return source.length > 3 ? source : (plainScalar(source, source) as Json);
  if (otherNumber.test(source)) throw giveUp;
  const resolved = integer.test(source) ? Number.parseInt(source, 10) : float.test(source) ? Number.parseFloat(source) : source;
  const value = plainScalar(source, resolved);
  if (value === undefined) throw giveUp;
  return value;
}
