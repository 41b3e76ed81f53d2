/** Of these the workers' values are no parts of a whole: the largest says it. */
const LARGEST: ReadonlySet<string> = new Set(['outrigger_endpoint_breaker']);

interface Family {
  readonly head: string[];
  readonly kind: string;
  /** By their names and labels. */
  readonly series: Map<string, number>;
  /** Of a histogram by their labels without "le": each worker's cumulative counts. */
  readonly buckets: Map<string, Map<number, number>[]>;
}

/** Prometheus text of several processes as of one: counters, gauges and histograms summed. As writePrometheus writes it: "le" is the last label. */
export function mergePrometheus(texts: readonly string[]): string {
  const families = new Map<string, Family>();
  for (const text of texts) readInto(families, text);
  let merged = '';
  for (const family of families.values()) {
    merged += family.head.map((line) => `${line}\n`).join('');
    for (const [prefix, parts] of family.buckets) merged += bucketLines(prefix, parts);
    for (const [series, value] of family.series) merged += `${series} ${numberText(value)}\n`;
  }
  return merged;
}

function readInto(families: Map<string, Family>, text: string): void {
  let family: Family | undefined;
  let name = '';
  let help = '';
  /** Of this text: a series of buckets comes in one piece. */
  let bucketOf = '';
  for (const line of text.split('\n')) {
    if (line.startsWith('# HELP ')) help = line;
    else if (line.startsWith('# TYPE ')) {
      const [, , of = '', kind = ''] = line.split(' ');
      name = of;
      bucketOf = '';
      family = families.get(name);
      if (family === undefined) {
        family = { head: [help, line], kind, series: new Map(), buckets: new Map() };
        families.set(name, family);
      }
    } else if (line !== '' && family !== undefined) {
      const space = line.lastIndexOf(' ');
      const series = line.slice(0, space);
      const value = Number(line.slice(space + 1).replace('Inf', 'Infinity'));
      const le = /^(.*[{,])le="([^"]*)"}$/s.exec(series);
      if (family.kind === 'histogram' && le !== null) {
        const parts = family.buckets.get(le[1]!) ?? [];
        family.buckets.set(le[1]!, parts);
        if (bucketOf !== le[1]) parts.push(new Map());
        bucketOf = le[1]!;
        parts.at(-1)!.set(le[2] === '+Inf' ? Number.POSITIVE_INFINITY : Number(le[2]), value);
      } else {
        bucketOf = '';
        const before = family.series.get(series) ?? 0;
        family.series.set(series, LARGEST.has(name) ? Math.max(before, value) : before + value);
      }
    }
  }
}

/** Cumulative at each edge that any worker has: of those that have it not, what was there at the edge below. */
function bucketLines(prefix: string, parts: readonly Map<number, number>[]): string {
  const edges = [...new Set(parts.flatMap((part) => [...part.keys()]))].sort((one, other) => one - other);
  const last = parts.map(() => 0);
  let lines = '';
  for (const edge of edges) {
    let sum = 0;
    parts.forEach((part, index) => {
      last[index] = part.get(edge) ?? last[index]!;
      sum += last[index]!;
    });
    lines += `${prefix}le="${numberText(edge)}"} ${sum}\n`;
  }
  return lines;
}

function numberText(value: number): string {
  if (value === Number.POSITIVE_INFINITY) return '+Inf';
  return value === Number.NEGATIVE_INFINITY ? '-Inf' : String(value);
}
