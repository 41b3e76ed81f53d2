import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { constants, Script } from 'node:vm';
import { crc32 } from 'node:zlib';

/** Of the program's text, and of what V8 made of it. */
const HEADER_BYTES = 8;
const BEFORE = '(function(exports,require,module,__filename,__dirname){';
const AFTER = '\n})';

type Wrapper = (exports: object, require: NodeJS.Require, module: { exports: object }, filename: string, directory: string) => void;

/**
 * A CommonJS program with the functions that an earlier run of the same command compiled. Node's own cache is made before a program runs, so that it
 * has none of what is compiled when it is first called, which is half of a short command's time. Made when a run ends that had none.
 */
export function loadWarm(file: string, command: string, atEnd: (write: () => void) => void = (write) => void process.once('exit', write)): unknown {
  const text = readFileSync(file);
  const cacheFile = join(dirname(file), 'compile-cache', `${command}-${process.version}-${process.arch}`);
  const sum = crc32(text);
  const cachedData = readCache(cacheFile, sum);
  // The build leaves nothing beyond ASCII in it.
  const script = new Script(BEFORE + text.toString('latin1') + AFTER, {
    filename: file,
    columnOffset: -BEFORE.length,
    importModuleDynamically: constants.USE_MAIN_CONTEXT_DEFAULT_LOADER,
    ...(cachedData === undefined ? {} : { cachedData }),
  });
  const module = { exports: {} };
  (script.runInThisContext() as Wrapper)(module.exports, createRequire(file), module, file, dirname(file));
  if (cachedData === undefined || script.cachedDataRejected === true) atEnd(() => writeCache(cacheFile, sum, script.createCachedData()));
  return module.exports;
}

/** undefined: there is none, or it is of another program, or damaged. V8 itself looks for its version and flags. */
function readCache(file: string, sum: number): Buffer | undefined {
  try {
    const bytes = readFileSync(file);
    const data = bytes.subarray(HEADER_BYTES);
    return bytes.readUInt32LE(0) === sum && bytes.readUInt32LE(4) === crc32(data) ? data : undefined;
  } catch {
    return undefined;
  }
}

/** A folder that cannot be written does no harm: the next run compiles again. */
function writeCache(file: string, sum: number, data: Buffer): void {
  const header = Buffer.alloc(HEADER_BYTES);
  header.writeUInt32LE(sum, 0);
  header.writeUInt32LE(crc32(data), 4);
  const written = `${file}.${process.pid}`;
  try {
    mkdirSync(dirname(file), { recursive: true });
  } catch {
    return;
  }
  try {
    writeFileSync(written, Buffer.concat([header, data]), { mode: 0o600 });
    renameSync(written, file);
  } catch {
    rmSync(written, { force: true });
  }
}
