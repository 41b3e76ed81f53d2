import { Composer, LineCounter, Parser, Schema, type YAMLError } from 'yaml';
import type { KubernetesDocument } from './document.ts';
import { isJsonObject, type Json, type JsonObject } from './json.ts';
import { maxDepth, maxDocuments, maxFileBytes, maxTotalBytes } from './limits.ts';
import type { Problem } from './problem.ts';
import { ComposeError, composeValue } from './syntax/compose.ts';
import { tooDeepAt } from './syntax/depth.ts';
import { type LineTree, lineAt } from './syntax/lines.ts';

const MAX_MESSAGE_CHARS = 200;

/** One for all documents: to make it for each took longer than to compose a small one. */
const schema = new Schema({ schema: 'core', resolveKnownTags: true, merge: false });

/** A file to read. `text` is its whole content; bytes are decoded as UTF-8. */
export interface SourceFile {
  /** As messages name it: a path, "-" or "<api>". */
  readonly file: string;
  readonly text: string | Uint8Array;
}

export interface ParseResult {
  readonly documents: readonly KubernetesDocument[];
  /** Level 'Error': the file it names has something that could not be read; its other documents are still in `documents`. */
  readonly problems: readonly Problem[];
}

/**
 * YAML (many documents, `List` kinds unfolded) or JSON to Kubernetes objects. Never throws for what a file holds;
 * time and memory are bounded by `limits.ts`.
 */
export function parseDocuments(files: readonly SourceFile[]): ParseResult {
  const documents: KubernetesDocument[] = [];
  const problems: Problem[] = [];
  let totalBytes = 0;
  for (const { file, text } of files) {
    totalBytes += text.length;
    if (text.length > maxFileBytes) {
      problems.push(
        unreadable(file, `the file has ${megabytes(text.length)}, more than the ${megabytes(maxFileBytes)} that one may have`, 'split it into smaller files'),
      );
    } else if (totalBytes > maxTotalBytes) {
      problems.push(unreadable(file, `the files together have more than ${megabytes(maxTotalBytes)}`, 'read fewer at a time'));
    } else {
      parseFile(file, text, problems, {
        take: (value, lines) => addObjects(value, lines, file, documents, problems),
        isFull: () => documents.length > maxDocuments,
      });
    }
  }
  return { documents, problems };
}

/** Settings that are no Kubernetes object (MeshConfig, MeshNetworks): one mapping in a file. */
export interface SettingsDocument {
  readonly file: string;
  readonly value: JsonObject;
  /** As `KubernetesDocument.lineOf`. */
  lineOf(path: string): number;
}

/** YAML or JSON of one mapping; an empty file is an empty mapping. Within the bounds of `parseDocuments`. */
export function parseSettings({ file, text }: SourceFile): { readonly settings: SettingsDocument; readonly problems: readonly Problem[] } {
  const problems: Problem[] = [];
  const found: SettingsDocument[] = [];
  if (text.length > maxFileBytes) problems.push(unreadable(file, `the file has ${megabytes(text.length)}`, `give one of at most ${megabytes(maxFileBytes)}`));
  else {
    parseFile(file, text, problems, {
      take: (value, lines) => {
        if (isJsonObject(value)) {
          if (found.length === 1)
            problems.push({ ...unreadable(file, 'the file has more than one mapping', 'put all settings into the first'), code: 'SYNTAX', line: lines.line });
          found.push({ file, value, lineOf: (path) => lineAt(lines, path) });
        } else if (value !== null) problems.push(unreadable(file, 'the file is no mapping', 'write the settings as "name: value"'));
      },
      isFull: () => false,
    });
  }
  return { settings: found[0] ?? { file, value: {}, lineOf: () => 1 }, problems };
}

interface Sink {
  take(value: Json, lines: LineTree): void;
  isFull(): boolean;
}

