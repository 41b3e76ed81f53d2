import { availableParallelism } from 'node:os';
import { CliError, ExitCode } from '../error.ts';

/** More than any machine has cores for. */
const maxWorkers = 256;

/** Processes of a proxy: a number, or "auto" for one a core. */
export function parseConcurrency(text: string): number {
  const count = text === 'auto' ? availableParallelism() : Number(text);
  if (text.trim() === '' || !Number.isInteger(count) || count < 1 || count > maxWorkers)
    throw new CliError(`--concurrency ${text}: no number of processes`, { next: `1 to ${maxWorkers}, or auto for one a core`, exitCode: ExitCode.usage });
  return count;
}
