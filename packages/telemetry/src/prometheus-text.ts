import { Histogram } from './histogram.ts';
import type { MetricFamily, MetricRegistry } from './metrics.ts';

export const PROMETHEUS_CONTENT_TYPE = 'text/plain; version=0.0.4; charset=utf-8';

/** 'edges': the family's own edges (Istio's). 'fine': each filled bucket, for one who works out quantiles. */
export type BucketDetail = 'edges' | 'fine';

function escapeLabel(value: string): string {
  return /[\\"\n]/.test(value) ? value.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n') : value;
}

function labelText(names: readonly string[], values: readonly string[]): string {
  let text = '';
  for (let i = 0; i < names.length; i++) text += `${i === 0 ? '' : ','}${names[i]}="${escapeLabel(values[i]!)}"`;
  return text;
}

function numberText(value: number): string {
  if (value === Number.POSITIVE_INFINITY) return '+Inf';
  return value === Number.NEGATIVE_INFINITY ? '-Inf' : String(value);
}

function histogramLines(name: string, labels: string, histogram: Histogram, detail: BucketDetail): string {
  const prefix = labels === '' ? '' : `${labels},`;
  let text = '';
  if (detail === 'edges') {
    histogram.edges.forEach((edge, index) => {
      text += `${name}_bucket{${prefix}le="${edge}"} ${histogram.cumulative(index)}\n`;
    });
  } else {
    let cumulative = 0;
    for (const [upper, count] of histogram.filled()) {
      cumulative += count;
      text += `${name}_bucket{${prefix}le="${upper}"} ${cumulative}\n`;
    }
  }
  const braces = labels === '' ? '' : `{${labels}}`;
  return `${text}${name}_bucket{${prefix}le="+Inf"} ${histogram.count}\n${name}_sum${braces} ${numberText(histogram.sum)}\n${name}_count${braces} ${histogram.count}\n`;
}

function familyText(family: MetricFamily<{ readonly value: number } | Histogram>, detail: BucketDetail): string {
  let lines = '';
  for (const { labels, metric } of family.series()) {
    const text = labelText(family.labelNames, labels);
    if (metric instanceof Histogram) {
      if (metric.count > 0) lines += histogramLines(family.name, text, metric, detail);
    } else lines += `${family.name}${text === '' ? '' : `{${text}}`} ${numberText(metric.value)}\n`;
  }
  if (lines === '') return '';
  const help = family.help.replaceAll('\\', '\\\\').replaceAll('\n', '\\n');
  return `# HELP ${family.name} ${help}\n# TYPE ${family.name} ${family.kind}\n${lines}`;
}

/** All metrics as Prometheus text (exposition format 0.0.4). Histograms without a value are left out. */
export function writePrometheus(registry: MetricRegistry, detail: BucketDetail = 'edges'): string {
  let text = '';
  for (const family of registry.families()) text += familyText(family, detail);
  return text;
}
