import {
  type Compressor,
  type Compressor_CommonDirectionConfig,
  Compressor_CommonDirectionConfigSchema,
  Compressor_RequestDirectionConfigSchema,
  Compressor_ResponseDirectionConfigSchema,
  CompressorPerRouteSchema,
  CompressorSchema,
} from '@outrigger/xds/protos/envoy/extensions/filters/http/compressor/v3/compressor';
import type { HeaderList, RequestHead, ResponseHead } from '../../http/message.ts';
import type { CompileReport } from '../../routing/compile-result.ts';
import { headerIndex, headerValue, removeHeader, setHeader } from '../../routing/headers.ts';
import { checkFields, fieldPolicy, unpack } from '../../xds/fields.ts';
import { type FilteredStream, type FilterVerdict, type HttpFilter, type HttpFilterType, PASS, type RouteSetting } from '../http-filter.ts';
import { encodingQuality } from './accept-encoding.ts';
import { type CompressionLibrary, compileCompressor } from './library.ts';
import { forbidsTransform } from './no-transform.ts';
import { ZlibTransform } from './zlib-transform.ts';

const COMPRESSOR = fieldPolicy(
  `content_length content_type disable_on_etag_header remove_accept_encoding_header runtime_enabled compressor_library request_direction_config
   response_direction_config`,
  'choose_first',
);
const COMMON = fieldPolicy('enabled min_content_length content_type');
const REQUEST = fieldPolicy('common_config');
const RESPONSE = fieldPolicy('common_config disable_on_etag_header remove_accept_encoding_header');
const DEFAULT_MIN_CONTENT_BYTES = 30;
/** Envoy's default of content_type. */
const DEFAULT_TYPES: readonly string[] = [
  'text/html',
  'text/plain',
  'text/css',
  'application/javascript',
  'application/x-javascript',
  'text/javascript',
  'text/x-javascript',
  'text/ecmascript',
  'text/js',
  'text/jscript',
  'text/x-js',
  'application/ecmascript',
  'application/x-json',
  'application/xml',
  'application/json',
  'image/svg+xml',
  'text/xml',
  'application/xhtml+xml',
];

interface Direction {
  readonly minBytes: number;
  readonly types: ReadonlySet<string>;
}

interface CompressorFields {
  readonly library: CompressionLibrary;
  /** null: not on this way. */
  readonly request: Direction | null;
  readonly response: Direction | null;
  readonly disableOnEtag: boolean;
  readonly removeAcceptEncoding: boolean;
}

/** CompressorPerRoute. */
class CompressionOfRoute {
  readonly disabled: boolean;
  readonly removeAcceptEncoding: boolean | undefined;
  constructor(disabled: boolean, removeAcceptEncoding: boolean | undefined) {
    this.disabled = disabled;
    this.removeAcceptEncoding = removeAcceptEncoding;
  }
}

/** What all compressors of a chain want for one answer; the first with the highest quality has it. */
const CHOICE: HttpFilter = { name: '', forRoute: () => CHOICE };
interface Choice {
  encoding: string;
  quality: number;
}

/** envoy.filters.http.compressor. */
class CompressorFilter implements HttpFilter {
  readonly name: string;
  readonly #fields: CompressorFields;

  constructor(name: string, fields: CompressorFields) {
    this.name = name;
    this.#fields = fields;
  }

