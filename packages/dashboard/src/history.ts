import type { GraphView, TopRow } from '@outrigger/control-plane/api';

/** How far back the small curves go. */
export const historyMs = 180_000;
/** Longer without a sample, and the curve has a gap: the page was hidden, or the control plane away. */
const gapMs = 6_000;
/** An edge without requests keeps its place for so long: a graph that jumps cannot be read. */
export const quietEdgeMs = 60_000;

export type Edge = GraphView['edges'][number];
export type Curve = readonly (readonly [atMs: number, value: number | null])[];
type Measure = 'requestsPerSecond' | 'p99Ms';

export function rowKey({ namespace, service, version }: Pick<TopRow, 'namespace' | 'service' | 'version'>): string {
  return `${namespace}/${service}/${version}`;
}

export function edgeKey({ from, to }: { from: string; to: string }): string {
  return `${from} -> ${to}`;
}

/** What the page has seen since it was opened: nobody else keeps it. */
export class History {
  readonly #samples: { readonly atMs: number; readonly rows: ReadonlyMap<string, Pick<TopRow, Measure>> }[] = [];
  readonly #edges = new Map<string, { readonly edge: Edge; readonly seenMs: number }>();

  addTop(rows: readonly TopRow[], atMs: number): void {
    this.#samples.push({ atMs, rows: new Map(rows.map((row) => [rowKey(row), row])) });
    while (this.#samples[0] !== undefined && this.#samples[0].atMs < atMs - historyMs) this.#samples.shift();
  }

  /** null: not known then. */
  curve(key: string, measure: Measure): Curve {
    const curve: [number, number | null][] = [];
    for (const { atMs, rows } of this.#samples) {
      const last = curve.at(-1);
      if (last !== undefined && atMs - last[0] > gapMs) curve.push([last[0] + 1, null]);
      curve.push([atMs, rows.get(key)?.[measure] ?? null]);
    }
    return curve;
  }

  /** The graph's edges, and those that were there lately, between nodes that still are. */
  edges(graph: GraphView, nowMs: number): Edge[] {
    const nodes = new Set(graph.nodes.map(({ id }) => id));
    for (const edge of graph.edges) this.#edges.set(edgeKey(edge), { edge, seenMs: nowMs });
    for (const [key, { edge, seenMs }] of this.#edges) {
      if (nowMs - seenMs > quietEdgeMs || !nodes.has(edge.from) || !nodes.has(edge.to)) this.#edges.delete(key);
    }
    return [...this.#edges.values()].map(({ edge, seenMs }) =>
      seenMs === nowMs ? edge : { from: edge.from, to: edge.to, requestsPerSecond: 0, successRatio: null, p50Ms: null, p99Ms: null, mtlsRatio: null },
    );
  }
}
