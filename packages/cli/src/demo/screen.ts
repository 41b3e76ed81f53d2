import type { TopRow } from '@outrigger/control-plane/api';
import { topTable } from '../commands/top.ts';
import { duration, milliseconds, percent, visibleLength } from '../output.ts';
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

export interface View {
  readonly dashboard: string;
  /** How `rig` is called for this mesh. */
  readonly rig: string;
  readonly rows: readonly TopRow[];
  /** How old the rows are. */
  readonly silentMs: number;
  readonly load: LoadReport;
  /** What happened lately. */
  readonly news: readonly string[];
  readonly experiments: readonly Experiment[];
}

/** Room that a terminal has. */
export interface Room {
  readonly columns: number;
  readonly rows: number;
}

/**
 * The whole screen: where the dashboard is, a line per service, what to try. As much as there is room for: the experiments
 * give up their explanations first, then the last lines go, since a screen that scrolls flickers.
 */
export function screen(view: View, room: Room): string[] {
  const { load, news } = view;
  const top = [
    'Outrigger demo: a shop of five services, every hop under mutual TLS. Dashboard:',
    view.dashboard,
    ...(room.rows < roomyRows ? [] : [`(opens once; ${view.rig} dashboard prints a new address)`, '']),
    ...topTable(view.rows)
      .split('\n')
      .map((line) => cut(line, room)),
    ...(view.silentMs < oldMs ? [] : [`The control plane does not answer: these figures are ${duration(view.silentMs)} old; the sidecars go on.`]),
    `load: ${load.requests} requests, ${load.failures} failed; p50 ${milliseconds(load.p50Ms)}, p99 ${milliseconds(load.p99Ms)} end to end since the start`,
    ...(load.lastFailure === '' ? [] : [cut(`last failure: ${load.lastFailure}`, room)]),
  ];
  const heading = 'To try, in another terminal, in this folder (Ctrl-C here ends everything):';
  const full = [
    ...top,
    ...news.map((line) => cut(line, room)),
    '',
    heading,
    ...view.experiments.flatMap(({ title, command, undo, look }, index) => [
      `${index + 1} ${title}`,
      `    ${command}`,
      `    undo: ${undo}`,
      `    see:  ${look}`,
    ]),
  ];
  if (height(full, room) <= room.rows) return full;
  const compact = [
    ...top,
    ...news.slice(-1).map((line) => cut(line, room)),
    heading,
    ...view.experiments.flatMap(({ name, command, undo }) => [`${name.padEnd(8)}${command}`, `  undo: ${undo}`]),
  ];
  while (height(compact, room) > room.rows) compact.pop();
  return compact;
}

/** A control plane that is busy for a moment is no news. */
const oldMs = 4000;
/** Fewer than these, and every line counts. */
const roomyRows = 30;

function height(lines: readonly string[], { columns }: Room): number {
  return lines.reduce((sum, line) => sum + Math.max(1, Math.ceil(visibleLength(line) / columns)), 0);
}

function cut(line: string, { columns }: Room): string {
  return line.length <= columns ? line : `${line.slice(0, columns - 3)}...`;
}

/** Draws over what is there, line by line: a terminal that is cleared first flickers. */
export function overdraw(lines: readonly string[]): string {
  return `\x1b[?25l\x1b[H${lines.map((line) => `${line}\x1b[K`).join('\r\n')}\x1b[J`;
}

export const showCursor = '\x1b[?25h';

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
