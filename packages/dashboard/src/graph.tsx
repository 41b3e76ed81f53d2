import type { GraphView, TopRow } from '@outrigger/control-plane/api';
import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import { type Edge, edgeKey, rowKey } from './history.ts';
import { layOut, type Point } from './layout.ts';
import { count, gradeOfMtls, gradeOfSuccess, milliseconds, percent, perSecond, serviceName, unknown } from './text.ts';

type Node = GraphView['nodes'][number];

const nodeHeight = 46;
const frame = 20;
const space = { nodeHeight, rowHeight: 104, minGap: 116, maxGap: 190 };
/** Smaller than this nothing can be read: the picture scrolls instead. */
const smallestScale = 0.62;
const largestScale = 1.35;
/** With more edges than this their labels are their rate alone. */
const maxFullLabels = 40;

/** Who calls whom, now. The layout changes only when a node or an edge comes or goes. */
export function Graph({ graph, edges, rows }: { graph: GraphView; edges: readonly Edge[]; rows: readonly TopRow[] }) {
  const [frameElement, size] = useSize();
  const [chosen, setChosen] = useState<string | undefined>(undefined);
  const details = new Map(rows.map((row) => [rowKey(row), row]));
  const called = new Set(edges.map(({ to }) => to));
  const texts = graph.nodes.map((node) => {
    const row = details.get(rowKey(node));
    return { node, row, text: nodeText(node, row, called.has(node.id)) };
  });
  const boxes = texts.map(({ node, text }) => ({
    id: node.id,
    width: Math.max(64, Math.ceil(Math.max(widthOf(text.name, 'name'), widthOf(text.detail, 'detail'))) + 24),
  }));
  const shape = JSON.stringify([boxes, edges.map(edgeKey).sort(), size.width]);
  // `shape` is what of them the layout depends on.
  const layout = useMemo(
    () =>
      layOut(
        boxes,
        [...edges].sort((a, b) => (edgeKey(a) < edgeKey(b) ? -1 : 1)),
        { ...space, width: Math.max(0, size.width - 2 * frame) },
      ),
    [shape],
  );
  const sorted = [...edges].sort((a, b) => (edgeKey(a) < edgeKey(b) ? -1 : 1));
  const names = new Map(texts.map(({ node, text }) => [node.id, `${text.name} ${node.version}`.trim()]));
  const width = layout.width + 2 * frame;
  const height = layout.height + 2 * frame + 26;
  const scale = Math.min(largestScale, Math.max(smallestScale, Math.min(size.width / width, size.height / height)));
  const near =
    chosen === undefined
      ? undefined
      : new Set([chosen, ...edges.filter(({ from, to }) => from === chosen || to === chosen).flatMap(({ from, to }) => [from, to])]);

  return (
    <div class="graph" ref={frameElement}>
      {/* biome-ignore lint/a11y/useSemanticElements: no element of HTML groups parts of a picture */}
      <svg
        class="picture"
        width={width * scale}
        height={height * scale}
        viewBox={`${-frame} ${-frame} ${width} ${height}`}
        role="group"
        aria-label="Who calls whom"
      >
        <defs>
          {(['plain', 'good', 'warn', 'bad', 'unknown'] as const).map((grade) => (
            <marker
              key={grade}
              id={`head-${grade}`}
              class={`head ${grade}`}
              viewBox="0 0 8 8"
              refX="7"
              refY="4"
              markerWidth="7"
              markerHeight="7"
              markerUnits="userSpaceOnUse"
              orient="auto"
            >
              <polygon points="0,0 8,4 0,8" />
            </marker>
          ))}
        </defs>
        {layout.apartY !== undefined && edges.length > 0 && (
          <text class="apart" x="0" y={layout.apartY - 14}>
            No request in the last 10 s
          </text>
        )}
        {sorted.map((edge, index) => {
          const drawn = layout.edges[index];
          if (drawn === undefined) return null;
          const away = near !== undefined && edge.from !== chosen && edge.to !== chosen;
          return (
            <EdgeLine key={edgeKey(edge)} edge={edge} names={names} path={drawn.path} label={drawn.label} away={away} full={edges.length <= maxFullLabels} />
          );
        })}
        {texts.map(({ node, row, text }, index) => {
          const place = layout.nodes.get(node.id);
          if (place === undefined) return null;
          return (
            <NodeBox
              key={node.id}
              node={node}
              text={text}
              row={row}
              place={place}
              width={boxes[index]?.width ?? 0}
              away={near !== undefined && !near.has(node.id)}
              choose={setChosen}
            />
          );
        })}
      </svg>
    </div>
  );
}

interface NodeText {
  readonly name: string;
  readonly detail: string;
}

function nodeText(node: Node, row: TopRow | undefined, called: boolean): NodeText {
  if (node.service === '') return { name: node.id, detail: called ? 'no service of the mesh' : 'no sidecar' };
  const instances = row === undefined ? (called ? 'not reached' : 'calls only') : row.instances === 0 ? 'no instance' : count(row.instances, 'instance');
  return { name: serviceName(node), detail: [node.version, instances].filter(Boolean).join(' \u00b7 ') };
}

