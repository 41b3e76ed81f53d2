import { closeSync, fstatSync, openSync, readdirSync, readFileSync, readSync, realpathSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { CliError, ExitCode } from './error.ts';

/** A configuration file above this is refused unread: the largest object of etcd is 1.5 MiB. */
export const maxFileBytes = 16 * 1024 * 1024;
const maxFiles = 10_000;

export interface ConfigFile {
  readonly file: string;
  readonly text: string;
}

/** Reads files, folders (each .yaml, .yml and .json below) and "-" for standard input. */
export function readConfigFiles(paths: readonly string[]): ConfigFile[] {
  const files: ConfigFile[] = [];
  for (const path of paths) {
    if (path === '-') {
      files.push({ file: '<stdin>', text: readLimited(0, '<stdin>') });
      continue;
    }
    let stat: ReturnType<typeof statSync>;
    try {
      stat = statSync(path);
    } catch (cause) {
      throw new CliError(`${path} cannot be read: ${whyUnreadable(cause)}`, {
        where: path,
        next: 'name a file, a folder, or - for standard input',
        exitCode: ExitCode.usage,
        cause,
      });
    }
    if (stat.isDirectory()) folder(path, [], new Set(), files);
    else files.push(file(path));
  }
  if (files.length === 0) throw new CliError('no .yaml, .yml or .json file is there', { where: paths.join(', '), exitCode: ExitCode.usage });
  return files;
}

/** Whether a file of a folder counts. */
export function isConfigName(name: string): boolean {
  return /\.(ya?ml|json)$/i.test(name);
}

function folder(path: string, above: readonly string[], seen: Set<string>, files: ConfigFile[]): void {
  const real = realpathSync(path);
  if (above.includes(real)) throw new CliError('the symbolic link leads back to a folder above it', { where: path, next: 'remove the link' });
  // A folder reached a second time, by a symbolic link, has been read.
  if (seen.has(real)) return;
  seen.add(real);
  for (const entry of readdirSync(path, { withFileTypes: true }).sort((a, b) => (a.name < b.name ? -1 : 1))) {
    const child = join(path, entry.name);
    if (entry.name.startsWith('.')) continue;
    const isConfig = isConfigName(entry.name);
    let directory = entry.isDirectory();
    if (entry.isSymbolicLink()) {
      try {
        directory = statSync(child).isDirectory();
      } catch (cause) {
        if (!isConfig && (cause as NodeJS.ErrnoException).code !== 'ELOOP') continue;
        throw new CliError(`${child} cannot be read: ${whyUnreadable(cause)}`, { where: child, next: 'correct or remove the link', cause });
      }
    }
    if (directory) folder(child, [...above, real], seen, files);
    else if (isConfig) {
      if (files.length >= maxFiles) throw new CliError(`more than ${maxFiles} files`, { where: path, next: 'name a smaller folder' });
      files.push(file(child));
    }
  }
}

function file(path: string): ConfigFile {
  try {
    const descriptor = openSync(path, 'r');
    try {
      return { file: path, text: readLimited(descriptor, path) };
    } finally {
      closeSync(descriptor);
    }
  } catch (cause) {
    if (cause instanceof CliError) throw cause;
    throw new CliError(`${path} cannot be read: ${whyUnreadable(cause)}`, { where: path, cause });
  }
}

function readLimited(descriptor: number, name: string): string {
  const size = fstatSync(descriptor).size;
  if (size > maxFileBytes) throw tooLarge(name, size);
  if (descriptor !== 0) return text(readFileSync(descriptor), name);
  const chunks: Buffer[] = [];
  let total = 0;
  for (;;) {
    const chunk = Buffer.allocUnsafe(65_536);
    let count: number;
    try {
      count = readSync(0, chunk);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'EAGAIN') continue;
      if ((error as NodeJS.ErrnoException).code === 'EOF') break;
      throw error;
    }
    if (count === 0) break;
    total += count;
    if (total > maxFileBytes) throw tooLarge(name, total);
    chunks.push(chunk.subarray(0, count));
  }
  return text(Buffer.concat(chunks), name);
}

function text(bytes: Buffer, name: string): string {
  if (bytes.includes(0)) throw new CliError(`${name} is binary (it has a NUL byte), no YAML`, { where: name });
  return bytes.toString('utf8');
}

function tooLarge(name: string, bytes: number): CliError {
  return new CliError(`${name} has ${Math.ceil(bytes / 1_048_576)} MiB; a configuration file has at most ${maxFileBytes / 1_048_576} MiB`, {
    where: name,
    next: 'split it',
  });
}

/** Of a file, in words. */
export function whyUnreadable(cause: unknown): string {
  const code = (cause as NodeJS.ErrnoException).code;
  return code === 'ENOENT'
    ? 'there is no such file'
    : code === 'EACCES'
      ? 'permission denied'
      : code === 'ELOOP'
        ? 'a loop of symbolic links'
        : code === 'EISDIR'
          ? 'it is a folder'
          : String((cause as Error).message);
}
