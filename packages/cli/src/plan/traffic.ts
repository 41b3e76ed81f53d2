import { readFileSync, statSync } from 'node:fs';
import type { RequestSamplesView } from '@outrigger/control-plane/api';
import type { MeshView } from '@outrigger/control-plane/mesh-view';
import { durationMs } from '@outrigger/resources';
import type { ApiClient } from '../api/client.ts';
import { CliError, ExitCode } from '../error.ts';
import type { Traffic } from './replay.ts';

const MIN_AGE_MS = 1_000;
/** As long as the control plane keeps them. */
const MAX_AGE_MS = 86_400_000;
const MAX_FILE_BYTES = 256 * 1024 * 1024;
const FORMAT = 'outrigger-traffic/1';

/** "90s", "15m", "1h30m"; undefined: no time that requests are kept for. */
export function ageMsOf(text: string): number | undefined {
  const ms = durationMs(text);
  return ms !== undefined && ms >= MIN_AGE_MS && ms <= MAX_AGE_MS ? Math.round(ms) : undefined;
}

/** What was seen in the last so many milliseconds. */
export async function trafficOf(api: ApiClient, view: MeshView, ageMs: number, nowMs: number): Promise<Traffic> {
  const { windows } = await api.get<RequestSamplesView>(`/request-samples?sinceMs=${nowMs - ageMs}`, 30_000);
  return { windows, nodes: view.proxies.map(({ node }) => node) };
}

/** For a replay elsewhere, in CI for instance. */
export function trafficText(traffic: Traffic): string {
  return `${JSON.stringify({ format: FORMAT, ...traffic })}\n`;
}

export function readTraffic(path: string): Traffic {
  const refuse = (what: string): CliError =>
    new CliError(`--replay ${path}: ${what}`, {
      where: path,
      next: 'give a time up to 24h ("90s", "15m", "1h"), or a file that `rig plan --replay 1h --save-replay FILE` wrote',
      exitCode: ExitCode.usage,
    });
  const stat = statSync(path, { throwIfNoEntry: false });
  if (stat?.isFile() !== true) throw refuse('neither a time nor a file');
  if (stat.size > MAX_FILE_BYTES) throw refuse(`larger than ${MAX_FILE_BYTES / 1_048_576} MiB`);
  let read: Partial<Traffic> & { readonly format?: unknown };
  try {
    read = JSON.parse(readFileSync(path, 'utf8')) as typeof read;
  } catch {
    throw refuse('no JSON');
  }
  const { format, windows, nodes } = read ?? {};
  if (format !== FORMAT || !Array.isArray(windows) || !Array.isArray(nodes)) throw refuse('not a file of replay');
  return { windows, nodes };
}
