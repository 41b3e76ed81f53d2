import type { TopRow } from '@outrigger/control-plane/api';
import { topTable } from '../commands/top.ts';
import { milliseconds, percent } from '../output.ts';
import type { Experiment } from './experiments.ts';

/** What the load says of itself, once a second. */
export interface LoadReport {
  readonly requests: number;
  readonly failures: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly lastFailure: string;
}

export const noLoadYet: LoadReport = { requests: 0, failures: 0, p50Ms: 0, p99Ms: 0, lastFailure: '' };

/** Parses one line of the load's output; undefined where it is no report. */
export function loadReport(line: string): LoadReport | undefined {
  try {
    const report: unknown = JSON.parse(line);
    return typeof report === 'object' && report !== null && 'requests' in report && 'failures' in report ? (report as LoadReport) : undefined;
  } catch {
    return undefined;
  }
}

/** The whole screen: where the dashboard is, a line per service, what to try. */
export function screen(view: {
  dashboard: string;
  rows: readonly TopRow[];
  load: LoadReport;
  /** What happened lately. */
  news: readonly string[];
  experiments: readonly Experiment[];
}): string {
  const { load } = view;
  return [
    `Outrigger demo: a shop of five services, every hop under mTLS.   Dashboard: ${view.dashboard}`,
    '',
    topTable(view.rows),
    '',
    `load: ${load.requests} requests, ${load.failures} failed, p50 ${milliseconds(load.p50Ms)}, p99 ${milliseconds(load.p99Ms)} through the whole chain${load.lastFailure === '' ? '' : `; last failure: ${load.lastFailure}`}`,
    ...view.news,
    '',
    'To try, in another terminal:',
    ...view.experiments.map(({ title, command, undo, look }, index) => `${index + 1}. ${title}\n     ${command}\n     undo: ${undo}\n     see:  ${look}`),
    '',
    'Ctrl-C ends all of it.',
  ].join('\n');
}

/** Of all hops, those under mutual TLS; null where none was counted. */
export function mtlsShare(rows: readonly TopRow[]): number | null {
  const known = rows.filter(({ mtlsRatio }) => mtlsRatio !== null);
  const rate = known.reduce((sum, row) => sum + row.requestsPerSecond, 0);
  return rate === 0 ? null : known.reduce((sum, row) => sum + row.requestsPerSecond * (row.mtlsRatio ?? 0), 0) / rate;
}

/** The last line of a run without a terminal. */
export function summary(load: LoadReport, mtls: number | null): string {
  return `requests=${load.requests} failures=${load.failures} p50Ms=${load.p50Ms} p99Ms=${load.p99Ms} mtls=${mtls === null ? 'unknown' : percent(mtls).replace(' ', '')}`;
}
