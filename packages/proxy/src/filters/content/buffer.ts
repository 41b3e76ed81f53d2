import { BufferPerRouteSchema, BufferSchema } from '@outrigger/xds/protos/envoy/extensions/filters/http/buffer/v3/buffer';
import { headerIndex } from '../../routing/headers.ts';
import { checkFields, fieldPolicy, unpack } from '../../xds/fields.ts';
import { type Cancellable, type FilteredStream, type FilterVerdict, type HttpFilter, type HttpFilterType, PASS, type RouteSetting } from '../http-filter.ts';
import { GatheredContent, type GatheringFilter } from './gathered-content.ts';

const BUFFER = fieldPolicy('max_request_bytes');
const TOO_LONG: FilterVerdict = { kind: 'refuse', status: 413, body: 'Payload Too Large', details: 'request_payload_too_large', flag: 0 };

/** 0: not here. */
class BufferLimit {
  readonly maxRequestBytes: number;
  constructor(maxRequestBytes: number) {
    this.maxRequestBytes = maxRequestBytes;
  }
}

/** envoy.filters.http.buffer: a request goes on when all of its content is there. */
class BufferFilter implements HttpFilter {
  readonly name: string;
  readonly #maxRequestBytes: number;

  constructor(name: string, maxRequestBytes: number) {
    this.name = name;
    this.#maxRequestBytes = maxRequestBytes;
  }

  forRoute(settings: readonly RouteSetting[]): HttpFilter {
    const own = settings.find((setting) => setting instanceof BufferLimit);
    return own === undefined ? this : new BufferFilter(this.name, own.maxRequestBytes);
  }

  onRequest(stream: FilteredStream): FilterVerdict {
    const { head } = stream;
    if (this.#maxRequestBytes === 0 || stream.headIsAll || head.protocol !== '' || head.method === 'CONNECT') return PASS;
    if (head.bodyLength > this.#maxRequestBytes) return TOO_LONG;
    return { kind: 'wait', pending: new BufferedRequest(stream, this.#maxRequestBytes) };
  }
}

class BufferedRequest implements GatheringFilter, Cancellable {
  readonly #stream: FilteredStream;

  constructor(stream: FilteredStream, limitBytes: number) {
    this.#stream = stream;
    stream.transformRequest(new GatheredContent(limitBytes, this));
  }

  onGathered(content: GatheredContent): void {
    const { head } = this.#stream;
    if (headerIndex(head.headers, 'content-length') < 0) head.headers.push('content-length', String(content.bytes));
    head.bodyLength = content.bytes;
    this.#stream.goOn(PASS);
    content.release();
  }

  onTooLong(): void {
    this.#stream.goOn(TOO_LONG);
  }

  cancel(): void {}
}

export const bufferType: HttpFilterType = {
  typeName: BufferSchema.typeName,
  compile(any, name, path, _context, report) {
    const config = unpack(any, BufferSchema, path, report);
    if (config === undefined) return null;
    checkFields(BufferSchema, config, BUFFER, path, report);
    if (config.maxRequestBytes === undefined || config.maxRequestBytes === 0) report.error(`${path}.max_request_bytes`, 'must be more than 0');
    return new BufferFilter(name, config.maxRequestBytes ?? 0);
  },
  settings: {
    [BufferPerRouteSchema.typeName](any, path, report) {
      const config = unpack(any, BufferPerRouteSchema, path, report);
      if (config?.override.case === 'disabled') return new BufferLimit(0);
      if (config?.override.case === 'buffer') return new BufferLimit(config.override.value.maxRequestBytes ?? 0);
      report.error(path, 'needs one of disabled, buffer');
      return null;
    },
  },
};