function NodeBox(props: {
  node: Node;
  text: NodeText;
  row: TopRow | undefined;
  place: Point;
  width: number;
  away: boolean;
  choose: (id: string | undefined) => void;
}) {
  const { node, text, row, place, width, away, choose } = props;
  const { open = 0, halfOpen = 0, endpoints = 0 } = row?.breaker ?? {};
  const grade = open > 0 ? 'bad' : halfOpen > 0 ? 'warn' : '';
  const breaker = open > 0 ? `breaker: ${open} of ${endpoints} open` : halfOpen > 0 ? `breaker: ${halfOpen} half-open` : '';
  const known = row !== undefined;
  const content = (
    <>
      <rect x={-width / 2} y={-nodeHeight / 2} width={width} height={nodeHeight} rx="8" />
      <text class="name" y="-4">
        {text.name}
      </text>
      <text class="detail" y="13">
        {text.detail}
      </text>
      {breaker !== '' && (
        <text class={`detail ${grade}`} y={nodeHeight / 2 + 15}>
          {breaker}
        </text>
      )}
    </>
  );
  const events = {
    onMouseEnter: () => choose(node.id),
    onMouseLeave: () => choose(undefined),
    onFocusIn: () => choose(node.id),
    onFocusOut: () => choose(undefined),
  };
  return (
    <g class={`node ${grade} ${away ? 'away' : ''} ${known ? '' : 'caller'}`} transform={`translate(${place.x},${place.y})`} {...events}>
      {known ? (
        <a href={`#services/${serviceId(node)}`} aria-label={[text.name, text.detail, breaker].filter(Boolean).join(', ')}>
          {content}
        </a>
      ) : (
        content
      )}
    </g>
  );
}

function EdgeLine(props: { edge: Edge; names: ReadonlyMap<string, string>; path: string; label: Point; away: boolean; full: boolean }) {
  const { edge, names, path, label, away, full } = props;
  const quiet = edge.requestsPerSecond === 0;
  const success = gradeOfSuccess(edge.successRatio);
  const line = quiet ? 'unknown' : success === 'good' ? 'plain' : success;
  const inWords = `${names.get(edge.from)} to ${names.get(edge.to)}: ${describe(edge)}`;
  return (
    // biome-ignore lint/a11y/noInteractiveElementToNoninteractiveRole: nothing in it can be operated
    <g class={`edge ${line} ${away ? 'away' : ''}`} role="img" aria-label={inWords} data-edge={edgeKey(edge)}>
      <title>{inWords}</title>
      <path d={path} stroke-width={quiet ? 1.25 : 1.5 + Math.min(3.5, Math.log10(1 + edge.requestsPerSecond))} marker-end={`url(#head-${line})`} />
      {quiet ? (
        <text x={label.x} y={label.y - 7}>
          no request
        </text>
      ) : (
        <text x={label.x} y={label.y}>
          <tspan x={label.x} dy={full ? -8 : -7}>
            <tspan class="rate">{perSecond(edge.requestsPerSecond)}</tspan>
            {full && <tspan class={success}>{`  ${percent(edge.successRatio)}`}</tspan>}
          </tspan>
          {full && (
            <>
              <tspan x={label.x} dy="23">{`p50 ${milliseconds(edge.p50Ms)}`}</tspan>
              <tspan x={label.x} dy="13">{`p99 ${milliseconds(edge.p99Ms)}`}</tspan>
              <tspan x={label.x} dy="13" class={gradeOfMtls(edge.mtlsRatio)}>
                {edge.mtlsRatio === null ? 'mTLS unknown' : `mTLS ${percent(edge.mtlsRatio)}`}
              </tspan>
            </>
          )}
        </text>
      )}
    </g>
  );
}

/** An edge in words. */
export function describe(edge: Edge): string {
  if (edge.requestsPerSecond === 0) return 'no request in the last 10 s';
  const known = (text: string): string => (text === unknown ? 'not known' : text);
  return [
    `${perSecond(edge.requestsPerSecond)}`,
    `success ${known(percent(edge.successRatio))}`,
    `p50 ${known(milliseconds(edge.p50Ms))}`,
    `p99 ${known(milliseconds(edge.p99Ms))}`,
    `mutual TLS ${known(percent(edge.mtlsRatio))}`,
  ].join(', ');
}

export function serviceId({ service, namespace }: { service: string; namespace: string }): string {
  return `${service}.${namespace}`;
}

/** An element, and how large it is now. */
function useSize(): [ref: { current: HTMLDivElement | null }, size: { width: number; height: number }] {
  const element = useRef<HTMLDivElement>(null);
  const [size, setSize] = useState({ width: 0, height: 0 });
  useEffect(() => {
    if (element.current === null) return;
    const observer = new ResizeObserver(([entry]) => {
      if (entry !== undefined) setSize({ width: Math.floor(entry.contentRect.width), height: Math.floor(entry.contentRect.height) });
    });
    observer.observe(element.current);
    return () => observer.disconnect();
  }, []);
  return [element, size];
}

const fonts = { name: '600 13px', detail: '400 11.5px' };
let pen: CanvasRenderingContext2D | null | undefined;
const measured = new Map<string, number>();

/** As the page's own font has it. */
function widthOf(text: string, kind: keyof typeof fonts): number {
  const key = `${kind} ${text}`;
  const before = measured.get(key);
  if (before !== undefined) return before;
  pen ??= document.createElement('canvas').getContext('2d');
  if (pen === null || pen === undefined) return text.length * 8;
  pen.font = `${fonts[kind]} ${getComputedStyle(document.body).fontFamily}`;
  const { width } = pen.measureText(text);
  measured.set(key, width);
  return width;
}
