import { createWriteStream, type WriteStream } from 'node:fs';
import { type AccessLogFormat, AccessLogWriter } from '@outrigger/telemetry';
import type { ProxyLog } from '../engine/options.ts';
import type { AccessLogConfig } from '../xds/compile-access-logs.ts';
import type { FilteredInfo, LogFilter } from './log-filter.ts';

/** Lines wait so long for company, ms. */
const FLUSH_MS = 100;
/** How long after a failure a file is tried again, ms. */
const REOPEN_MS = 5_000;

export interface AccessLogger {
  readonly format: AccessLogFormat;
  /** null: all are written. */
  readonly filter: LogFilter | null;
  readonly writer: AccessLogWriter;
}

/** Writes a stream to those that want it. `random` is uniform in [0, 2^32). */
export function writeTo(loggers: readonly AccessLogger[], info: FilteredInfo, random: number): void {
  for (let i = 0; i < loggers.length; i++) {
    const { filter, format, writer } = loggers[i]!;
    if (filter === null || filter.holds(info, random)) writer.write(format.write(info));
  }
}

/** One file, opened anew some time after it failed: a full disk loses lines, never requests, and not for ever. */
class LogFile {
  readonly writer: AccessLogWriter;
  readonly #path: string;
  readonly #log: ProxyLog;
  #stream: WriteStream | null;
  #failed = false;
  #reopenAtMs = 0;

  constructor(path: string, log: ProxyLog) {
    this.#path = path;
    this.#log = log;
    this.writer = new AccessLogWriter({ write: (text) => this.#write(text) });
    this.#stream = this.#open();
  }

  #open(): WriteStream {
    const stream = createWriteStream(this.#path, { flags: 'a' });
    stream.on('drain', () => this.writer.drained());
    stream.on('open', () => {
      if (this.#failed) this.#log('info', `access log ${this.#path}: written again`);
      this.#failed = false;
    });
    stream.on('error', (error) => {
      if (!this.#failed) this.#log('warn', `access log ${this.#path}: ${error.message}; its lines are lost until it can be written again`);
      this.#failed = true;
      this.#stream = null;
      this.#reopenAtMs = Date.now() + REOPEN_MS;
      this.writer.drained();
    });
    return stream;
  }

  #write(text: string): boolean {
    if (this.#stream === null) {
      if (Date.now() < this.#reopenAtMs) return true;
      this.#stream = this.#open();
    }
    return this.#stream.write(text);
  }

  close(): Promise<void> {
    this.writer.flush();
    const stream = this.#stream;
    return new Promise((resolve) => {
      if (stream === null || stream.destroyed) resolve();
      else stream.end(() => resolve());
    });
  }
}

/** The access log files of a proxy, one writer for each path. */
export class AccessLogFiles {
  readonly #files = new Map<string, LogFile>();
  readonly #log: ProxyLog;
  #timer: NodeJS.Timeout | undefined;

  constructor(log: ProxyLog) {
    this.#log = log;
  }

  /** Loggers for a connection manager or TCP proxy. */
  loggers(configs: readonly AccessLogConfig[]): readonly AccessLogger[] {
    return configs.map(({ path, format, filter }) => ({ format, filter, writer: this.#file(path).writer }));
  }

  /** A line was written: it leaves soon. */
  touch(): void {
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      for (const file of this.#files.values()) file.writer.flush();
    }, FLUSH_MS).unref();
  }

  async close(): Promise<void> {
    clearTimeout(this.#timer);
    await Promise.all(Array.from(this.#files.values(), (file) => file.close()));
  }

  #file(path: string): LogFile {
    let file = this.#files.get(path);
    if (file === undefined) {
      file = new LogFile(path, this.#log);
      this.#files.set(path, file);
    }
    return file;
  }
}
