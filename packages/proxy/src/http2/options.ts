import { HeaderNames } from '../http/header-names.ts';
import type { UnderscoresAction } from '../http/underscores.ts';
import { INITIAL_MAX_FRAME_BYTES, INITIAL_WINDOW_BYTES } from './frame.ts';
import type { FrameLimitSettings } from './frame-limits.ts';

/** Envoy's default of per_connection_buffer_limit_bytes. */
export const DEFAULT_BUFFER_LIMIT_BYTES = 1024 * 1024;

/** Limits and sizes of an HTTP/2 codec. Decoded once; everything is set. */
export interface Http2Options {
  /** SETTINGS_MAX_CONCURRENT_STREAMS that we allow the peer (server side). Default 1024. */
  readonly maxConcurrentStreams: number;
  /** Streams that we start at once before the peer's SETTINGS are here (client side). Default 100 (RFC 9113 section 6.5.2). */
  readonly initialConcurrentStreams: number;
  /** SETTINGS_INITIAL_WINDOW_SIZE, bytes; at least 65,535, which a peer may use before it reads SETTINGS. Default 1 MiB: 100 MB/s at 10 ms. */
  readonly streamWindowBytes: number;
  /** Up to which it grows by what the peer sends in a round trip, bytes. Default 16 MiB; a window that is given stays as it is. */
  readonly maxStreamWindowBytes: number;
  /** Receive window of the connection, bytes. Default 16 MiB. */
  readonly connectionWindowBytes: number;
  /** Bytes received for paused streams beyond which the connection's window is withheld too. Default 16 MiB. */
  readonly maxHeldBytes: number;
  /** SETTINGS_MAX_FRAME_SIZE, bytes. Default 16 KiB: a TLS record. */
  readonly maxFrameBytes: number;
  /** SETTINGS_HEADER_TABLE_SIZE of our decoder, bytes. Default 4096. */
  readonly decoderTableBytes: number;
  /** Most that our encoder's table uses of what the peer allows, bytes. Default 4096. */
  readonly encoderTableBytes: number;
  /** SETTINGS_MAX_HEADER_LIST_SIZE (names, values and 32 for each) and encoded block, bytes. Default 60 KiB. */
  readonly maxHeaderListBytes: number;
  /** Header lines of a message. Default 100. */
  readonly maxHeaderCount: number;
  /** CONTINUATION frames of one block. Default 32. */
  readonly maxContinuationFrames: number;
  /** Server side: burst of streams that end early by a reset, either side's (rapid reset, MadeYouReset); whole streams give back. Default 1000. */
  readonly maxResetBurst: number;
  /** Resets given back per second: timeouts at a busy client reset many streams, an attack a hundred times as many. Default 1000. */
  readonly resetsPerSecond: number;
  /** Burst of PING, SETTINGS, PRIORITY, WINDOW_UPDATE, empty and unknown frames; DATA and HEADERS give back. Default 1000. */
  readonly maxControlBurst: number;
  /** Control frames given back per second. Default 200. */
  readonly controlFramesPerSecond: number;
  /** Bytes not taken by the transport beyond which a peer that asks for more answers is cut off. Default 16 MiB. */
  readonly maxUnsentBytes: number;
  /** Frames written since so much waits for a peer that the streams are held (max_outbound_frames). Default 10 000. */
  readonly maxOutboundFrames: number;
  /** Of these PING, SETTINGS and RST_STREAM (max_outbound_control_frames). Default 1000. */
  readonly maxOutboundControlFrames: number;
  /** Limits of single kinds of frames beside the bursts; null: none. */
  readonly frameLimits: FrameLimitSettings | null;
  /** A malformed message ends the connection, not its stream alone (Envoy without stream_error_on_invalid_http_message). Default false, as RFC 9113 has it. */
  readonly malformedEndsConnection: boolean;
  /** Server side. Default 'allow', as Envoy's headers_with_underscores_action. */
  readonly underscores: UnderscoresAction;
  /** Sent in SETTINGS beside our own (custom_settings_parameters). */
  readonly customSettings: readonly (readonly [id: number, value: number])[];
  /** 1xx responses before the final one. Default 16. */
  readonly maxInformational: number;
  /** Named in the `Proxy-Status` (RFC 9209) of answers that the codec itself makes. */
  readonly proxyName: string;
  /** Coarse monotonic clock for the two rates, milliseconds. */
  readonly nowMs: () => number;
  /** Shared by all connections of an engine. */
  readonly names: HeaderNames;
}

/** The defaults, with what is given in their place. */
export function http2Options(given: Partial<Http2Options> & Pick<Http2Options, 'nowMs'>): Http2Options {
  return Object.freeze({
    maxConcurrentStreams: 1024,
    initialConcurrentStreams: 100,
    streamWindowBytes: 1024 * 1024,
    maxStreamWindowBytes: given.streamWindowBytes === undefined ? 16 * 1024 * 1024 : 0,
    connectionWindowBytes: 16 * 1024 * 1024,
    maxHeldBytes: 16 * 1024 * 1024,
    maxFrameBytes: 16 * 1024,
    decoderTableBytes: 4096,
    encoderTableBytes: 4096,
    maxHeaderListBytes: 60 * 1024,
    maxHeaderCount: 100,
    maxContinuationFrames: 32,
    maxResetBurst: 1000,
    resetsPerSecond: 1000,
    maxControlBurst: 1000,
    controlFramesPerSecond: 200,
    maxUnsentBytes: 16 * 1024 * 1024,
    maxOutboundFrames: 10_000,
    maxOutboundControlFrames: 1000,
    frameLimits: null,
    malformedEndsConnection: false,
    underscores: 'allow',
    customSettings: [],
    maxInformational: 16,
    proxyName: 'outrigger',
    names: given.names ?? new HeaderNames(),
    ...given,
    ...(given.streamWindowBytes === undefined ? {} : { streamWindowBytes: Math.max(INITIAL_WINDOW_BYTES, given.streamWindowBytes) }),
    ...(given.connectionWindowBytes === undefined ? {} : { connectionWindowBytes: Math.max(INITIAL_WINDOW_BYTES, given.connectionWindowBytes) }),
    ...(given.maxFrameBytes === undefined ? {} : { maxFrameBytes: Math.max(INITIAL_MAX_FRAME_BYTES, given.maxFrameBytes) }),
  });
}

/**
 * per_connection_buffer_limit_bytes where it asks for less than Envoy's default: a peer cannot have more under way than we would keep for it, were
 * all its streams held back.
 */
export function windowsWithin(bufferLimitBytes: number): Partial<Http2Options> {
  if (bufferLimitBytes >= DEFAULT_BUFFER_LIMIT_BYTES) return {};
  return { maxHeldBytes: bufferLimitBytes, connectionWindowBytes: bufferLimitBytes, streamWindowBytes: bufferLimitBytes };
}
