import { stringify } from 'yaml';
import type { NewObject, StoredObject } from '../store/resource-store.ts';

const CONTEXT_LINES = 3;
/** Longer manifests are shown as replaced whole: the comparison's cost grows with the product of both lengths. */
const MAX_COMPARED_LINES = 2_000;

/** What a person would change, as a unified diff of YAML; '' where nothing is different. What the store fills in is left out. */
export function manifestDiff(present: StoredObject | NewObject | undefined, wanted: NewObject | undefined): string {
  const before = linesOf(present);
  const after = linesOf(wanted);
  return unifiedDiff(before, after);
}

function linesOf(object: StoredObject | NewObject | undefined): string[] {
  if (object === undefined) return [];
  const { metadata, status: _status, ...rest } = object;
  const { name, namespace, labels, annotations } = metadata;
  const kept = Object.fromEntries(
    Object.entries({ name, namespace, labels, annotations }).filter(([, value]) => value !== undefined && value !== '' && JSON.stringify(value) !== '{}'),
  );
  const { apiVersion, kind, ...content } = rest;
  return stringify(
    { apiVersion, kind, metadata: kept, ...content },
    {
      sortMapEntries: (a, b) => order(String(a.key)) - order(String(b.key)) || (String(a.key) < String(b.key) ? -1 : 1),
      aliasDuplicateObjects: false,
      lineWidth: 0,
    },
  )
    .trimEnd()
    .split('\n');
}

/** As people write them; everything else by name. */
function order(key: string): number {
  const index = ['apiVersion', 'kind', 'metadata', 'name', 'namespace', 'spec'].indexOf(key);
  return index < 0 ? 6 : index;
}

type Edit = { readonly mark: ' ' | '-' | '+'; readonly text: string };

export function unifiedDiff(before: readonly string[], after: readonly string[]): string {
  const edits = editsOf(before, after);
  if (edits.every(({ mark }) => mark === ' ')) return '';
  const output: string[] = [];
  let index = 0;
  let oldLine = 1;
  let newLine = 1;
  while (index < edits.length) {
    const next = edits.findIndex((edit, at) => at >= index && edit.mark !== ' ');
    if (next < 0) break;
    const start = Math.max(index, next - CONTEXT_LINES);
    for (let at = index; at < start; at++) {
      oldLine += 1;
      newLine += 1;
    }
    let end = next;
    for (let at = next, quiet = 0; at < edits.length && quiet <= 2 * CONTEXT_LINES; at++) {
      quiet = edits[at]!.mark === ' ' ? quiet + 1 : 0;
      if (quiet === 0) end = at;
    }
    const hunk = edits.slice(start, Math.min(edits.length, end + 1 + CONTEXT_LINES));
    const olds = hunk.filter(({ mark }) => mark !== '+').length;
    const news = hunk.filter(({ mark }) => mark !== '-').length;
    output.push(
      `@@ -${olds === 0 ? oldLine - 1 : oldLine},${olds} +${news === 0 ? newLine - 1 : newLine},${news} @@`,
      ...hunk.map(({ mark, text }) => mark + text),
    );
    oldLine += olds;
    newLine += news;
    index = start + hunk.length;
  }
  return `${output.join('\n')}\n`;
}

/** By the longest common subsequence. */
function editsOf(before: readonly string[], after: readonly string[]): Edit[] {
  if (before.length > MAX_COMPARED_LINES || after.length > MAX_COMPARED_LINES) {
    if (before.length === after.length && before.every((line, index) => line === after[index])) return [];
    return [...before.map((text): Edit => ({ mark: '-', text })), ...after.map((text): Edit => ({ mark: '+', text }))];
  }
  const width = after.length + 1;
  const lengths = new Uint16Array((before.length + 1) * width);
  for (let i = before.length - 1; i >= 0; i--) {
    for (let j = after.length - 1; j >= 0; j--) {
      lengths[i * width + j] =
        before[i] === after[j] ? lengths[(i + 1) * width + j + 1]! + 1 : Math.max(lengths[(i + 1) * width + j]!, lengths[i * width + j + 1]!);
    }
  }
  const edits: Edit[] = [];
  let i = 0;
  let j = 0;
  while (i < before.length || j < after.length) {
    if (i < before.length && j < after.length && before[i] === after[j]) {
      edits.push({ mark: ' ', text: before[i]! });
      i += 1;
      j += 1;
    } else if (j >= after.length || (i < before.length && lengths[(i + 1) * width + j]! >= lengths[i * width + j + 1]!)) {
      edits.push({ mark: '-', text: before[i]! });
      i += 1;
    } else {
      edits.push({ mark: '+', text: after[j]! });
      j += 1;
    }
  }
  return edits;
}