  forRoute(settings: readonly RouteSetting[]): HttpFilter {
    const own = settings.find((setting) => setting instanceof CompressionOfRoute);
    if (own === undefined) return this;
    const removeAcceptEncoding = own.removeAcceptEncoding ?? this.#fields.removeAcceptEncoding;
    return new CompressorFilter(this.name, own.disabled ? { ...this.#fields, request: null, response: null } : { ...this.#fields, removeAcceptEncoding });
  }

  onRequest(stream: FilteredStream): FilterVerdict {
    const { library, request, response, removeAcceptEncoding } = this.#fields;
    const { head } = stream;
    const plain = head.protocol === '' && head.method !== 'CONNECT';
    if (response !== null && plain) {
      const accepted = headerValue(head.headers, 'accept-encoding');
      const quality = accepted === undefined ? 0 : encodingQuality(accepted, library.encoding);
      const choice = stream.stateOf(CHOICE) as Choice | undefined;
      if (choice === undefined) stream.keep(CHOICE, { encoding: quality > 0 ? library.encoding : '', quality } satisfies Choice);
      else if (quality > choice.quality) Object.assign(choice, { encoding: library.encoding, quality });
      if (removeAcceptEncoding) removeHeader(head.headers, 'accept-encoding');
    }
    if (request !== null && plain && !stream.headIsAll && worthIt(request, head.headers, head.bodyLength)) {
      this.#compress(head);
      const transform = new ZlibTransform(stream.services.codec(library.codec), false, (detail) => stream.breakOff(500, '', `compression_failed{${detail}}`));
      transform.source = stream.transformRequest(transform);
    }
    return PASS;
  }

  onResponse(stream: FilteredStream, head: ResponseHead, fin: boolean): void {
    const { library, response, disableOnEtag } = this.#fields;
    if (response === null || head.tunnel || !worthIt(response, head.headers, head.bodyLength)) return;
    const etag = headerValue(head.headers, 'etag');
    if (etag !== undefined && disableOnEtag) return;
    // What this client gets depends on what it accepts, also where it accepts nothing.
    vary(head.headers);
    if (fin || stream.method === 'HEAD' || head.status === 206) return;
    if ((stream.stateOf(CHOICE) as Choice | undefined)?.encoding !== library.encoding) return;
    if (etag !== undefined && !etag.startsWith('W/')) setHeader(head.headers, 'etag', `W/${etag}`);
    this.#compress(head);
    const transform = new ZlibTransform(stream.services.codec(library.codec), false, (detail) => stream.breakOff(502, '', `compression_failed{${detail}}`));
    transform.source = stream.transformResponse(transform);
  }

  #compress(head: RequestHead | ResponseHead): void {
    removeHeader(head.headers, 'content-length');
    head.bodyLength = -1;
    setHeader(head.headers, 'content-encoding', this.#fields.library.encoding);
  }
}

function worthIt({ minBytes, types }: Direction, headers: HeaderList, length: number): boolean {
  if (length >= 0 && length < minBytes) return false;
  if (headerIndex(headers, 'content-encoding') >= 0) return false;
  if (forbidsTransform(headers)) return false;
  const type = headerValue(headers, 'content-type');
  return type === undefined || types.has(type.split(';', 1)[0]!.trim().toLowerCase());
}

function vary(headers: HeaderList): void {
  const known = headerValue(headers, 'vary');
  if (known === undefined) headers.push('vary', 'Accept-Encoding');
  else if (!/(?:^|,)\s*(?:accept-encoding|\*)\s*(?:,|$)/i.test(known)) setHeader(headers, 'vary', `${known}, Accept-Encoding`);
}

function compileDirection(
  config: Compressor_CommonDirectionConfig | undefined,
  older: { readonly contentLength: number | undefined; readonly contentType: readonly string[]; readonly enabled: boolean },
  path: string,
  report: CompileReport,
): Direction | null {
  if (config !== undefined) checkFields(Compressor_CommonDirectionConfigSchema, config, COMMON, path, report);
  if (!(config?.enabled?.defaultValue ?? older.enabled)) return null;
  const types = config !== undefined && config.contentType.length > 0 ? config.contentType : older.contentType;
  return {
    minBytes: config?.minContentLength ?? older.contentLength ?? DEFAULT_MIN_CONTENT_BYTES,
    types: new Set((types.length === 0 ? DEFAULT_TYPES : types).map((type) => type.toLowerCase())),
  };
}

function compile(config: Compressor, path: string, report: CompileReport): CompressorFields | null {
  checkFields(CompressorSchema, config, COMPRESSOR, path, report);
  const library = compileCompressor(config.compressorLibrary, `${path}.compressor_library`, report);
  const { requestDirectionConfig: request, responseDirectionConfig: response } = config;
  if (request !== undefined) checkFields(Compressor_RequestDirectionConfigSchema, request, REQUEST, `${path}.request_direction_config`, report);
  if (response !== undefined) checkFields(Compressor_ResponseDirectionConfigSchema, response, RESPONSE, `${path}.response_direction_config`, report);
  if (library === null) return null;
  const older = { contentLength: config.contentLength, contentType: config.contentType, enabled: config.runtimeEnabled?.defaultValue ?? true };
  const none = { contentLength: undefined, contentType: [], enabled: true };
  return {
    library,
    request: request === undefined ? null : compileDirection(request.commonConfig, none, `${path}.request_direction_config.common_config`, report),
    response: compileDirection(response?.commonConfig, response === undefined ? older : none, `${path}.response_direction_config.common_config`, report),
    disableOnEtag: response === undefined ? config.disableOnEtagHeader : response.disableOnEtagHeader,
    removeAcceptEncoding: response === undefined ? config.removeAcceptEncodingHeader : response.removeAcceptEncodingHeader,
  };
}

export const compressorType: HttpFilterType = {
  typeName: CompressorSchema.typeName,
  compile(any, name, path, _context, report) {
    const config = unpack(any, CompressorSchema, path, report);
    const fields = config === undefined ? null : compile(config, path, report);
    return fields === null ? null : new CompressorFilter(name, fields);
  },
  settings: {
    [CompressorPerRouteSchema.typeName](any, path, report) {
      const config = unpack(any, CompressorPerRouteSchema, path, report);
      if (config?.override.case === 'disabled') return new CompressionOfRoute(config.override.value, undefined);
      if (config?.override.case === 'overrides')
        return new CompressionOfRoute(false, config.override.value.responseDirectionConfig?.removeAcceptEncodingHeader);
      report.error(path, 'needs one of disabled, overrides');
      return null;
    },
  },
};
