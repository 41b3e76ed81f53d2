import type { TopRow } from '@outrigger/control-plane/api';
import { useEffect, useRef } from 'preact/hooks';
import uPlot from 'uplot';

const colours = ['#2f6fde', '#d9722e', '#2a9d6f', '#b3478f', '#8a6d1c', '#5c6bc0', '#c0392b', '#3a8fb7'];
/** Samples kept: three minutes at one in about a second. */
const maxSamples = 180;

/** Requests a second of each service over the last minutes, gathered while the page is open. */
export function Rates({ rows }: { rows: readonly TopRow[] }) {
  const element = useRef<HTMLDivElement>(null);
  const samples = useRef<{ atSeconds: number; rates: Map<string, number> }[]>([]);
  const plot = useRef<{ chart: uPlot; names: string } | undefined>(undefined);

  useEffect(() => {
    if (element.current === null || rows.length === 0) return;
    const rates = new Map<string, number>();
    for (const { service, version, requestsPerSecond } of rows) rates.set(version === '' ? service : `${service} ${version}`, requestsPerSecond);
    samples.current.push({ atSeconds: Date.now() / 1000, rates });
    if (samples.current.length > maxSamples) samples.current.shift();
    const names = [...new Set(samples.current.flatMap((sample) => [...sample.rates.keys()]))].sort();
    const data: uPlot.AlignedData = [
      samples.current.map(({ atSeconds }) => atSeconds),
      ...names.map((name) => samples.current.map((sample) => sample.rates.get(name) ?? null)),
    ];
    if (plot.current?.names !== names.join()) {
      plot.current?.chart.destroy();
      const quiet = getComputedStyle(element.current).color;
      const chart = new uPlot(
        {
          width: element.current.clientWidth || 800,
          height: 220,
          scales: { y: { range: (_chart, _low, high) => [0, Math.max(1, high * 1.1)] } },
          axes: [{ stroke: quiet }, { stroke: quiet, values: (_chart, ticks) => ticks.map((tick) => `${tick}/s`) }],
          series: [{}, ...names.map((label, index) => ({ label, stroke: colours[index % colours.length] ?? quiet, width: 1.5 }))],
        },
        data,
        element.current,
      );
      plot.current = { chart, names: names.join() };
    } else plot.current.chart.setData(data);
  }, [rows]);

  useEffect(() => () => plot.current?.chart.destroy(), []);

  return (
    <section class="card">
      <h2>Requests a second</h2>
      <div class="quiet" ref={element} />
    </section>
  );
}
