/** A node as wide as its text. */
export interface Box {
  readonly id: string;
  readonly width: number;
}

export interface Space {
  /** What the columns may spread over. */
  readonly width: number;
  readonly nodeHeight: number;
  /** Between the middles of two nodes of a column. */
  readonly rowHeight: number;
  readonly minGap: number;
  readonly maxGap: number;
}

export interface Point {
  readonly x: number;
  readonly y: number;
}

export interface Layout {
  readonly width: number;
  readonly height: number;
  /** Middles. */
  readonly nodes: ReadonlyMap<string, Point>;
  /** In the order of the edges that were given: an SVG path, and where its label belongs. */
  readonly edges: readonly { readonly path: string; readonly label: Point }[];
  /** Nodes without edges, in rows below the others; undefined: there are none. */
  readonly apartY: number | undefined;
}

type Link = readonly [from: string, to: string];

const sweeps = 8;
/** Above the nodes that nobody calls: for the labels of the edges, and for their heading. */
const headingHeight = 76;
const backEdgeDrop = 46;

/**
 * Callers to the left of what they call: columns by longest path, few crossings by barycentres, rows by least squares.
 * The same graph gives the same picture, whatever the order of its parts.
 */
export function layOut(boxes: readonly Box[], links: readonly { from: string; to: string }[], space: Space): Layout {
  const widths = new Map(boxes.map(({ id, width }) => [id, width]));
  const known = links.filter(({ from, to }) => widths.has(from) && widths.has(to));
  const linked = new Set(known.flatMap(({ from, to }) => [from, to]));
  const ids = [...widths.keys()].sort();
  const connected = ids.filter((id) => linked.has(id));
  const forward = acyclic(
    connected,
    known.filter(({ from, to }) => from !== to).map(({ from, to }): Link => [from, to]),
  );
  const layers = layersOf(connected, forward);
  const { columns, chains, neighbours } = withDummies(layers, forward);
  order(columns, neighbours);
  const ys = rows(columns, neighbours, space.rowHeight);
  const { xs, width } = columnsX(columns, widths, space);

  const nodes = new Map<string, Point>();
  for (const column of columns) for (const id of column) nodes.set(id, { x: xs.get(id)!, y: ys.get(id)! + space.nodeHeight / 2 });
  let height = Math.max(0, ...[...nodes.values()].map(({ y }) => y + space.nodeHeight / 2));
  const degree = (id: string, side: 0 | 1): number => forward.filter((link) => link[side] === id).length;
  const edges = links.map(({ from, to }) => {
    const chain = chains.get(linkKey([from, to]));
    if (chain === undefined) {
      const drawn = backEdge(nodes.get(from), nodes.get(to), space.nodeHeight);
      height = Math.max(height, drawn.label.y + 20);
      return drawn;
    }
    return forwardEdge(
      chain.map((id) => nodes.get(id)!),
      (widths.get(from) ?? 0) / 2,
      (widths.get(to) ?? 0) / 2,
      { out: degree(from, 0), in: degree(to, 1) },
    );
  });

  const apart = ids.filter((id) => !linked.has(id));
  const apartY = apart.length === 0 ? undefined : height + (connected.length === 0 ? 0 : headingHeight);
  let x = 0;
  let y = apartY ?? 0;
  for (const id of apart) {
    const wide = widths.get(id) ?? 0;
    if (x > 0 && x + wide > Math.max(width, space.width)) {
      x = 0;
      y += space.nodeHeight + 16;
    }
    nodes.set(id, { x: x + wide / 2, y: y + space.nodeHeight / 2 });
    x += wide + 16;
    height = y + space.nodeHeight;
  }
  for (const id of nodes.keys()) if (!widths.has(id)) nodes.delete(id);
  return { width: Math.max(width, apart.length === 0 ? 0 : space.width), height, nodes, edges, apartY };
}

function linkKey([from, to]: Link): string {
  return JSON.stringify([from, to]);
}

/** Without the links that close a circle; each link once. */
function acyclic(ids: readonly string[], links: readonly Link[]): Link[] {
  const targets = new Map<string, string[]>(ids.map((id) => [id, []]));
  const called = new Set<string>();
  for (const [from, to] of [...links].sort((a, b) => (linkKey(a) < linkKey(b) ? -1 : 1))) {
    if (!targets.get(from)?.includes(to)) targets.get(from)?.push(to);
    called.add(to);
  }
  const kept: Link[] = [];
  const state = new Map<string, 'open' | 'done'>();
  const visit = (start: string): void => {
    const stack = [{ id: start, next: 0 }];
    state.set(start, 'open');
    for (let top = stack.at(-1); top !== undefined; top = stack.at(-1)) {
      const to = targets.get(top.id)?.[top.next++];
      if (to === undefined) {
        state.set(top.id, 'done');
        stack.pop();
        continue;
      }
      if (state.get(to) === 'open') continue;
      kept.push([top.id, to]);
      if (state.has(to)) continue;
      state.set(to, 'open');
      stack.push({ id: to, next: 0 });
    }
  };
  // From those that nobody calls: then what closes a circle leads back to where the calls come from.
  for (const id of [...ids].sort((a, b) => Number(called.has(a)) - Number(called.has(b)))) if (!state.has(id)) visit(id);
  return kept;
}

