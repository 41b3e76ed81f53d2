import { spawn } from 'node:child_process';
import { chmodSync, closeSync, existsSync, mkdirSync, openSync, readSync, statfsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { open, type RootDatabase } from 'lmdb';
import type { KeyValue } from './key-value.ts';
import { StoreError } from './store-error.ts';

const DATA_FILE = 'data.mdb';
/** Of lmdb's meta page, after the page header (lmdb, mdb.c: MDB_MAGIC). */
const MAGIC = 0xbeefc0de;
const MAGIC_OFFSET = 24;
/** A store of 100,000 resources is read in well under a second. */
const PROBE_LIMIT_MS = 30_000;
/** Less than this left on the disk: a failed write is put down to that. */
const NEARLY_FULL_BYTES = 1024 * 1024;

/** Opens (makes) `DIRECTORY/data.mdb`. Throws a `StoreError`: BROKEN, FOREIGN, WRITE_FAILED. */
export async function openLmdb(directory: string): Promise<KeyValue> {
  const file = join(directory, DATA_FILE);
  try {
    mkdirSync(directory, { recursive: true, mode: 0o700 });
  } catch (cause) {
    throw new StoreError(
      'WRITE_FAILED',
      `The store's directory ${directory} cannot be made: ${text(cause)}.`,
      'Give a state directory that you may write to.',
      { cause },
    );
  }
  if (existsSync(file)) {
    checkMagic(file);
    await probe(file);
  }
  let database: RootDatabase<Buffer, string>;
  try {
    // Durable means on the disk: no overlapping sync, and synchronous transactions below, which lmdb flushes before they return.
    database = open<Buffer, string>({ path: file, noSubdir: true, encoding: 'binary', cache: false, overlappingSync: false });
    // The certificate authority's key is in it.
    chmodSync(file, 0o600);
  } catch (cause) {
    throw writeError(directory, cause);
  }
  return {
    get: (key) => database.get(key),
    *entries(start, end) {
      for (const { key, value } of database.getRange({ start, end })) yield [key, value] as const;
    },
    write(batch) {
      try {
        // Not lmdb's asynchronous ones: when the disk is full, those end the process by an unhandled rejection.
        database.transactionSync(() => {
          for (const key of batch.remove) void database.remove(key);
          for (const [key, value] of batch.put) void database.put(key, Buffer.from(value.buffer, value.byteOffset, value.byteLength));
        });
      } catch (cause) {
        throw writeError(directory, cause);
      }
    },
    close: () => database.close(),
  };
}

function checkMagic(file: string): void {
  const head = Buffer.alloc(MAGIC_OFFSET + 4);
  const descriptor = openFile(file);
  const length = readSync(descriptor, head, 0, head.length, 0);
  closeSync(descriptor);
  if (length === 0) return;
  if (length < head.length || head.readUInt32LE(MAGIC_OFFSET) !== MAGIC) {
    throw new StoreError('FOREIGN', `${file} is not a store of Outrigger.`, `Move that file away, or give another state directory; nothing in it was changed.`);
  }
}

function openFile(file: string): number {
  try {
    return openSync(file, 'r+');
  } catch (cause) {
    throw new StoreError(
      'WRITE_FAILED',
      `The store ${file} cannot be opened: ${text(cause)}.`,
      'Run as the user who owns it, or give another state directory.',
      { cause },
    );
  }
}

/**
 * A damaged file makes lmdb crash its process (SIGSEGV, SIGBUS), with no word about why. So another process reads all of it first;
 * about 40 ms, most of it Node's start.
 */
async function probe(file: string): Promise<void> {
  const lmdb = createRequire(import.meta.url).resolve('lmdb');
  const script = `
    const { open } = require(${JSON.stringify(lmdb)});
    const database = open({ path: process.argv[1], noSubdir: true, readOnly: true, encoding: 'binary' });
    let bytes = 0;
    for (const { value } of database.getRange({})) bytes += value.length + value[value.length - 1];
    process.exit(0);`;
  const failure = await new Promise<string | undefined>((resolve) => {
    const child = spawn(process.execPath, ['-e', script, file], { stdio: ['ignore', 'ignore', 'pipe'], timeout: PROBE_LIMIT_MS });
    let errors = '';
    child.stderr.on('data', (chunk: Buffer) => {
      if (errors.length < 4096) errors += chunk.toString();
    });
    child.on('error', (error) => resolve(error.message));
    child.on('close', (code, signal) => resolve(code === 0 ? undefined : (/^\w*Error: .*$/m.exec(errors)?.[0] ?? `reading it ended with ${signal ?? code}`)));
  });
  if (failure === undefined) return;
  throw brokenStore(dirname(file), failure);
}

export function brokenStore(directory: string, detail: string): StoreError {
  return new StoreError(
    'BROKEN',
    `The store in ${directory} is damaged (${detail}).`,
    `Put a backup in its place, or move the directory away (mv ${directory} ${directory}.broken) and apply your configuration again; its certificate authority is in it, so workloads then get certificates of a new root. Nothing in it was changed.`,
  );
}

function writeError(directory: string, cause: unknown): StoreError {
  const full = (cause as { code?: unknown }).code === 28 || freeBytes(directory) < NEARLY_FULL_BYTES;
  return full
    ? new StoreError('DISK_FULL', `The disk with ${directory} is full; nothing was changed.`, 'Free some space there and try again.', { cause })
    : new StoreError(
        'WRITE_FAILED',
        `The store in ${directory} could not be written: ${text(cause)}; nothing was changed.`,
        'Check the disk and the permissions, and try again.',
        { cause },
      );
}

function freeBytes(directory: string): number {
  try {
    const { bavail, bsize } = statfsSync(directory);
    return bavail * bsize;
  } catch {
    return Number.POSITIVE_INFINITY;
  }
}

function text(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause);
}
