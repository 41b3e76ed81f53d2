/** What our proxy makes of a case: it goes on, is answered by us with an error, or is not whole and waited for. */
export type Expected = 'passed' | 'refused' | 'waits';

export interface RequestCase {
  readonly name: string;
  /** latin1; then the next request follows, unless `alone`. */
  readonly bytes: string;
  readonly expected: Expected;
  readonly alone?: boolean;
  /** Headers whose values, as the backend got them, are part of the outcome. */
  readonly watch?: readonly string[];
}

export function request(startLine: string, lines: readonly string[], body = ''): string {
  return `${startLine}\r\n${lines.map((line) => `${line}\r\n`).join('')}\r\n${body}`;
}

export function post(lines: readonly string[], body = ''): string {
  return request('POST /a HTTP/1.1', ['Host: a', ...lines], body);
}

export function get(lines: readonly string[]): string {
  return request('GET /a HTTP/1.1', ['Host: a', ...lines]);
}

/** Of one outcome, by name. */
export function cases(expected: Expected, bytes: Readonly<Record<string, string>>, more: Partial<RequestCase> = {}): RequestCase[] {
  return Object.entries(bytes).map(([name, text]) => ({ name, bytes: text, expected, ...more }));
}

/** One for each odd piece, named by it. */
export function each(
  expected: Expected,
  noun: string,
  pieces: readonly string[],
  bytes: (piece: string) => string,
  more: Partial<RequestCase> = {},
): RequestCase[] {
  return pieces.map((piece) => ({ name: `${noun} ${show(piece)}`, bytes: bytes(piece), expected, ...more }));
}

/** Readable, and the same in a table of Markdown. */
export function show(text: string): string {
  const shown = text.length > 60 ? `${text.slice(0, 30)}… (${text.length} bytes)` : text;
  return `"${shown
    .replaceAll('\\', '\\\\')
    .replaceAll('\r', '\\r')
    .replaceAll('\n', '\\n')
    .replaceAll('\t', '\\t')
    .replace(/[^\x20-\x7e…]/g, (c) => `\\x${c.charCodeAt(0).toString(16).padStart(2, '0')}`)}"`;
}