/** Each node one column right of its furthest caller; those that nobody calls just left of what they call. */
function layersOf(ids: readonly string[], links: readonly Link[]): Map<string, number> {
  const layers = new Map<string, number>(ids.map((id) => [id, 0]));
  const waiting = new Map<string, number>(ids.map((id) => [id, 0]));
  for (const [, to] of links) waiting.set(to, (waiting.get(to) ?? 0) + 1);
  const callers = ids.filter((id) => waiting.get(id) === 0);
  const queue = [...callers];
  for (let id = queue.shift(); id !== undefined; id = queue.shift()) {
    for (const [from, to] of links) {
      if (from !== id) continue;
      layers.set(to, Math.max(layers.get(to) ?? 0, (layers.get(id) ?? 0) + 1));
      const left = (waiting.get(to) ?? 0) - 1;
      waiting.set(to, left);
      if (left === 0) queue.push(to);
    }
  }
  for (const id of callers) {
    const called = links.filter(([from]) => from === id).map(([, to]) => layers.get(to) ?? 0);
    if (called.length > 0) layers.set(id, Math.min(...called) - 1);
  }
  return layers;
}

interface Columns {
  columns: string[][];
  /** Of each link, the nodes and the dummies that it goes through. */
  chains: Map<string, string[]>;
  neighbours: Map<string, { before: string[]; after: string[] }>;
}

/** A link that passes columns gets a dummy in each, so that it has room there. */
function withDummies(layers: ReadonlyMap<string, number>, links: readonly Link[]): Columns {
  const columns: string[][] = Array.from({ length: Math.max(-1, ...layers.values()) + 1 }, () => []);
  const chains = new Map<string, string[]>();
  const neighbours: Columns['neighbours'] = new Map();
  const place = (id: string, layer: number): void => {
    columns[layer]?.push(id);
    neighbours.set(id, { before: [], after: [] });
  };
  for (const [id, layer] of layers) place(id, layer);
  for (const link of links) {
    const [from, to] = link;
    const chain = [from];
    for (let layer = layers.get(from)! + 1; layer < layers.get(to)!; layer++) {
      const dummy = `${linkKey(link)} in ${layer}`;
      place(dummy, layer);
      chain.push(dummy);
    }
    chain.push(to);
    chains.set(linkKey(link), chain);
    for (let index = 1; index < chain.length; index++) {
      neighbours.get(chain[index - 1]!)?.after.push(chain[index]!);
      neighbours.get(chain[index]!)?.before.push(chain[index - 1]!);
    }
  }
  return { columns, chains, neighbours };
}

/** Orders each column by the mean place of its neighbours, to and fro, and keeps what crosses least. */
function order(columns: string[][], neighbours: Columns['neighbours']): void {
  let best = columns.map((column) => [...column]);
  let fewest = crossings(best, neighbours);
  for (let sweep = 0; sweep < sweeps && fewest > 0; sweep++) {
    const side = sweep % 2 === 0 ? 'before' : 'after';
    const places = new Map(columns.flatMap((column) => column.map((id, index): [string, number] => [id, index])));
    for (const column of side === 'before' ? columns : [...columns].reverse()) {
      const mean = new Map(column.map((id) => [id, meanOf(neighbours.get(id)?.[side] ?? [], places) ?? places.get(id)!]));
      column.sort((a, b) => mean.get(a)! - mean.get(b)! || places.get(a)! - places.get(b)!);
      for (const [index, id] of column.entries()) places.set(id, index);
    }
    const now = crossings(columns, neighbours);
    if (now < fewest) {
      fewest = now;
      best = columns.map((column) => [...column]);
    }
  }
  for (const [index, column] of best.entries()) columns[index] = column;
}

function crossings(columns: readonly (readonly string[])[], neighbours: Columns['neighbours']): number {
  let sum = 0;
  for (const [index, column] of columns.entries()) {
    const next = new Map(columns[index + 1]?.map((id, place): [string, number] => [id, place]));
    const ends = column.flatMap((id) => (neighbours.get(id)?.after ?? []).map((to) => next.get(to)!).sort((a, b) => a - b));
    for (let left = 0; left < ends.length; left++) for (let right = left + 1; right < ends.length; right++) if (ends[left]! > ends[right]!) sum++;
  }
  return sum;
}

function meanOf(ids: readonly string[], values: ReadonlyMap<string, number>): number | undefined {
  return ids.length === 0 ? undefined : ids.reduce((sum, id) => sum + values.get(id)!, 0) / ids.length;
}

