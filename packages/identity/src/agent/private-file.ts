import { randomBytes } from 'node:crypto';
import { chmod, mkdir, open, readFile, rename, stat, unlink } from 'node:fs/promises';
import { dirname } from 'node:path';
import { IdentityError } from '../identity-error.ts';

const OTHERS = 0o077;

/** Makes a directory that only this user may enter (0700), or makes sure that it is one. Throws `disk`. */
export async function preparePrivateDirectory(path: string): Promise<void> {
  try {
    await mkdir(path, { recursive: true, mode: 0o700 });
    const { uid, mode } = await stat(path);
    if (process.getuid !== undefined && uid !== process.getuid()) {
      throw new IdentityError(
        'disk',
        `The directory ${path} belongs to user ${uid}; private keys are kept only in a directory of the own user. Choose another.`,
      );
    }
    if ((mode & OTHERS) !== 0) await chmod(path, 0o700);
  } catch (cause) {
    throw diskError(`use the directory ${path}`, cause);
  }
}

/** Writes a file that only this user may read (0600), as a whole or not at all, also over a crash. Throws `disk`. */
export async function writePrivateFile(path: string, text: string): Promise<void> {
  const temporary = `${path}.${randomBytes(6).toString('hex')}`;
  try {
    const file = await open(temporary, 'wx', 0o600);
    try {
      await file.writeFile(text);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(temporary, path);
    const directory = await open(dirname(path), 'r');
    await directory.sync().finally(() => directory.close());
  } catch (cause) {
    await unlink(temporary).catch(() => undefined);
    throw diskError(`write ${path}`, cause);
  }
}

/** The text of a private file; undefined where there is none. Throws `disk` where others may read it too. */
export async function readPrivateFile(path: string): Promise<string | undefined> {
  try {
    const { uid, mode } = await stat(path);
    if ((mode & OTHERS) !== 0 || (process.getuid !== undefined && uid !== process.getuid())) {
      throw new IdentityError('disk', `${path} can be read by others, so the key in it is not used. Delete it; a new one is made.`);
    }
    return await readFile(path, 'utf8');
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw diskError(`read ${path}`, cause);
  }
}

function diskError(what: string, cause: unknown): IdentityError {
  if (cause instanceof IdentityError) return cause;
  return new IdentityError('disk', `Cannot ${what}: ${(cause as Error).message}.`, { cause });
}
