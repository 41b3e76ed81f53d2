/** What a person is told when a command cannot do what was asked: what happened, where, what to do next. */
export class CliError extends Error {
  override readonly name = 'CliError';
  readonly where: string;
  readonly next: string;
  readonly exitCode: number;

  constructor(what: string, options: { where?: string; next?: string; exitCode?: number; cause?: unknown } = {}) {
    super(what, options.cause === undefined ? undefined : { cause: options.cause });
    this.where = options.where ?? '';
    this.next = options.next ?? '';
    this.exitCode = options.exitCode ?? ExitCode.failed;
  }
}

/** Exit codes of every command (docs/cli.md). */
export const ExitCode = {
  /** Done. */
  ok: 0,
  /** It ran, and the answer is no: refused, failed checks, messages at the level asked about. */
  failed: 1,
  /** The command line is not one that rig knows. */
  usage: 2,
  /** No control plane answers. */
  unreachable: 3,
  /** A wait ended before what it waited for. */
  timeout: 4,
  /** There was nothing to judge by: neither yes nor no. */
  undecided: 5,
} as const;

export function describe(error: unknown): string {
  if (error instanceof CliError)
    return [error.message, error.where && `  where: ${error.where}`, error.next && `  next:  ${error.next}`].filter(Boolean).join('\n');
  if (error instanceof Error) return process.env['RIG_DEBUG'] ? (error.stack ?? error.message) : error.message;
  return String(error);
}