/** Each node at the height of its neighbours, as far as the order and the distance of its column allow. */
function rows(columns: readonly (readonly string[])[], neighbours: Columns['neighbours'], rowHeight: number): Map<string, number> {
  const ys = new Map(columns.flatMap((column) => column.map((id, index): [string, number] => [id, (index - (column.length - 1) / 2) * rowHeight])));
  for (let sweep = 0; sweep < sweeps; sweep++) {
    const side = sweep % 2 === 0 ? 'before' : 'after';
    for (const column of side === 'before' ? columns : [...columns].reverse()) {
      const wanted = column.map((id) => meanOf(neighbours.get(id)?.[side] ?? [], ys) ?? ys.get(id)!);
      for (const [index, y] of apartBy(wanted, rowHeight).entries()) ys.set(column[index]!, y);
    }
  }
  const top = Math.min(...ys.values());
  for (const [id, y] of ys) ys.set(id, y - top);
  return ys;
}

/** Nearest to what is wanted (least squares) with a distance between neighbours: pool adjacent violators. */
function apartBy(wanted: readonly number[], distance: number): number[] {
  const blocks: { sum: number; size: number }[] = [];
  for (const [index, value] of wanted.entries()) {
    let block = { sum: value - index * distance, size: 1 };
    for (let last = blocks.at(-1); last !== undefined && last.sum / last.size >= block.sum / block.size; last = blocks.at(-1)) {
      block = { sum: block.sum + last.sum, size: block.size + last.size };
      blocks.pop();
    }
    blocks.push(block);
  }
  return blocks.flatMap(({ sum, size }) => Array<number>(size).fill(sum / size)).map((value, index) => value + index * distance);
}

function columnsX(columns: readonly (readonly string[])[], widths: ReadonlyMap<string, number>, space: Space): { xs: Map<string, number>; width: number } {
  const wide = columns.map((column) => Math.max(0, ...column.map((id) => widths.get(id) ?? 0)));
  const sum = wide.reduce((total, width) => total + width, 0);
  const gap = Math.min(space.maxGap, Math.max(space.minGap, (space.width - sum) / Math.max(1, columns.length - 1)));
  const xs = new Map<string, number>();
  let x = 0;
  for (const [index, column] of columns.entries()) {
    for (const id of column) xs.set(id, x + wide[index]! / 2);
    x += wide[index]! + gap;
  }
  return { xs, width: Math.max(0, x - gap) };
}

/** Of a gap that an edge shares with others of the same end, the part in which it bends; in the rest it is alone with its label. */
const bend = 0.42;

function forwardEdge(points: readonly Point[], fromHalf: number, toHalf: number, degrees: { out: number; in: number }): { path: string; label: Point } {
  const stops = points.map(({ x, y }, index) => ({ x: x + (index === 0 ? fromHalf : index === points.length - 1 ? -toHalf : 0), y }));
  const fansOut = degrees.out > 1 && degrees.in === 1;
  const fansIn = degrees.in > 1 && degrees.out === 1;
  let path = `M${at(stops[0]!)}`;
  for (let index = 1; index < stops.length; index++) {
    const [a, b] = [stops[index - 1]!, stops[index]!];
    if (a.y === b.y) path += `L${at(b)}`;
    else if (index === 1 && fansOut) {
      const knee = { x: a.x + (b.x - a.x) * bend, y: b.y };
      path += `${curve(a, knee)}L${at(b)}`;
    } else if (index === stops.length - 1 && fansIn) {
      const knee = { x: b.x - (b.x - a.x) * bend, y: a.y };
      path += `L${at(knee)}${curve(knee, b)}`;
    } else path += curve(a, b);
  }
  const labelled = fansOut ? stops.length - 1 : 1;
  const [a, b] = [stops[labelled - 1]!, stops[labelled]!];
  const along = a.y === b.y ? 0.5 : fansOut ? 0.56 : fansIn ? 0.44 : 0.5;
  return { path, label: { x: a.x + (b.x - a.x) * along, y: fansOut ? b.y : fansIn ? a.y : (a.y + b.y) / 2 } };
}

/** From below to below: against the direction of the others, or to itself. */
function backEdge(from: Point | undefined, to: Point | undefined, nodeHeight: number): { path: string; label: Point } {
  if (from === undefined || to === undefined) return { path: '', label: { x: 0, y: 0 } };
  const spread = from.x === to.x && from.y === to.y ? 18 : 0;
  const [a, b] = [
    { x: from.x + spread, y: from.y + nodeHeight / 2 },
    { x: to.x - spread, y: to.y + nodeHeight / 2 },
  ];
  const low = Math.max(a.y, b.y) + backEdgeDrop;
  return { path: `M${at(a)}C${at({ x: a.x, y: low })} ${at({ x: b.x, y: low })} ${at(b)}`, label: { x: (a.x + b.x) / 2, y: low - 8 } };
}

function curve(a: Point, b: Point): string {
  const middle = (a.x + b.x) / 2;
  return `C${at({ x: middle, y: a.y })} ${at({ x: middle, y: b.y })} ${at(b)}`;
}

function at({ x, y }: Point): string {
  return `${Math.round(x * 10) / 10},${Math.round(y * 10) / 10}`;
}
