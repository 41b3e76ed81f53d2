import { type AccessLogFormat, type AccessLogResult, compileJsonLog, compileTextLog, type JsonTemplate } from '@outrigger/telemetry';
import type { AccessLog } from '@outrigger/xds/protos/envoy/config/accesslog/v3/accesslog';
import { type FileAccessLog, FileAccessLogSchema } from '@outrigger/xds/protos/envoy/extensions/access_loggers/file/v3/file';
import type { LogFilter } from '../observe/log-filter.ts';
import type { CompileReport } from '../routing/compile-result.ts';
import { compileLogFilter, needsExtension } from './compile-log-filter.ts';
import { readDataSource } from './compile-tls.ts';
import { typeNameOf, unpack } from './fields.ts';

/** A file and what is written to it. */
export interface AccessLogConfig {
  readonly path: string;
  readonly format: AccessLogFormat;
  /** null: all are written. */
  readonly filter: LogFilter | null;
}

/** Envoy's default text format. */
const DEFAULT_FORMAT =
  '[%START_TIME%] "%REQ(:METHOD)% %REQ(X-ENVOY-ORIGINAL-PATH?:PATH)% %PROTOCOL%" %RESPONSE_CODE% %RESPONSE_FLAGS% %BYTES_RECEIVED% %BYTES_SENT% %DURATION% ' +
  '%RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)% "%REQ(X-FORWARDED-FOR)%" "%REQ(USER-AGENT)%" "%REQ(X-REQUEST-ID)%" "%REQ(:AUTHORITY)%" "%UPSTREAM_HOST%"\n';

/** Files alone; kinds that are Envoy's own (ALS), and filters by extensions, are left out and named. */
export function compileAccessLogs(configs: readonly AccessLog[], path: string, report: CompileReport): readonly AccessLogConfig[] {
  const compiled: AccessLogConfig[] = [];
  configs.forEach((config, index) => {
    const at = `${path}[${index}]`;
    const any = config.configType.case === 'typedConfig' ? config.configType.value : undefined;
    if (typeNameOf(any) !== FileAccessLogSchema.typeName) {
      report.ignore(at);
      return;
    }
    if (config.filter !== undefined && needsExtension(config.filter)) {
      report.ignore(`${at}.filter`);
      return;
    }
    const filter = config.filter === undefined ? null : compileLogFilter(config.filter, `${at}.filter`, report);
    const file = unpack(any, FileAccessLogSchema, `${at}.typed_config`, report);
    if (file === undefined) return;
    if (file.path === '') report.error(`${at}.typed_config.path`, 'must not be empty');
    const format = formatOf(file.accessLogFormat, `${at}.typed_config.log_format`, report);
    if (format.ok) compiled.push({ path: file.path, format: format.format, filter });
    else report.error(`${at}.typed_config.log_format`, format.message);
  });
  return compiled;
}

function formatOf(config: FileAccessLog['accessLogFormat'], path: string, report: CompileReport): AccessLogResult {
  switch (config.case) {
    case 'jsonFormat':
    case 'typedJsonFormat':
      return compileJsonLog(config.value as { [key: string]: JsonTemplate });
    case 'format':
      return compileTextLog(config.value);
    case 'logFormat': {
      const { format } = config.value;
      if (format.case === 'jsonFormat') return compileJsonLog(format.value as { [key: string]: JsonTemplate });
      if (format.case === 'textFormat') return compileTextLog(format.value);
      if (format.case === 'textFormatSource') return compileTextLog(readDataSource(format.value, `${path}.text_format_source`, report));
      return { ok: false, message: 'needs json_format or text_format' };
    }
    default:
      return compileTextLog(DEFAULT_FORMAT);
  }
}
