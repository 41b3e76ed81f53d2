import { createWriteStream, type WriteStream } from 'node:fs';
import { type AccessLogFormat, AccessLogWriter, compileJsonLog, compileTextLog, type JsonTemplate } from '@outrigger/telemetry';
import type { AccessLog } from '@outrigger/xds/protos/envoy/config/accesslog/v3/accesslog';
import { FileAccessLogSchema } from '@outrigger/xds/protos/envoy/extensions/access_loggers/file/v3/file';
import type { ProxyLog } from '../engine/options.ts';
import { CompileReport } from '../routing/compile-result.ts';
import { typeNameOf, unpack } from '../xds/fields.ts';

/** Lines wait so long for company, ms. */
const FLUSH_MS = 100;

/** Envoy's default text format. */
const DEFAULT_FORMAT =
  '[%START_TIME%] "%REQ(:METHOD)% %REQ(X-ENVOY-ORIGINAL-PATH?:PATH)% %PROTOCOL%" %RESPONSE_CODE% %RESPONSE_FLAGS% %BYTES_RECEIVED% %BYTES_SENT% %DURATION% ' +
  '%RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)% "%REQ(X-FORWARDED-FOR)%" "%REQ(USER-AGENT)%" "%REQ(X-REQUEST-ID)%" "%REQ(:AUTHORITY)%" "%UPSTREAM_HOST%"\n';

export interface AccessLogger {
  readonly format: AccessLogFormat;
  readonly writer: AccessLogWriter;
}

class LogFile {
  readonly writer: AccessLogWriter;
  readonly #stream: WriteStream;

  constructor(path: string, log: ProxyLog) {
    this.#stream = createWriteStream(path, { flags: 'a' });
    // A full disk loses lines, never requests.
    this.#stream.on('error', (error) => log('warn', `access log ${path}: ${error.message}; its lines are lost`));
    this.writer = new AccessLogWriter({ write: (text) => this.#stream.destroyed || this.#stream.write(text) });
    this.#stream.on('drain', () => this.writer.drained());
  }

  close(): Promise<void> {
    this.writer.flush();
    return new Promise((resolve) => {
      if (this.#stream.destroyed) resolve();
      else this.#stream.end(() => resolve());
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

  /** Loggers for a connection manager or TCP proxy. Kinds that are Envoy's own (ALS) are left out and named. */
  loggers(configs: readonly AccessLog[]): { readonly loggers: readonly AccessLogger[]; readonly ignored: readonly string[] } {
    const loggers: AccessLogger[] = [];
    const ignored: string[] = [];
    configs.forEach((config, index) => {
      const any = config.configType.case === 'typedConfig' ? config.configType.value : undefined;
      if (typeNameOf(any) !== FileAccessLogSchema.typeName || config.filter !== undefined) {
        ignored.push(`access_log[${index}]`);
        return;
      }
      const report = new CompileReport();
      const file = unpack(any, FileAccessLogSchema, '', report);
      if (file === undefined) return;
      const format = formatOf(file.accessLogFormat);
      if (typeof format === 'string') {
        ignored.push(`access_log[${index}]: ${format}`);
        return;
      }
      loggers.push({ format, writer: this.#file(file.path).writer });
    });
    return { loggers, ignored };
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

type FileFormat = import('@outrigger/xds/protos/envoy/extensions/access_loggers/file/v3/file').FileAccessLog['accessLogFormat'];

/** A text says what is wrong with it. */
function formatOf(config: FileFormat): AccessLogFormat | string {
  let result: ReturnType<typeof compileTextLog>;
  if (config.case === 'jsonFormat' || config.case === 'typedJsonFormat') result = compileJsonLog(config.value as { [key: string]: JsonTemplate });
  else if (config.case === 'format') result = compileTextLog(config.value);
  else if (config.case === 'logFormat') {
    const { format } = config.value;
    if (format.case === 'jsonFormat') result = compileJsonLog(format.value as { [key: string]: JsonTemplate });
    else if (format.case === 'textFormat') result = compileTextLog(format.value);
    else return 'text_format_source is not supported';
  } else result = compileTextLog(DEFAULT_FORMAT);
  return result.ok ? result.format : result.message;
}
