import { HeaderNames } from '../http/header-names.ts';
import type { UnderscoresAction } from '../http/underscores.ts';

/** Default of maxPipelinedBytes. */
export const MAX_PIPELINED_BYTES = 64 * 1024;

/** Limits and names of an HTTP/1 codec. Decoded once; everything is set. */
export interface Http1Options {
  /** Request line or status line, bytes. Default 16 KiB. */
  readonly maxStartLineBytes: number;
  /** Start line and all header lines, bytes. Default 60 KiB, as Envoy's max_request_headers_kb. */
  readonly maxHeadBytes: number;
  /** Header lines of a message, and apart from that of its trailers. Default 100, as Envoy's max_headers_count. */
  readonly maxHeaderCount: number;
  /** Trailers of a message, bytes. Default 16 KiB. */
  readonly maxTrailerBytes: number;
  /** Chunk extensions of a whole message, bytes. Default 16 KiB. */
  readonly maxChunkExtensionBytes: number;
  /** Bytes of further requests held while one is under way; then the transport is paused. Default 64 KiB. */
  readonly maxPipelinedBytes: number;
  /** Rest of a request body that is read and dropped to keep a connection whose answer went out early. Default 64 KiB. */
  readonly maxDiscardedBytes: number;
  /** 1xx responses before the final one. Default 16. */
  readonly maxInformational: number;
  /** Of requests. Default 'allow', as Envoy's headers_with_underscores_action. */
  readonly underscores: UnderscoresAction;
  /** Content of a message, bytes. Default no limit. */
  readonly maxBodyBytes: number;
  /** Named in the `Proxy-Status` (RFC 9209) of answers that the codec itself makes. */
  readonly proxyName: string;
  /** Shared by all connections of an engine. */
  readonly names: HeaderNames;
}

/** The defaults, with what is given in their place. */
export function http1Options(given: Partial<Http1Options> = {}): Http1Options {
  return Object.freeze({
    maxStartLineBytes: 16 * 1024,
    maxHeadBytes: 60 * 1024,
    maxHeaderCount: 100,
    maxTrailerBytes: 16 * 1024,
    maxChunkExtensionBytes: 16 * 1024,
    maxPipelinedBytes: MAX_PIPELINED_BYTES,
    maxDiscardedBytes: 64 * 1024,
    maxInformational: 16,
    underscores: 'allow',
    maxBodyBytes: Number.MAX_SAFE_INTEGER,
    proxyName: 'outrigger',
    names: given.names ?? new HeaderNames(),
    ...given,
  });
}
