import type { TopRow } from '@outrigger/control-plane/api';
import { apiOf } from '../api/control-plane.ts';
import { milliseconds, type OutputFormat, percent, printJson, table } from '../output.ts';

const refreshMs = 1000;

/** A line per service, refreshed each second until Ctrl-C; once with --once, with -o json, or where there is no terminal. */
export async function top(options: { once?: boolean; output: OutputFormat; state: string }): Promise<void> {
  const api = apiOf(options.state);
  const rows = (): Promise<TopRow[]> => api.get<TopRow[]>('/top?windowMs=10000');
  if (options.output === 'json') return printJson(await rows());
  if (options.once || !process.stdout.isTTY) {
    console.log(topTable(await rows()));
    return;
  }
  process.stdout.write('\x1b[2J');
  for (;;) {
    const text = topTable(await rows());
    process.stdout.write(`\x1b[H${text.split('\n').join('\x1b[K\n')}\x1b[K\n\x1b[J`);
    await new Promise((resolve) => setTimeout(resolve, refreshMs));
  }
}

export function topTable(rows: readonly TopRow[]): string {
  if (rows.length === 0) return 'no traffic yet';
  return table(
    ['SERVICE', 'VER', 'INST', 'RATE', 'SUCCESS', 'P50', 'P99', 'MTLS', 'BREAKER'],
    rows.map((row) => [
      row.namespace === 'default' ? row.service : `${row.service}.${row.namespace}`,
      row.version || '-',
      row.instances,
      `${row.requestsPerSecond.toFixed(1)}/s`,
      percent(row.successRatio),
      milliseconds(row.p50Ms),
      milliseconds(row.p99Ms),
      percent(row.mtlsRatio),
      breakerText(row.breaker),
    ]),
  );
}

function breakerText({ open, halfOpen, endpoints }: TopRow['breaker']): string {
  if (open === 0 && halfOpen === 0) return 'closed';
  return [open > 0 && `${open} of ${endpoints} open`, halfOpen > 0 && `${halfOpen} half-open`].filter(Boolean).join(', ');
}
