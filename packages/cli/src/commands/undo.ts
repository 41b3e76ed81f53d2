import type { UndoResult } from '@outrigger/control-plane/api';
import { refText } from '@outrigger/resources';
import { ApiFailure } from '../api/client.ts';
import { apiOf } from '../api/control-plane.ts';
import { messageLine } from '../messages.ts';
import { type OutputFormat, printJson } from '../output.ts';
import { revisionNumber } from '../revision.ts';
import { printWait, waitExitCode, waitFor, waitSeconds } from './apply.ts';
import { changeText } from './diff.ts';

export interface UndoOptions {
  readonly revision: string | undefined;
  readonly wait?: boolean | string;
  readonly dryRun?: boolean;
  readonly output: OutputFormat;
  readonly state: string;
}

/** A former state of the configuration, as a new revision. */
export async function undo(options: UndoOptions): Promise<void> {
  const api = apiOf(options.state);
  const seconds = waitSeconds(options.wait);
  const dryRun = options.dryRun === true;
  const body = { ...(options.revision === undefined ? {} : { revision: revisionNumber(options.revision) }), dryRun };
  let result: UndoResult;
  try {
    result = await api.post<UndoResult>('/undo', body);
  } catch (error) {
    if (error instanceof ApiFailure && error.status === 422 && options.output === 'text')
      for (const message of error.messages) console.error(messageLine(message));
    throw error;
  }
  const waited = seconds !== undefined && !dryRun && result.changes.length > 0 ? await waitFor(api, result.revision, seconds) : undefined;
  if (options.output === 'json') printJson(waited ? { ...result, wait: waited } : result);
  else {
    for (const message of result.messages) console.error(messageLine(message));
    for (const change of result.changes) console.log(dryRun ? changeText(change) : `${refText(change)} ${change.change}`);
    if (result.changes.length === 0) console.log(`nothing to undo: the configuration is as it was after revision ${result.to}`);
    else if (!dryRun) console.log(`revision ${result.revision}: as it was after revision ${result.to}`);
    if (waited) printWait(waited);
  }
  if (waited) process.exitCode = waitExitCode(waited);
}
