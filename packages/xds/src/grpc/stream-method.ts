import { constants, type Http2ServerRequest, type Http2ServerResponse } from 'node:http2';
import { Code, ConnectError } from '@connectrpc/connect';
import type { Caller } from '../source.ts';
import { frameMessage, MessageSplitter, MessageSplitterError } from './message-splitter.ts';

export interface StreamContext {
  readonly caller: Caller;
  /** Aborted when the client has gone. */
  readonly signal: AbortSignal;
}

/**
 * A bidirectional method, from encoded messages to encoded messages. Ends the call with the code of a `ConnectError` that it throws. connect's handlers
 * pass each message through eight generators, which at 2,000 messages a second was most of a control plane's time (npm run bench:control-plane).
 */
export type StreamMethod = (requests: AsyncIterable<Uint8Array>, context: StreamContext) => AsyncIterable<Uint8Array>;
/** By "/package.Service/Method". */
export type StreamMethods = ReadonlyMap<string, StreamMethod>;

const CONTENT_TYPE = 'application/grpc';

/** One call (gRPC over HTTP/2). */
export async function serveStream(
  method: StreamMethod,
  request: Http2ServerRequest,
  response: Http2ServerResponse,
  caller: Caller,
  maxRequestBytes: number,
): Promise<void> {
  response.on('error', () => {});
  // What the client still says is heard by nobody.
  response.once('finish', () => request.stream.close(constants.NGHTTP2_NO_ERROR));
  if (request.method !== 'POST' || !/^application\/grpc(?:$|[+;])/.test(request.headers['content-type'] ?? '')) {
    response.statusCode = 415;
    response.end();
    return;
  }
  const gone = new AbortController();
  response.once('close', () => gone.abort());
  let status = 0;
  let text = '';
  try {
    for await (const message of method(messagesOf(request, maxRequestBytes), { caller, signal: gone.signal })) {
      if (gone.signal.aborted) return;
      if (!response.headersSent) response.writeHead(200, { 'content-type': CONTENT_TYPE });
      if (!response.write(frameMessage(message))) await writable(response);
    }
  } catch (error) {
    const failure = error instanceof ConnectError ? error : new ConnectError('internal error', Code.Internal);
    status = failure.code;
    text = failure.rawMessage;
  }
  if (gone.signal.aborted) return;
  const trailers = { 'grpc-status': String(status), ...(text === '' ? {} : { 'grpc-message': encodeMessage(text) }) };
  if (response.headersSent) response.addTrailers(trailers);
  // "Trailers-Only": one HEADERS frame that ends the stream, which Node writes where nothing was written before `end`.
  else for (const [name, value] of Object.entries({ 'content-type': CONTENT_TYPE, ...trailers })) response.setHeader(name, value);
  response.end();
}

/** Read as they are asked for, so that a client that floods waits. */
async function* messagesOf(request: Http2ServerRequest, maxBytes: number): AsyncIterable<Uint8Array> {
  const splitter = new MessageSplitter(maxBytes);
  for await (const chunk of request.stream.iterator({ destroyOnReturn: false })) {
    const messages: Uint8Array[] = [];
    try {
      splitter.push(chunk as Buffer, (message) => messages.push(message));
    } catch (error) {
      if (error instanceof MessageSplitterError)
        throw new ConnectError(error.message, error.code === 'too-large' ? Code.ResourceExhausted : Code.Unimplemented);
      throw error;
    }
    yield* messages;
  }
}

/** Fulfilled when it takes more, or will take nothing any more. */
function writable(response: Http2ServerResponse): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      response.off('drain', done);
      response.off('close', done);
      resolve();
    };
    response.once('drain', done);
    response.once('close', done);
  });
}

/** gRPC over HTTP/2, "Percent-Encoded". */
function encodeMessage(text: string): string {
  let encoded = '';
  for (const byte of new TextEncoder().encode(text))
    encoded += byte < 0x20 || byte > 0x7e || byte === 0x25 ? `%${byte.toString(16).toUpperCase().padStart(2, '0')}` : String.fromCharCode(byte);
  return encoded;
}
