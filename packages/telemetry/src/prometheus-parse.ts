import type { CumulativeBucket } from './histogram.ts';

export interface Sample {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

export interface ParseLimits {
  readonly maxBytes: number;
  readonly maxSamples: number;
  readonly maxLabels: number;
}

/** What one scrape may hold: a proxy with its series cap stays well below. */
export const DEFAULT_PARSE_LIMITS: ParseLimits = { maxBytes: 16 * 1024 * 1024, maxSamples: 200_000, maxLabels: 64 };

/** `message` names the line. */
export type ParseResult = { readonly ok: true; readonly samples: readonly Sample[] } | { readonly ok: false; readonly message: string };

const METRIC_NAME = /[a-zA-Z_:][a-zA-Z0-9_:]*/y;
const LABEL_NAME = /[a-zA-Z_][a-zA-Z0-9_]*/y;
const NUMBER = /^[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?$/;

class LineError extends Error {}

class LineParser {
  readonly #line: string;
  readonly #maxLabels: number;
  readonly #metricName = new RegExp(METRIC_NAME);
  readonly #labelName = new RegExp(LABEL_NAME);
  #at = 0;

  constructor(line: string, maxLabels: number) {
    this.#line = line;
    this.#maxLabels = maxLabels;
  }

  sample(): Sample {
    const name = this.#take(this.#metricName, 'a metric name');
    const labels: Record<string, string> = Object.create(null) as Record<string, string>;
    this.#spaces();
    if (this.#line[this.#at] === '{') this.#labels(labels);
    this.#spaces();
    const [value, timestamp, more] = this.#line
      .slice(this.#at)
      .trim()
      .split(/[ \t]+/);
    if (value === undefined || value === '') throw new LineError('has no value');
    if (more !== undefined || (timestamp !== undefined && !/^-?\d+$/.test(timestamp)))
      throw new LineError('has something after its value that is no timestamp');
    return { name, labels, value: parseNumber(value) };
  }

  #labels(labels: Record<string, string>): void {
    this.#at++;
    let count = 0;
    for (;;) {
      this.#spaces();
      if (this.#line[this.#at] === '}') break;
      if (++count > this.#maxLabels) throw new LineError(`has more than ${this.#maxLabels} labels`);
      const name = this.#take(this.#labelName, 'a label name');
      if (name in labels) throw new LineError(`names label ${name} twice`);
      this.#spaces();
      this.#expect('=');
      this.#spaces();
      labels[name] = this.#quoted();
      this.#spaces();
      if (this.#line[this.#at] === ',') this.#at++;
      else if (this.#line[this.#at] !== '}') throw new LineError('needs "," or "}" after a label');
    }
    this.#at++;
  }

  #quoted(): string {
    this.#expect('"');
    let text = '';
    for (;;) {
      const char = this.#line[this.#at++];
      if (char === undefined) throw new LineError('has a label value without its closing quote');
      if (char === '"') return text;
      if (char !== '\\') {
        text += char;
        continue;
      }
      const escaped = this.#line[this.#at++];
      if (escaped === 'n') text += '\n';
      else if (escaped === '\\' || escaped === '"') text += escaped;
      else throw new LineError('has an unknown escape in a label value');
    }
  }

  #expect(char: string): void {
    if (this.#line[this.#at] !== char) throw new LineError(`needs ${JSON.stringify(char)} at column ${this.#at + 1}`);
    this.#at++;
  }

  #take(pattern: RegExp, what: string): string {
    pattern.lastIndex = this.#at;
    const found = pattern.exec(this.#line);
    if (found === null) throw new LineError(`needs ${what} at column ${this.#at + 1}`);
    this.#at = pattern.lastIndex;
    return found[0];
  }

  #spaces(): void {
    while (this.#line[this.#at] === ' ' || this.#line[this.#at] === '\t') this.#at++;
  }
}

function parseNumber(text: string): number {
  switch (text) {
    case '+Inf':
    case 'Inf':
      return Number.POSITIVE_INFINITY;
    case '-Inf':
      return Number.NEGATIVE_INFINITY;
    case 'NaN':
      return Number.NaN;
  }
  if (!NUMBER.test(text)) throw new LineError(`has ${JSON.stringify(text.slice(0, 40))} for a value`);
  return Number(text);
}

/** Prometheus text (exposition format 0.0.4), whole or not at all: a scraped proxy is not trusted to be well-formed. */
export function parsePrometheus(text: string, limits: ParseLimits = DEFAULT_PARSE_LIMITS): ParseResult {
  if (text.length > limits.maxBytes) return { ok: false, message: `the text is longer than ${limits.maxBytes} bytes` };
  const samples: Sample[] = [];
  let lineNumber = 0;
  let start = 0;
  while (start < text.length) {
    const newline = text.indexOf('\n', start);
    const end = newline < 0 ? text.length : newline;
    lineNumber++;
    const line = text.slice(start, end);
    start = end + 1;
    if (line === '' || line.startsWith('#') || line.trim() === '') continue;
    if (samples.length >= limits.maxSamples) return { ok: false, message: `line ${lineNumber}: more than ${limits.maxSamples} samples` };
    try {
      samples.push(new LineParser(line, limits.maxLabels).sample());
    } catch (error) {
      if (!(error instanceof LineError)) throw error;
      return { ok: false, message: `line ${lineNumber} ${error.message}` };
    }
  }
  return { ok: true, samples };
}

/** A histogram's series out of samples: buckets by their labels without "le", ascending. */
export interface ParsedHistogram {
  readonly labels: Readonly<Record<string, string>>;
  readonly buckets: readonly CumulativeBucket[];
  readonly sum: number;
  readonly count: number;
}

export function histogramsOf(samples: readonly Sample[], name: string): readonly ParsedHistogram[] {
  const found = new Map<string, { labels: Record<string, string>; buckets: CumulativeBucket[]; sum: number; count: number }>();
  for (const sample of samples) {
    if (!sample.name.startsWith(name)) continue;
    const part = sample.name.slice(name.length);
    if (part !== '_bucket' && part !== '_sum' && part !== '_count') continue;
    const { le, ...labels } = sample.labels;
    const key = JSON.stringify(Object.entries(labels).sort());
    let histogram = found.get(key);
    if (histogram === undefined) {
      histogram = { labels, buckets: [], sum: 0, count: 0 };
      found.set(key, histogram);
    }
    if (part === '_sum') histogram.sum = sample.value;
    else if (part === '_count') histogram.count = sample.value;
    else if (le !== undefined) histogram.buckets.push([le === '+Inf' ? Number.POSITIVE_INFINITY : Number(le), sample.value]);
  }
  for (const histogram of found.values()) histogram.buckets.sort((a, b) => a[0] - b[0]);
  return [...found.values()];
}
