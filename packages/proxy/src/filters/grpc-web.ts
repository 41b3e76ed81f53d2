import { GrpcWebSchema } from '@outrigger/xds/protos/envoy/extensions/filters/http/grpc_web/v3/grpc_web';
import type { HeaderList, ResponseHead } from '../http/message.ts';
import { headerValue, removeHeader, setHeader } from '../routing/headers.ts';
import { type ContentSink, type ContentTransform, type FilteredStream, type FilterVerdict, type HttpFilter, type HttpFilterType, PASS } from './http-filter.ts';

/** A frame of this kind carries trailers (gRPC-Web protocol, "Message framing"). */
const TRAILERS_FRAME = 0x80;
const FRAME_HEAD_BYTES = 5;
const NOTHING = Buffer.alloc(0);
const WEB = 'application/grpc-web';
const WEB_TEXT = 'application/grpc-web-text';

/** "+proto" of "application/grpc-web+proto"; undefined: it is another content type. */
function subtypeOf(type: string | undefined, base: string): string | undefined {
  if (type === undefined || !type.startsWith(base)) return undefined;
  const rest = type.slice(base.length);
  return rest === '' || rest.startsWith('+') || rest.startsWith(';') ? rest : undefined;
}

/** Of one call: what its client speaks. */
interface WebCall {
  readonly text: boolean;
}

/** envoy.filters.http.grpc_web: a browser's gRPC-Web, over any HTTP, becomes gRPC for the application. */
class GrpcWebFilter implements HttpFilter {
  readonly name: string;

  constructor(name: string) {
    this.name = name;
  }

  forRoute(): HttpFilter {
    return this;
  }

  onRequest(stream: FilteredStream): FilterVerdict {
    const { headers } = stream.head;
    const type = headerValue(headers, 'content-type');
    const textSubtype = subtypeOf(type, WEB_TEXT);
    const subtype = textSubtype ?? subtypeOf(type, WEB);
    if (subtype === undefined) return PASS;
    const text = textSubtype !== undefined;
    stream.keep(this, { text } satisfies WebCall);
    removeHeader(headers, 'content-length');
    stream.head.bodyLength = stream.headIsAll ? 0 : -1;
    setHeader(headers, 'content-type', `application/grpc${subtype}`);
    setHeader(headers, 'te', 'trailers');
    setHeader(headers, 'grpc-accept-encoding', 'identity,deflate,gzip');
    if (text && !stream.headIsAll) stream.transformRequest(new Base64Decoder(stream));
    return PASS;
  }

  onResponse(stream: FilteredStream, head: ResponseHead, fin: boolean): void {
    const call = stream.stateOf(this) as WebCall | undefined;
    if (call === undefined) return;
    const type = headerValue(head.headers, 'content-type');
    const subtype = subtypeOf(type, 'application/grpc');
    // A page, or an error without a gRPC body: the client has to see it as it is.
    if (subtype === undefined) return;
    setHeader(head.headers, 'content-type', `${call.text ? WEB_TEXT : WEB}${subtype === '' ? '+proto' : subtype}`);
    if (fin) return;
    removeHeader(head.headers, 'content-length');
    head.bodyLength = -1;
    stream.transformResponse(new TrailersAsContent(call.text));
  }
}

/** gRPC-Web text: base64, in one run or in padded pieces, cut anywhere. */
class Base64Decoder implements ContentTransform {
  next!: ContentSink;
  readonly #stream: FilteredStream;
  #rest = '';

  constructor(stream: FilteredStream) {
    this.#stream = stream;
  }

  body(buffer: Buffer, start: number, end: number, fin: boolean): void {
    const text = this.#rest + buffer.latin1Slice(start, end);
    const whole = text.length - (text.length % 4);
    this.#rest = text.slice(whole);
    if ((fin && this.#rest !== '') || !/^(?:[A-Za-z0-9+/]{4}|[A-Za-z0-9+/]{3}=|[A-Za-z0-9+/]{2}==)*$/.test(text.slice(0, whole))) {
      this.#stream.breakOff(400, 'Bad gRPC-web request, invalid base64 data.', 'grpc_base_64_decode_failed');
      return;
    }
    const pieces: Buffer[] = [];
    for (const piece of text.slice(0, whole).match(/[^=]+=*/g) ?? []) pieces.push(Buffer.from(piece, 'base64'));
    const decoded = pieces.length === 1 ? pieces[0]! : Buffer.concat(pieces);
    this.next.body(decoded, 0, decoded.length, fin);
  }

  trailers(trailers: HeaderList): void {
    this.next.trailers(trailers);
  }

  cancel(): void {}
}

class TrailersAsContent implements ContentTransform {
  next!: ContentSink;
  readonly #text: boolean;

  constructor(text: boolean) {
    this.#text = text;
  }

  body(buffer: Buffer, start: number, end: number, fin: boolean): void {
    if (!this.#text) this.next.body(buffer, start, end, fin);
    else this.#encoded(buffer.toString('base64', start, end), fin);
  }

  trailers(trailers: HeaderList): void {
    let lines = '';
    for (let i = 0; i < trailers.length; i += 2) lines += `${trailers[i]!.toLowerCase()}:${trailers[i + 1]!}\r\n`;
    const frame = Buffer.allocUnsafe(FRAME_HEAD_BYTES + lines.length);
    frame[0] = TRAILERS_FRAME;
    frame.writeUInt32BE(lines.length, 1);
    frame.latin1Write(lines, FRAME_HEAD_BYTES);
    if (this.#text) this.#encoded(frame.toString('base64'), true);
    else this.next.body(frame, 0, frame.length, true);
  }

  #encoded(text: string, fin: boolean): void {
    const bytes = text === '' ? NOTHING : Buffer.from(text, 'latin1');
    this.next.body(bytes, 0, bytes.length, fin);
  }

  cancel(): void {}
}

export const grpcWebType: HttpFilterType = {
  typeName: GrpcWebSchema.typeName,
  compile: (_any, name) => new GrpcWebFilter(name),
  settings: {},
};
