import { compileJsonLog, compileTextLog, type JsonTemplate } from '@outrigger/telemetry';
import { type SubstitutionFormatString, SubstitutionFormatStringSchema } from '@outrigger/xds/protos/envoy/config/core/v3/substitution_format_string';
import {
  type LocalReplyConfig,
  LocalReplyConfigSchema,
  type ResponseMapper,
  ResponseMapperSchema,
} from '@outrigger/xds/protos/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager';
import { LocalReplies, type ReplyFormat, type ReplyMapper } from '../engine/local-replies.ts';
import { Constantly } from '../observe/log-filter.ts';
import type { CompileReport } from '../routing/compile-result.ts';
import { compileHeaderMutations } from '../routing/header-mutations.ts';
import { compileLogFilter } from './compile-log-filter.ts';
import { readDataSource } from './compile-tls.ts';
import { checkFields, fieldPolicy } from './fields.ts';

const CONFIG = fieldPolicy('mappers body_format');
const MAPPER = fieldPolicy('filter status_code body body_format_override headers_to_add');
const FORMAT = fieldPolicy('text_format json_format text_format_source content_type', 'omit_empty_values json_format_options');

/** HttpConnectionManager.local_reply_config. */
export function compileLocalReplies(config: LocalReplyConfig | undefined, path: string, report: CompileReport): LocalReplies | null {
  if (config === undefined) return null;
  checkFields(LocalReplyConfigSchema, config, CONFIG, path, report);
  const mappers = config.mappers.map((mapper, index) => compileMapper(mapper, `${path}.mappers[${index}]`, report));
  return new LocalReplies(mappers, compileFormat(config.bodyFormat, `${path}.body_format`, report));
}

function compileMapper(config: ResponseMapper, path: string, report: CompileReport): ReplyMapper {
  checkFields(ResponseMapperSchema, config, MAPPER, path, report);
  if (config.filter === undefined) report.error(`${path}.filter`, 'is missing');
  const status = config.statusCode ?? 0;
  if (status !== 0 && (status < 200 || status > 599)) report.error(`${path}.status_code`, 'must be between 200 and 599');
  return {
    filter: config.filter === undefined ? new Constantly(false) : compileLogFilter(config.filter, `${path}.filter`, report),
    status,
    body: config.body === undefined ? null : readDataSource(config.body, `${path}.body`, report),
    format: compileFormat(config.bodyFormatOverride, `${path}.body_format_override`, report),
    headers: compileHeaderMutations(config.headersToAdd, [], `${path}.headers_to_add`, '', report),
  };
}

function compileFormat(config: SubstitutionFormatString | undefined, path: string, report: CompileReport): ReplyFormat | null {
  if (config === undefined) return null;
  checkFields(SubstitutionFormatStringSchema, config, FORMAT, path, report);
  const { format, contentType } = config;
  const json = format.case === 'jsonFormat';
  const text =
    format.case === 'textFormatSource' ? readDataSource(format.value, `${path}.text_format_source`, report) : format.case === 'textFormat' ? format.value : '';
  const compiled = json ? compileJsonLog(format.value as { [key: string]: JsonTemplate }) : compileTextLog(text);
  if (!compiled.ok) {
    report.error(path, compiled.message);
    return null;
  }
  return { format: compiled.format, contentType: contentType === '' ? (json ? 'application/json' : 'text/plain') : contentType };
}
