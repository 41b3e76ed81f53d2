import { type Dirent, readdirSync, readFileSync, realpathSync, statSync } from 'node:fs';
import { join, relative } from 'node:path';

export const MAX_FILE_BYTES = 4 * 1024 * 1024;
const MAX_FILES = 10_000;
const MAX_DEPTH = 32;
const MAX_TOTAL_BYTES = 256 * 1024 * 1024;

export interface ScannedFile {
  /** Below the folder, with "/". */
  readonly path: string;
  /** Changes when the file does. */
  readonly stamp: string;
}

export interface FileFault {
  /** Path as the person knows it. */
  readonly path: string;
  readonly what: string;
  readonly next: string;
}

export interface Scan {
  readonly files: readonly ScannedFile[];
  readonly faults: readonly FileFault[];
  /** Whether what is not in `files` is really gone; false where a part of the folder could not be read. */
  readonly whole: boolean;
}

/** Finds the YAML and JSON files of a folder, hidden ones left out. Throws where the folder itself cannot be read. */
export function scanFolder(folder: string): Scan {
  const files: ScannedFile[] = [];
  const faults: FileFault[] = [];
  let whole = true;
  let bytes = 0;
  const fault = (path: string, what: string, next: string): void => {
    whole = false;
    if (faults.length < 100) faults.push({ path, what, next });
  };
  const walk = (directory: string, above: readonly string[], depth: number): void => {
    let entries: Dirent[];
    let real: string;
    try {
      real = realpathSync(directory);
      entries = readdirSync(directory, { withFileTypes: true });
    } catch (error) {
      if (depth === 0) throw error;
      fault(directory, `the folder cannot be read: ${(error as Error).message}`, 'Make it readable, or take it away.');
      return;
    }
    if (above.includes(real)) {
      fault(directory, 'the symbolic link leads back to a folder above it', 'Remove the link; what it points to is read already.');
      return;
    }
    if (depth > MAX_DEPTH) {
      fault(directory, `the folder is more than ${MAX_DEPTH} levels deep`, 'Keep configuration nearer to the top.');
      return;
    }
    for (const entry of entries.sort((a, b) => (a.name < b.name ? -1 : 1))) {
      if (entry.name.startsWith('.')) continue;
      const path = join(directory, entry.name);
      const isConfig = /\.(ya?ml|json)$/i.test(entry.name);
      if (entry.isDirectory()) walk(path, [...above, real], depth + 1);
      else if (entry.isFile() && !isConfig) continue;
      else {
        let stat: ReturnType<typeof statSync>;
        try {
          stat = statSync(path);
        } catch (error) {
          const { code, message } = error as NodeJS.ErrnoException;
          if (code === 'ENOENT' && !entry.isSymbolicLink()) continue;
          if (isConfig || code === 'ELOOP')
            fault(path, code === 'ELOOP' ? 'the symbolic links go round in a circle' : `the file cannot be read: ${message}`, 'Correct or remove it.');
          continue;
        }
        if (stat.isDirectory()) walk(path, [...above, real], depth + 1);
        else if (isConfig && stat.isFile()) {
          bytes += stat.size;
          if (files.length >= MAX_FILES || bytes > MAX_TOTAL_BYTES) {
            fault(
              path,
              `the folder holds more than ${MAX_FILES} files or ${MAX_TOTAL_BYTES / 1024 / 1024} MB; this one and what follows are not read`,
              'Watch a folder that holds configuration alone.',
            );
            return;
          }
          files.push({ path: relative(folder, path).replaceAll('\\', '/'), stamp: `${stat.ino} ${stat.size} ${stat.mtimeMs}` });
        }
      }
    }
  };
  walk(folder, [], 0);
  return { files, faults, whole };
}

/** The file's bytes, or why it is not read. */
export function readConfigFile(folder: string, path: string): Uint8Array | FileFault {
  const full = join(folder, path);
  try {
    const { size } = statSync(full);
    if (size > MAX_FILE_BYTES) {
      const megabytes = (size / 1024 / 1024).toFixed(0);
      return { path, what: `the file has ${megabytes} MB; the most is ${MAX_FILE_BYTES / 1024 / 1024} MB`, next: 'Divide it, or take it out of the folder.' };
    }
    return readFileSync(full);
  } catch (error) {
    return { path, what: `the file cannot be read: ${(error as Error).message}`, next: 'Make it readable, or take it away.' };
  }
}
