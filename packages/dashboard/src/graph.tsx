import type { GraphView } from '@outrigger/control-plane/api';
import cytoscape from 'cytoscape';
import { useEffect, useRef } from 'preact/hooks';
import { grade, milliseconds, percent } from './text.ts';

/** Who calls whom, now: an edge has its rate, success and p99, a lock where all of it is mTLS. */
export function Graph({ graph }: { graph: GraphView | undefined }) {
  const element = useRef<HTMLDivElement>(null);
  const drawing = useRef<cytoscape.Core | undefined>(undefined);
  const shape = useRef('');

  useEffect(() => {
    if (element.current === null) return;
    const core = cytoscape({ container: element.current, style: styles(), userZoomingEnabled: false, minZoom: 0.3, maxZoom: 1.6 });
    drawing.current = core;
    const observer = new ResizeObserver(() => {
      core.resize();
      core.fit(undefined, 30);
    });
    observer.observe(element.current);
    return () => {
      observer.disconnect();
      core.destroy();
    };
  }, []);

  useEffect(() => {
    const core = drawing.current;
    if (core === undefined || graph === undefined) return;
    const wanted = new Set([...graph.nodes.map(({ id }) => id), ...graph.edges.map(edgeId)]);
    core.batch(() => {
      for (const present of core.elements()) if (!wanted.has(present.id())) present.remove();
      for (const { id, service, version } of graph.nodes) {
        if (core.getElementById(id).empty()) core.add({ group: 'nodes', data: { id, label: version === '' ? service : `${service}\n${version}` } });
      }
      for (const edge of graph.edges) {
        const data = {
          id: edgeId(edge),
          source: edge.from,
          target: edge.to,
          label: `${edge.mtlsRatio === 1 ? '\u{1F512} ' : ''}${edge.requestsPerSecond.toFixed(1)}/s  ${percent(edge.successRatio)}  p99 ${milliseconds(edge.p99Ms)}`,
          grade: grade(edge.successRatio),
          width: 1.5 + Math.min(5, Math.log2(1 + edge.requestsPerSecond) / 1.5),
        };
        const present = core.getElementById(data.id);
        if (present.empty()) core.add({ group: 'edges', data });
        else present.data(data);
      }
    });
    // Laid out anew only when a node or an edge came or went: a graph that jumps cannot be read.
    const now = [...wanted].sort().join();
    if (now !== shape.current) {
      shape.current = now;
      const roots = core
        .nodes()
        .filter((node) => node.indegree(false) === 0)
        .map((node) => node.id());
      core
        .layout({
          name: 'breadthfirst',
          directed: true,
          roots,
          spacingFactor: 1.35,
          padding: 30,
          animate: false,
          transform: (_node, { x, y }) => ({ x: y * 2.2, y: x }),
        })
        .run();
      core.fit(undefined, 30);
    }
  }, [graph]);

  return (
    <section class="card">
      <h2>Who calls whom, in the last {Math.round((graph?.windowMs ?? 10_000) / 1000)} s</h2>
      <div class="graph" ref={element} />
      {graph !== undefined && graph.edges.length === 0 && <p class="quiet">No traffic seen yet.</p>}
    </section>
  );
}

function edgeId({ from, to }: { from: string; to: string }): string {
  return `${from} -> ${to}`;
}

function styles(): cytoscape.StylesheetJson {
  const style = getComputedStyle(document.documentElement);
  const dark = matchMedia('(prefers-color-scheme: dark)').matches;
  const colour = (name: string): string => {
    const value = style.getPropertyValue(name).trim();
    const pair = /^light-dark\((#\w+),\s*(#\w+)\)$/.exec(value);
    return pair === null ? value : ((dark ? pair[2] : pair[1]) ?? value);
  };
  const text = colour('--text');
  return [
    {
      selector: 'node',
      style: {
        label: 'data(label)',
        'text-wrap': 'wrap',
        'text-valign': 'center',
        'text-halign': 'center',
        shape: 'round-rectangle',
        width: 130,
        height: 44,
        'background-color': colour('--ground'),
        'border-width': 1.5,
        'border-color': colour('--accent'),
        color: text,
        'font-size': 13,
      },
    },
    {
      selector: 'edge',
      style: {
        label: 'data(label)',
        'font-size': 10,
        color: text,
        'text-background-color': colour('--card'),
        'text-background-opacity': 0.9,
        'text-background-padding': '2px',
        'curve-style': 'bezier',
        'target-arrow-shape': 'triangle',
        width: 'data(width)',
        'line-color': colour('--quiet'),
        'target-arrow-color': colour('--quiet'),
      },
    },
    ...(['good', 'warn', 'bad'] as const).map((name) => ({
      selector: `edge[grade = "${name}"]`,
      style: { 'line-color': colour(`--${name}`), 'target-arrow-color': colour(`--${name}`) },
    })),
  ];
}