function parseFile(file: string, content: string | Uint8Array, problems: Problem[], sink: Sink): void {
  const text = textOf(content);
  if (text === undefined) {
    problems.push(unreadable(file, 'the file is binary, not UTF-8 text', 'give a YAML or JSON file'));
    return;
  }
  const counter = new LineCounter();
  const problem = (message: string, offset: number, next: string): void => {
    problems.push({ code: 'SYNTAX', level: 'Error', message, file, line: counter.linePos(offset).line, next, field: '' });
  };
  // JSON may be indented with tabs, which YAML refuses. In JSON a raw tab is never part of a string, so blanks of the same length mean the same.
  const source = /^\s*[{[]/.test(text) ? text.replaceAll('\t', ' ') : text;
  const composer = new Composer({
    schema,
    merge: false,
    uniqueKeys: false,
    prettyErrors: false,
    keepSourceTokens: false,
    stringKeys: false,
    strict: true,
  });
  let count = 0;
  const take = (composed: ReturnType<Composer['next']>): void => {
    for (const document of composed) {
      count++;
      const error: YAMLError | undefined = document.errors[0];
      if (error !== undefined) {
        const tab = error.code === 'TAB_AS_INDENT';
        problem(firstLine(error.message), error.pos[0], tab ? 'indent with spaces: YAML does not take tabs' : 'correct the YAML at this line');
        continue;
      }
      try {
        const { value, lines } = composeValue(document, source, counter);
        sink.take(value, lines);
      } catch (cause) {
        if (!(cause instanceof ComposeError)) throw cause;
        problem(cause.message, cause.offset, cause.next);
      }
    }
  };
  for (const token of new Parser(counter.addNewLine).parse(source)) {
    const deep = tooDeepAt(token, maxDepth);
    if (deep !== undefined) {
      problem(`nested deeper than ${maxDepth} levels`, deep, 'flatten the document; no resource nests that deep');
      return;
    }
    if (count >= maxDocuments || sink.isFull()) {
      problem(`more than ${maxDocuments} documents in one file`, token.offset, 'split the file');
      return;
    }
    take(composer.next(token));
  }
  take(composer.end(false, source.length));
}

/** The objects of one document: itself, or a List's items. */
function addObjects(value: Json, lines: LineTree, file: string, documents: KubernetesDocument[], problems: Problem[]): void {
  if (value === null) return;
  const refuse = (message: string, next: string): number =>
    problems.push({ code: 'UNKNOWN_KIND', level: 'Error', message, file, line: lines.line, next, field: '' });
  if (!isJsonObject(value)) {
    refuse('the document is no Kubernetes object: it is not a mapping', 'begin it with apiVersion, kind and metadata');
    return;
  }
  if (Object.keys(value).length === 0) return;
  const { apiVersion, kind } = value;
  if (typeof kind !== 'string' || kind === '') {
    refuse("Object 'Kind' is missing", 'add a "kind:", for example VirtualService');
    return;
  }
  if (typeof apiVersion !== 'string' || apiVersion === '') {
    refuse("Object 'apiVersion' is missing", 'add an "apiVersion:", for example networking.istio.io/v1');
    return;
  }
  if (kind.endsWith('List') && Array.isArray(value.items)) {
    const itemLines = lines.children?.get('items')?.children;
    for (const [index, item] of (value.items as readonly Json[]).entries()) addObjects(item, itemLines?.get(index) ?? lines, file, documents, problems);
    return;
  }
  documents.push(documentOf(value, apiVersion, kind, lines, file));
}

function documentOf(value: JsonObject, apiVersion: string, kind: string, lines: LineTree, file: string): KubernetesDocument {
  const metadata = isJsonObject(value.metadata) ? value.metadata : {};
  return {
    apiVersion,
    kind,
    name: typeof metadata.name === 'string' ? metadata.name : '',
    namespace: typeof metadata.namespace === 'string' ? metadata.namespace : '',
    value,
    origin: { file, line: lines.children?.get('apiVersion')?.line ?? lines.line },
    lineOf: (path) => lineAt(lines, path),
  };
}

function textOf(content: string | Uint8Array): string | undefined {
  if (typeof content === 'string') return content.includes('\0') ? undefined : content.replace(/^\uFEFF/, '');
  if (content.includes(0)) return undefined;
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(content);
  } catch {
    return undefined;
  }
}

function unreadable(file: string, message: string, next: string): Problem {
  return { code: 'FILE_UNREADABLE', level: 'Error', message, file, line: 1, next, field: '' };
}

/** A message may quote what it does not understand, however long that is. */
function firstLine(message: string): string {
  const line = message.split('\n', 1)[0] as string;
  return line.length <= MAX_MESSAGE_CHARS ? line : `${line.slice(0, MAX_MESSAGE_CHARS)}...`;
}

function megabytes(bytes: number): string {
  return `${(bytes / 1024 / 1024).toFixed(1)} MB`;
}
