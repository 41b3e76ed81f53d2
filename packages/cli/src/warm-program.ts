import { accessSync, constants, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { Script } from 'node:vm';
import { crc32 } from 'node:zlib';

/** Sums of the program's text and of what V8 made of it, and how many runs have had a part in that. */
const HEADER_BYTES = 12;
/** One run of a command calls not all of it: the first may have been for its help. */
const RUNS = 3;
const BEFORE = '(function(exports,require,module,__filename,__dirname){';
const AFTER = '\n})';

type Wrapper = (exports: object, require: NodeJS.Require, module: { exports: object }, filename: string, directory: string) => void;

/**
 * A CommonJS program with the functions that an earlier run of the same command compiled. Node's own cache is made before a program runs, so that it
 * has none of what is compiled when it is first called, which is half of a short command's time. Made when a run ends, of the first few. For what ends
 * soon, and imports nothing by `import()`: a proxy that was loaded so took a fifth more CPU a request for ever (docs/adr/0004).
 */
export function loadWarm(file: string, command: string, atEnd: (write: () => void) => void = (write) => void process.once('exit', write)): unknown {
  const text = readFileSync(file);
  const cacheFile = join(dirname(file), 'compile-cache', `${command}-${process.version}-${process.arch}`);
  const sum = crc32(text);
  const known = readCache(cacheFile, sum);
  // The build leaves nothing beyond ASCII in it.
  const script = new Script(BEFORE + text.toString('latin1') + AFTER, {
    filename: file,
    columnOffset: -BEFORE.length,
    ...(known === undefined ? {} : { cachedData: known.data }),
  });
  const module = { exports: {} };
  (script.runInThisContext() as Wrapper)(module.exports, createRequire(file), module, file, dirname(file));
  // Where it cannot be kept it is not made: that takes as long as a tenth of a run.
  const runs = known === undefined || script.cachedDataRejected === true ? 0 : known.runs;
  if (runs < RUNS && isWritable(dirname(cacheFile))) atEnd(() => writeCache(cacheFile, sum, { runs: runs + 1, data: script.createCachedData() }));
  return module.exports;
}

interface Compiled {
  readonly runs: number;
  readonly data: Buffer;
}

/** undefined: there is none, or it is of another program, or damaged. V8 itself looks for its version and flags. */
function readCache(file: string, sum: number): Compiled | undefined {
  try {
    const bytes = readFileSync(file);
    const data = bytes.subarray(HEADER_BYTES);
    return bytes.readUInt32LE(0) === sum && bytes.readUInt32LE(4) === crc32(data) ? { runs: bytes.readUInt32LE(8), data } : undefined;
  } catch {
    return undefined;
  }
}

function isWritable(folder: string): boolean {
  try {
    mkdirSync(folder, { recursive: true });
    accessSync(folder, constants.W_OK);
    return true;
  } catch {
    return false;
  }
}

/** A disk that is full does no harm: the next run compiles again. */
function writeCache(file: string, sum: number, { runs, data }: Compiled): void {
  const header = Buffer.alloc(HEADER_BYTES);
  header.writeUInt32LE(sum, 0);
  header.writeUInt32LE(crc32(data), 4);
  header.writeUInt32LE(runs, 8);
  const written = `${file}.${process.pid}`;
  try {
    writeFileSync(written, Buffer.concat([header, data]), { mode: 0o600 });
    renameSync(written, file);
  } catch {
    rmSync(written, { force: true });
  }
}
