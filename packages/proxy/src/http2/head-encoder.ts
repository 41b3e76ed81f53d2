import type { HeaderList, RequestHead, ResponseHead } from '../http/message.ts';
import { FIELD_OVERHEAD_BYTES, type HpackEncoder, SIZE_UPDATE_BYTES } from './hpack-encoder.ts';

/** Bytes that a header list takes as a block at most. */
function listBytes(headers: HeaderList): number {
  let bytes = SIZE_UPDATE_BYTES + headers.length * (FIELD_OVERHEAD_BYTES / 2);
  for (let i = 0; i < headers.length; i++) bytes += headers[i]!.length;
  return bytes;
}

/** Bytes that a request's pseudo-headers add beside their values. */
const REQUEST_BYTES = 160;
/** The same of a response. */
const RESPONSE_BYTES = 32;

export function requestBytes(head: RequestHead): number {
  return REQUEST_BYTES + head.method.length + head.path.length + head.authority.length + head.scheme.length + head.protocol.length + listBytes(head.headers);
}

export function responseBytes(head: ResponseHead): number {
  return RESPONSE_BYTES + listBytes(head.headers);
}

export function trailersBytes(trailers: HeaderList): number {
  return listBytes(trailers);
}

/** RFC 9113 section 8.3.1, and RFC 8441 for an upgrade. */
export function writeRequest(encoder: HpackEncoder, head: RequestHead): void {
  encoder.begin();
  const extended = head.protocol !== '';
  const connect = extended || head.method === 'CONNECT';
  encoder.field(':method', connect ? 'CONNECT' : head.method, false);
  if (extended || !connect) {
    encoder.field(':scheme', head.scheme, false);
    encoder.field(':path', head.path || '/', false);
  }
  if (extended) encoder.field(':protocol', head.protocol, false);
  if (head.authority !== '') encoder.field(':authority', head.authority, false);
  writeFields(encoder, head.headers, head.neverIndexed);
  if (head.expectContinue) encoder.field('expect', '100-continue', false);
}

export function writeResponse(encoder: HpackEncoder, head: ResponseHead): void {
  encoder.begin();
  // There is no 101 in HTTP/2: a tunnel is made by 200 (RFC 8441 section 5).
  encoder.field(':status', '' + (head.status === 101 ? 200 : head.status), false);
  writeFields(encoder, head.headers, head.neverIndexed);
}

export function writeTrailers(encoder: HpackEncoder, trailers: HeaderList): void {
  encoder.begin();
  writeFields(encoder, trailers, null);
}

function writeFields(encoder: HpackEncoder, headers: HeaderList, neverIndexed: readonly string[] | null): void {
  if (neverIndexed === null) for (let i = 0; i < headers.length; i += 2) encoder.field(headers[i]!, headers[i + 1]!, false);
  else for (let i = 0; i < headers.length; i += 2) encoder.field(headers[i]!, headers[i + 1]!, neverIndexed.includes(headers[i]!.toLowerCase()));
}
