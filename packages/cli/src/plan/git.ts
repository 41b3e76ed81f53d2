import { execFileSync } from 'node:child_process';
import { statSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { CliError, ExitCode } from '../error.ts';
import { type ConfigFile, isConfigName, maxFileBytes } from '../files.ts';

const MAX_OUTPUT_BYTES = 512 * 1024 * 1024;
const TREE_MODES: ReadonlySet<string> = new Set(['100644', '100755']);

/** The configuration files of folders and files as they are in a revision of the repository that holds them. */
export function readRevision(revision: string, paths: readonly string[]): ConfigFile[] {
  return paths.flatMap((path) => {
    if (path === '-') throw new CliError('standard input has no revisions', { next: 'name a folder of the repository', exitCode: ExitCode.usage });
    const folder = statSync(path, { throwIfNoEntry: false })?.isDirectory() === true;
    const cwd = folder ? path : dirname(path);
    const commit = commitOf(revision, cwd);
    const entries = git(cwd, ['ls-tree', '-r', '-z', commit, '--', folder ? '.' : basename(path)], '')
      .toString('utf8')
      .split('\0')
      .flatMap((entry) => {
        const match = /^(\d+) blob ([0-9a-f]+)\t(.+)$/s.exec(entry);
        return match !== null && TREE_MODES.has(match[1]!) && (!folder || isConfig(match[3]!)) ? [{ object: match[2]!, name: match[3]! }] : [];
      });
    const texts = blobs(cwd, entries);
    return entries.map(({ name }, index) => ({ file: `${revision}:${join(cwd, name)}`, text: texts[index]! }));
  });
}

/** As in a folder that is read from the disk: hidden ones are left out. */
function isConfig(path: string): boolean {
  return isConfigName(path) && !path.split('/').some((part) => part.startsWith('.'));
}

function commitOf(revision: string, cwd: string): string {
  // An option it must not be taken for.
  if (revision.startsWith('-')) throw notThere(revision, cwd);
  try {
    return git(cwd, ['rev-parse', '--verify', '--quiet', '--end-of-options', `${revision}^{commit}`], '')
      .toString('utf8')
      .trim();
  } catch (cause) {
    if (cause instanceof CliError) throw cause;
    throw notThere(revision, cwd);
  }
}

function notThere(revision: string, cwd: string): CliError {
  return new CliError(`"${revision}" is no revision of the git repository that holds ${cwd}`, {
    where: cwd,
    next: 'give a commit, a branch or a tag; in CI fetch the branch first (git fetch origin main)',
    exitCode: ExitCode.usage,
  });
}

function blobs(cwd: string, entries: readonly { readonly object: string; readonly name: string }[]): string[] {
  if (entries.length === 0) return [];
  const output = git(cwd, ['cat-file', '--batch'], entries.map(({ object }) => `${object}\n`).join(''));
  let at = 0;
  return entries.map(({ name }) => {
    const end = output.indexOf(0x0a, at);
    const size = Number(/ blob (\d+)$/.exec(output.toString('latin1', at, end))?.[1]);
    if (!Number.isInteger(size)) throw new CliError(`git does not give ${name}`, { where: cwd });
    if (size > maxFileBytes) throw new CliError(`${name} has more than ${maxFileBytes / 1_048_576} MiB`, { where: name, next: 'split it' });
    at = end + 1 + size + 1;
    return output.toString('utf8', end + 1, end + 1 + size);
  });
}

function git(cwd: string, args: readonly string[], input: string): Buffer {
  try {
    return execFileSync('git', args, { cwd, input, maxBuffer: MAX_OUTPUT_BYTES, stdio: ['pipe', 'pipe', 'pipe'] });
  } catch (cause) {
    const { code, stderr } = cause as NodeJS.ErrnoException & { readonly stderr?: Buffer };
    if (code === 'ENOENT' && statSync(cwd, { throwIfNoEntry: false }) === undefined)
      throw new CliError(`${cwd} is no folder`, { where: cwd, next: 'name a folder of the repository', exitCode: ExitCode.usage });
    if (code === 'ENOENT') throw new CliError('git is not installed', { next: 'install git, or compare two folders with --from', cause });
    if (/not a git repository/.test(String(stderr)))
      throw new CliError(`${cwd} is in no git repository`, { where: cwd, next: 'compare two folders with --from', exitCode: ExitCode.usage });
    throw cause;
  }
}
