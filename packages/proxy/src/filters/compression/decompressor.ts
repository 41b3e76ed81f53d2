import {
  type Decompressor_CommonDirectionConfig,
  Decompressor_CommonDirectionConfigSchema,
  DecompressorSchema,
} from '@outrigger/xds/protos/envoy/extensions/filters/http/decompressor/v3/decompressor';
import type { HeaderList, ResponseHead } from '../../http/message.ts';
import type { CompileReport } from '../../routing/compile-result.ts';
import { headerIndex, headerValue, removeHeader, setHeader } from '../../routing/headers.ts';
import { checkFields, fieldPolicy, unpack } from '../../xds/fields.ts';
import { type FilteredStream, type FilterVerdict, type HttpFilter, type HttpFilterType, PASS } from '../http-filter.ts';
import { type CompressionLibrary, compileDecompressor } from './library.ts';
import { forbidsTransform } from './no-transform.ts';
import { ZlibTransform } from './zlib-transform.ts';

const DECOMPRESSOR = fieldPolicy('decompressor_library request_direction_config response_direction_config');
const COMMON = fieldPolicy('enabled ignore_no_transform_header');

interface Direction {
  readonly ignoreNoTransform: boolean;
}

interface DecompressorFields {
  readonly library: CompressionLibrary;
  /** null: not on this way. */
  readonly request: Direction | null;
  readonly response: Direction | null;
  /** The application is told that it may compress. */
  readonly advertise: boolean;
}

/** envoy.filters.http.decompressor. */
class DecompressorFilter implements HttpFilter {
  readonly name: string;
  readonly #fields: DecompressorFields;

  constructor(name: string, fields: DecompressorFields) {
    this.name = name;
    this.#fields = fields;
  }

  forRoute(): HttpFilter {
    return this;
  }

  onRequest(stream: FilteredStream): FilterVerdict {
    const { library, request, advertise } = this.#fields;
    const { head } = stream;
    if (advertise) {
      const accepted = headerValue(head.headers, 'accept-encoding');
      if (accepted === undefined) head.headers.push('accept-encoding', library.encoding);
      else if (!accepted.split(',').some((part) => part.split(';', 1)[0]!.trim().toLowerCase() === library.encoding))
        setHeader(head.headers, 'accept-encoding', `${accepted},${library.encoding}`);
    }
    if (request === null || stream.headIsAll || !takeOff(library.encoding, request, head.headers)) return PASS;
    head.bodyLength = -1;
    const transform = new ZlibTransform(stream.services.codec(library.codec), true, (detail) =>
      stream.breakOff(400, 'Bad Request', `decompression_failed{${detail}}`),
    );
    transform.source = stream.transformRequest(transform);
    return PASS;
  }

  onResponse(stream: FilteredStream, head: ResponseHead, fin: boolean): void {
    const { library, response } = this.#fields;
    if (response === null || fin || head.tunnel || stream.method === 'HEAD' || !takeOff(library.encoding, response, head.headers)) return;
    head.bodyLength = -1;
    const transform = new ZlibTransform(stream.services.codec(library.codec), true, (detail) => stream.breakOff(502, '', `decompression_failed{${detail}}`));
    transform.source = stream.transformResponse(transform);
  }
}

/** Takes the outermost encoding off a head that has this one; false: there is nothing to undo. */
function takeOff(encoding: string, direction: Direction, headers: HeaderList): boolean {
  if (!direction.ignoreNoTransform && forbidsTransform(headers)) return false;
  const encodings = (headerValue(headers, 'content-encoding') ?? '').split(',').map((text) => text.trim());
  if (encodings.at(-1)!.toLowerCase() !== encoding) return false;
  const rest = encodings.slice(0, -1).join(', ');
  if (rest === '') removeHeader(headers, 'content-encoding');
  else setHeader(headers, 'content-encoding', rest);
  if (headerIndex(headers, 'content-length') >= 0) removeHeader(headers, 'content-length');
  return true;
}

function compileDirection(config: Decompressor_CommonDirectionConfig | undefined, path: string, report: CompileReport): Direction | null {
  if (config !== undefined) checkFields(Decompressor_CommonDirectionConfigSchema, config, COMMON, path, report);
  return (config?.enabled?.defaultValue ?? true) ? { ignoreNoTransform: config?.ignoreNoTransformHeader ?? false } : null;
}

export const decompressorType: HttpFilterType = {
  typeName: DecompressorSchema.typeName,
  compile(any, name, path, _context, report) {
    const config = unpack(any, DecompressorSchema, path, report);
    if (config === undefined) return null;
    checkFields(DecompressorSchema, config, DECOMPRESSOR, path, report);
    const library = compileDecompressor(config.decompressorLibrary, `${path}.decompressor_library`, report);
    if (library === null) return null;
    const request = compileDirection(config.requestDirectionConfig?.commonConfig, `${path}.request_direction_config.common_config`, report);
    const response = compileDirection(config.responseDirectionConfig?.commonConfig, `${path}.response_direction_config.common_config`, report);
    const advertise = response !== null && (config.requestDirectionConfig?.advertiseAcceptEncoding ?? true);
    return new DecompressorFilter(name, { library, request, response, advertise });
  },
  settings: {},
};
