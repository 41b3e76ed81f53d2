import { httpToGrpcStatus } from '../http/grpc-status.ts';
import { type HeaderList, type RequestHead, ResponseHead } from '../http/message.ts';
import { headerValue, removeHeader } from '../routing/headers.ts';
import type { RouteEntry } from '../routing/route-entry.ts';

const EMPTY = Buffer.alloc(0);

/** Of a request or an answer. */
export function isGrpc(headers: readonly string[]): boolean {
  const type = headerValue(headers, 'content-type');
  return type !== undefined && (type === 'application/grpc' || type.startsWith('application/grpc+') || type.startsWith('application/grpc;'));
}

/** grpc-message is percent-encoded (gRPC over HTTP/2, "Responses"). */
function grpcMessage(text: string): string {
  return text.replace(/[^\x20-\x24\x26-\x7e]/g, (character) =>
    [...Buffer.from(character)].map((byte) => `%${byte.toString(16).padStart(2, '0').toUpperCase()}`).join(''),
  );
}

/** Head of an answer that this proxy makes: in a gRPC call one that a gRPC client understands, without a body. */
export function localReplyHead(
  request: RequestHead,
  status: number,
  body: string,
  contentType = 'text/plain',
): { readonly head: ResponseHead; readonly body: Buffer } {
  const head = new ResponseHead();
  if (isGrpc(request.headers)) {
    head.status = 200;
    head.headers = ['content-type', 'application/grpc', 'grpc-status', String(httpToGrpcStatus(status))];
    if (body !== '') head.headers.push('grpc-message', grpcMessage(body));
    head.bodyLength = 0;
    return { head, body: EMPTY };
  }
  head.status = status;
  if (hasNoContent(status)) {
    head.bodyLength = 0;
    return { head, body: EMPTY };
  }
  const bytes = body === '' ? EMPTY : Buffer.from(body);
  head.bodyLength = bytes.length;
  head.headers = body === '' ? ['content-length', '0'] : ['content-length', String(bytes.length), 'content-type', contentType];
  return { head, body: request.method === 'HEAD' ? EMPTY : bytes };
}

/** Head of an answer that a route or a filter gives. */
export function directReplyHead(status: number, headers: HeaderList, bodyLength: number): ResponseHead {
  const head = new ResponseHead();
  head.status = status;
  head.headers = hasNoContent(status) ? [...headers] : ['content-length', String(bodyLength), ...headers];
  head.bodyLength = bodyLength;
  return head;
}

/** What a filter gives with its answer stands in the place of what is there; a name may come several times. */
export function addReplyHeaders(headers: HeaderList, given: HeaderList): void {
  for (let i = 0; i < given.length; i += 2) removeHeader(headers, given[i]!.toLowerCase());
  headers.push(...given);
}

/** In a gRPC call it is gRPC's. */
export function withoutContentType(headers: HeaderList): HeaderList {
  const left = [...headers];
  removeHeader(left, 'content-type');
  return left;
}

/** What a route answers itself; null: it forwards, or has nothing to say. */
export function routeAnswer(route: RouteEntry, head: RequestHead): { readonly status: number; readonly headers: HeaderList; readonly body: Buffer } | null {
  const { redirect, direct } = route.fields;
  if (route.kind === 'redirect') return { status: redirect!.status, headers: ['location', redirect!.location(head)], body: EMPTY };
  if (route.kind !== 'direct-response') return null;
  const body = Buffer.from(direct!.body.buffer, direct!.body.byteOffset, direct!.body.length);
  return { status: direct!.status, headers: body.length > 0 ? ['content-type', 'text/plain'] : [], body };
}

/** RFC 9110 section 6.4.1; nor is there a length to tell. */
function hasNoContent(status: number): boolean {
  return status === 204 || status === 304;
}
