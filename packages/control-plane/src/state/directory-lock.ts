import { DatabaseSync } from 'node:sqlite';

/** SQLITE_BUSY */
const BUSY = 5;

/**
 * Takes the kernel's own lock on a file (made where it is not there), by way of SQLite since Node has no call for it: a process that dies,
 * however it dies, holds it no more, which a file with a pid cannot promise. Gives what releases it; undefined: another process has it. Throws
 * what SQLite or the system says of a file that cannot be used.
 */
export function lockFile(file: string): (() => void) | undefined {
  let database: DatabaseSync | undefined;
  try {
    database = new DatabaseSync(file);
    database.exec('PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = MEMORY; BEGIN EXCLUSIVE');
    const held = database;
    return () => held.close();
  } catch (error) {
    database?.close();
    if ((error as { errcode?: number }).errcode === BUSY) return undefined;
    throw error;
  }
}
