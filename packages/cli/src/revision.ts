import { CliError, ExitCode } from './error.ts';

/** A revision of the configuration as somebody wrote it. */
export function revisionNumber(text: string): string {
  if (/^\d{1,16}$/.test(text)) return text;
  throw new CliError(`"${text}" is no revision`, { next: 'give its number; `rig history` lists them', exitCode: ExitCode.usage });
}
