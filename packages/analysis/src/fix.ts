import { editFields, type SourceFile } from '@outrigger/resources';
import type { Message } from './message.ts';

/** A file with what is mechanical mended. */
interface FixedFile {
  readonly file: string;
  readonly before: string;
  readonly after: string;
  /** Of which nothing is left. */
  readonly messages: readonly Message[];
}

/** The files that messages with a fix are of, mended; comments and formatting stay. */
export function fixedFiles(files: readonly SourceFile[], messages: readonly Message[]): readonly FixedFile[] {
  return files.flatMap(({ file, text }) => {
    const before = typeof text === 'string' ? text : new TextDecoder().decode(text);
    const edits = messages.flatMap((message) => (message.file === file && message.fix !== undefined ? [{ ...message.fix, line: message.line, message }] : []));
    if (edits.length === 0) return [];
    const { text: after, done } = editFields(before, edits);
    return done.length === 0 ? [] : [{ file, before, after, messages: done.map(({ message }) => message) }];
  });
}

/** Lines that differ, as `diff -U0` shows them. A fix never adds or takes away a line. */
export function diffText({ file, before, after }: Pick<FixedFile, 'file' | 'before' | 'after'>): string {
  const old = before.split('\n');
  const lines = [`--- ${file}`, `+++ ${file}`];
  for (const [index, line] of after.split('\n').entries())
    if (line !== old[index]) lines.push(`@@ -${index + 1} +${index + 1} @@`, `-${old[index] ?? ''}`, `+${line}`);
  return lines.join('\n');
}
