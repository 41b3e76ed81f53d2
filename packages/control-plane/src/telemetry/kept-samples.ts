import { mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import { every } from '../clock.ts';
import type { Clock, LogEntry } from '../options.ts';
import { type KeptWindow, MAX_SAMPLE_AGE_MS, MAX_SAMPLES_BYTES, type RequestSamples } from './request-samples.ts';

/** So much is lost at most where the process is killed. */
const WRITE_MS = 60_000;
/** A file is written whole, again and again, until it is as large or as old as this; then the next one begins. */
const FILE_BYTES = 1024 * 1024;
const FILE_MS = 3_600_000;
/** Windows are seldom a fiftieth of it. */
const MAX_FILE_BYTES = 64 * FILE_BYTES;
const NAME = /^(\d{1,16})\.samples$/;
const FORMAT = 'outrigger-request-samples/1';

export interface KeptSamplesOptions {
  /** Holds nothing else. */
  readonly directory: string;
  readonly samples: RequestSamples;
  readonly clock: Clock;
  readonly log: (entry: LogEntry) => void;
  /** Of all files together but the last one. */
  readonly maxBytes?: number;
}

interface SampleFile {
  readonly name: string;
  readonly startedMs: number;
  bytes: number;
  lastMs: number;
}

/** Request samples on disk, so that a replay has them after a restart. As in memory: what lets somebody in is hashed in the proxies. */
export class KeptSamples {
  readonly #options: KeptSamplesOptions;
  readonly #maxBytes: number;
  /** Written for the last time, the oldest first. */
  #files: SampleFile[] = [];
  #current: (SampleFile & { readonly windows: KeptWindow[] }) | undefined;
  #writtenUntil = 0;
  #failing = false;
  #writing: Promise<void> = Promise.resolve();
  #stop = () => {};

  constructor(options: KeptSamplesOptions) {
    this.#options = options;
    this.#maxBytes = options.maxBytes ?? MAX_SAMPLES_BYTES;
  }

  /** Reads what is there, and goes on writing. */
  start(): void {
    const { clock, samples } = this.#options;
    const windows = this.#read();
    samples.restore(windows, clock.now());
    this.#writtenUntil = samples.lastNumber;
    this.#prune();
    this.#stop = every(clock, WRITE_MS, () => this.#write());
  }

  async stop(): Promise<void> {
    this.#stop();
    await this.#write();
  }

  #read(): KeptWindow[] {
    const { directory, log } = this.#options;
    const found: KeptWindow[] = [];
    const names = this.#names().sort((a, b) => Number.parseInt(a, 10) - Number.parseInt(b, 10));
    for (const name of names) {
      const file = join(directory, name);
      const startedMs = Number(NAME.exec(name)?.[1]);
      const windows = Number.isNaN(startedMs) ? undefined : readWindows(file);
      if (windows === undefined) {
        // One that was being written when the process was killed is no damage.
        if (!name.endsWith('.new'))
          log({
            level: 'warn',
            part: 'telemetry',
            message: `${file} holds no request samples that can be read: it is dropped, and a replay lacks those`,
            file,
          });
        rmSync(file, { force: true, recursive: true });
        continue;
      }
      found.push(...windows);
      this.#files.push({ name, startedMs, bytes: sizeOf(windows), lastMs: windows.at(-1)?.endMs ?? startedMs });
    }
    return found;
  }

  /** Where it cannot be, the first write says so. */
  #names(): string[] {
    try {
      mkdirSync(this.#options.directory, { recursive: true, mode: 0o700 });
      return readdirSync(this.#options.directory);
    } catch {
      return [];
    }
  }

  /** One write at a time. */
  #write(): Promise<void> {
    this.#writing = this.#writing.then(() => this.#writeOnce());
    return this.#writing;
  }

  async #writeOnce(): Promise<void> {
    const { clock, samples, directory, log } = this.#options;
    const added = samples.after(this.#writtenUntil);
    if (added.length > 0) {
      const nowMs = clock.now();
      const startedMs = Math.max(nowMs, (this.#files.at(-1)?.startedMs ?? 0) + 1);
      this.#current ??= { name: `${startedMs}.samples`, startedMs, bytes: 0, lastMs: 0, windows: [] };
      const file = this.#current;
      file.windows.push(...added);
      file.bytes = sizeOf(file.windows);
      file.lastMs = added.at(-1)!.endMs;
      this.#writtenUntil = samples.lastNumber;
      try {
        const path = join(directory, file.name);
        await writeFile(`${path}.new`, fileText(file.windows), { mode: 0o600 });
        await rename(`${path}.new`, path);
        this.#failing = false;
      } catch (error) {
        if (!this.#failing) log({ level: 'warn', part: 'telemetry', message: `request samples cannot be kept in ${directory}: ${(error as Error).message}` });
        this.#failing = true;
      }
      if (file.bytes >= FILE_BYTES || nowMs - file.startedMs >= FILE_MS) {
        this.#files.push({ name: file.name, startedMs: file.startedMs, bytes: file.bytes, lastMs: file.lastMs });
        this.#current = undefined;
      }
    }
    this.#prune();
  }

  #prune(): void {
    const oldestMs = this.#options.clock.now() - MAX_SAMPLE_AGE_MS;
    let bytes = this.#files.reduce((sum, file) => sum + file.bytes, 0);
    this.#files = this.#files.filter((file) => {
      if (file.lastMs >= oldestMs && bytes <= this.#maxBytes) return true;
      bytes -= file.bytes;
      rmSync(join(this.#options.directory, file.name), { force: true });
      return false;
    });
  }
}

/** Takes away what a control plane has kept that is not to keep any more. */
export function dropKeptSamples(directory: string): void {
  rmSync(directory, { recursive: true, force: true });
}

function sizeOf(windows: readonly KeptWindow[]): number {
  return windows.reduce((sum, { text }) => sum + text.length, 0);
}

/** The format and a sum of the rest; then a window each line. */
function fileText(windows: readonly KeptWindow[]): string {
  const body = windows.map(({ endMs, node, text }) => `${endMs} ${encodeURIComponent(node)} ${text}\n`).join('');
  return `${FORMAT} ${crc32(body).toString(16)}\n${body}`;
}

/** undefined: the file is damaged, or another. */
function readWindows(file: string): KeptWindow[] | undefined {
  try {
    const bytes = readFileSync(file);
    if (bytes.length > MAX_FILE_BYTES) return undefined;
    const text = bytes.toString('utf8');
    const end = text.indexOf('\n') + 1;
    const body = text.slice(end);
    if (text.slice(0, end) !== `${FORMAT} ${crc32(body).toString(16)}\n`) return undefined;
    return body
      .split('\n')
      .slice(0, -1)
      .map((line): KeptWindow => {
        const [, endMs, node, text] = /^(\d+) (\S+) (.+)$/.exec(line)!;
        return { endMs: Number(endMs), node: decodeURIComponent(node!), text: text! };
      });
  } catch {
    return undefined;
  }
}
