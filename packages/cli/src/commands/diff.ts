import type { DiffView, ResourceChange } from '@outrigger/control-plane/api';
import { refText } from '@outrigger/resources';
import { apiOf } from '../api/control-plane.ts';
import { CliError, ExitCode } from '../error.ts';
import { type OutputFormat, printJson } from '../output.ts';
import { revisionNumber } from '../revision.ts';
import { diffOfFiles } from './apply.ts';

export interface DiffOptions {
  readonly from: string | undefined;
  readonly to: string | undefined;
  readonly filename?: string[];
  readonly namespace: string;
  readonly output: OutputFormat;
  readonly state: string;
}

/** Of files and what is in force, or of two revisions. Exit code 1 where there is a difference. */
export async function diff({ from, to, filename, ...options }: DiffOptions): Promise<void> {
  if (filename !== undefined && from !== undefined)
    throw new CliError('files and revisions are compared each for themselves', {
      next: '`rig diff -f FILE` or `rig diff FROM [TO]`',
      exitCode: ExitCode.usage,
    });
  if (filename !== undefined) return diffOfFiles({ ...options, filename });
  if (from === undefined)
    throw new CliError('what to compare is not said', {
      next: '`rig diff -f FILE` or `rig diff FROM [TO]`, with revisions of `rig history`',
      exitCode: ExitCode.usage,
    });
  const query = new URLSearchParams({ from: revisionNumber(from), ...(to === undefined ? {} : { to: revisionNumber(to) }) });
  const view = await apiOf(options.state).get<DiffView>(`/diff?${query}`);
  if (options.output === 'json') printJson(view);
  else if (view.changes.length === 0) console.log('no difference');
  else for (const change of view.changes) console.log(changeText(change));
  process.exitCode = view.changes.length > 0 ? ExitCode.failed : ExitCode.ok;
}

/** As `rig diff -f` shows one. */
export function changeText(change: ResourceChange): string {
  return `${refText(change)} ${change.change}\n${change.diff ?? ''}`.trimEnd();
}
