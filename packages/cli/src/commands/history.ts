import type { ResourceChange, RevisionView } from '@outrigger/control-plane/api';
import { refText } from '@outrigger/resources';
import { apiOf } from '../api/control-plane.ts';
import { CliError, ExitCode } from '../error.ts';
import { kindAndName } from '../kinds.ts';
import { type OutputFormat, printJson, table } from '../output.ts';

export interface HistoryOptions {
  readonly kind: string | undefined;
  readonly name: string | undefined;
  readonly namespace?: string;
  readonly limit: string;
  readonly output: OutputFormat;
  readonly state: string;
}

const MAX_LIMIT = 1_000;
/** More would make of a table a wall; `-o json` has them all. */
const MAX_NAMED = 3;

export async function history(options: HistoryOptions): Promise<void> {
  const limit = Number(options.limit);
  if (!Number.isInteger(limit) || limit < 1 || limit > MAX_LIMIT)
    throw new CliError(`--limit ${options.limit}: no number of revisions`, { next: `a whole number from 1 to ${MAX_LIMIT}`, exitCode: ExitCode.usage });
  const { kind, name } = kindAndName(options.kind, options.name);
  const query = new URLSearchParams({ limit: String(limit) });
  if (kind !== undefined) query.set('kind', kind);
  if (name !== undefined) query.set('name', name);
  if (options.namespace !== undefined) query.set('namespace', options.namespace);
  const revisions = await apiOf(options.state).get<RevisionView[]>(`/history?${query}`);
  if (options.output === 'json') return printJson(revisions);
  console.log(revisions.length === 0 ? 'no revision' : historyTable(revisions));
}

export function historyTable(revisions: readonly RevisionView[]): string {
  return table(
    ['REVISION', 'WHEN', 'BY', 'HOW', 'CHANGES'],
    revisions.map(({ revision, timeMs, by, how, changes }) => [
      revision,
      `${new Date(timeMs).toISOString().slice(0, 19)}Z`,
      by || '-',
      how || '-',
      changesText(changes),
    ]),
  );
}

const MARKS: Readonly<Record<ResourceChange['change'], string>> = { created: '+', configured: '~', deleted: '-' };

function changesText(changes: readonly ResourceChange[]): string {
  const named = changes.slice(0, MAX_NAMED).map((change) => `${MARKS[change.change]}${refText(change)}`);
  return [...named, ...(changes.length > MAX_NAMED ? [`and ${changes.length - MAX_NAMED} more`] : [])].join(', ');
}
