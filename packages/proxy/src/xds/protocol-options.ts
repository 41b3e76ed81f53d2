import type { ConfigSource } from '@outrigger/xds/protos/envoy/config/core/v3/config_source';
import {
  type Http1ProtocolOptions,
  Http1ProtocolOptionsSchema,
  type Http2ProtocolOptions,
  Http2ProtocolOptionsSchema,
  type HttpProtocolOptions,
  HttpProtocolOptions_HeadersWithUnderscoresAction,
  HttpProtocolOptionsSchema,
  type KeepaliveSettings,
  KeepaliveSettingsSchema,
} from '@outrigger/xds/protos/envoy/config/core/v3/protocol';
import type { UnderscoresAction } from '../http/underscores.ts';
import { INITIAL_WINDOW_BYTES, MAX_WINDOW_BYTES } from '../http2/frame.ts';
import type { KeepAliveSettings } from '../http2/keep-alive.ts';
import type { Http2Options } from '../http2/options.ts';
import type { CompileReport } from '../routing/compile-result.ts';
import { durationMs } from '../routing/duration.ts';
import { checkFields, fieldPolicy } from './fields.ts';

/** Envoy's, of requests and of responses. */
export const DEFAULT_MAX_HEADERS_COUNT = 100;
const DEFAULT_MAX_CONCURRENT_STREAMS = 1024;
const DEFAULT_KEEPALIVE_JITTER_PERCENT = 15;
/** Of Envoy, where one of these is set. */
const DEFAULT_CONSECUTIVE_EMPTY_FRAMES = 1;
const DEFAULT_PRIORITY_FRAMES_PER_STREAM = 100;
const DEFAULT_WINDOW_UPDATES_PER_DATA_FRAME = 10;
const MAX_STREAMS = 0x7fffffff;

/** Http2ProtocolOptions, decoded. */
export interface Http2Settings {
  /** Most streams at once on one connection: the peer's to us, and ours to an upstream. */
  readonly maxConcurrentStreams: number;
  /** Of the codec, where they are not its defaults. */
  readonly codec: Partial<Http2Options>;
  /** null: no PINGs. */
  readonly keepAlive: KeepAliveSettings | null;
}

const DOWNSTREAM = fieldPolicy(
  'idle_timeout max_connection_duration max_headers_count max_stream_duration headers_with_underscores_action max_requests_per_connection',
);
// Envoy's headers_with_underscores_action has no effect on responses.
const UPSTREAM = fieldPolicy(
  'idle_timeout max_connection_duration max_requests_per_connection headers_with_underscores_action max_headers_count',
  'max_stream_duration',
);
// HTTP/1.0 always passes as it is; a host made up for it would be matched against routes.
// Of the others some ask for what always holds here (absolute URLs, methods of any name, trailers passed, names' case kept, no h2c upgrade), and
// some for what never does: a length beside a coding is refused, and a broken message ends its connection.
const HTTP1 = fieldPolicy(
  'accept_http_10',
  `allow_chunked_length allow_absolute_url header_key_format enable_trailers override_stream_error_on_invalid_http_message send_fully_qualified_url use_balsa_parser
   allow_custom_methods ignore_http_11_upgrade`,
);
const HTTP2 = fieldPolicy(
  `max_concurrent_streams allow_connect hpack_table_size initial_stream_window_size initial_connection_window_size max_outbound_frames
   max_outbound_control_frames max_consecutive_inbound_frames_with_empty_payload max_inbound_priority_frames_per_stream
   max_inbound_window_update_frames_per_data_frame_sent stream_error_on_invalid_http_messaging override_stream_error_on_invalid_http_message
   custom_settings_parameters connection_keepalive`,
  'allow_metadata use_oghttp2_codec max_metadata_size',
);
const KEEPALIVE = fieldPolicy('interval timeout interval_jitter connection_idle_interval');

export function checkCommonOptions(options: HttpProtocolOptions | undefined, side: 'downstream' | 'upstream', path: string, report: CompileReport): void {
  if (options !== undefined) checkFields(HttpProtocolOptionsSchema, options, side === 'downstream' ? DOWNSTREAM : UPSTREAM, path, report);
}

export function compileUnderscores(options: HttpProtocolOptions | undefined): UnderscoresAction {
  switch (options?.headersWithUnderscoresAction) {
    case HttpProtocolOptions_HeadersWithUnderscoresAction.REJECT_REQUEST:
      return 'reject';
    case HttpProtocolOptions_HeadersWithUnderscoresAction.DROP_HEADER:
      return 'drop';
    default:
      return 'allow';
  }
}

export function checkHttp1Options(options: Http1ProtocolOptions | undefined, path: string, report: CompileReport): void {
  if (options !== undefined) checkFields(Http1ProtocolOptionsSchema, options, HTTP1, path, report);
}

const WITHOUT: Http2Settings = Object.freeze({ maxConcurrentStreams: DEFAULT_MAX_CONCURRENT_STREAMS, codec: Object.freeze({}), keepAlive: null });

/** `streamError`: of the HTTP connection manager, which the options' own overrides. */
export function compileHttp2(options: Http2ProtocolOptions | undefined, streamError: boolean | undefined, path: string, report: CompileReport): Http2Settings {
  if (options !== undefined) checkFields(Http2ProtocolOptionsSchema, options, HTTP2, path, report);
  else if (streamError === undefined) return WITHOUT;
  const { initialStreamWindowSize, initialConnectionWindowSize, hpackTableSize, maxOutboundFrames, maxOutboundControlFrames } = options ?? {};
  for (const [name, bytes] of [
    ['initial_stream_window_size', initialStreamWindowSize],
    ['initial_connection_window_size', initialConnectionWindowSize],
  ] as const)
    if (bytes !== undefined && (bytes < INITIAL_WINDOW_BYTES || bytes > MAX_WINDOW_BYTES))
      report.error(`${path}.${name}`, `must be from ${INITIAL_WINDOW_BYTES} to ${MAX_WINDOW_BYTES}`);
  const streamErrors = options?.overrideStreamErrorOnInvalidHttpMessage ?? streamError;
  return {
    maxConcurrentStreams: Math.min(options?.maxConcurrentStreams ?? DEFAULT_MAX_CONCURRENT_STREAMS, MAX_STREAMS),
    codec: {
      ...(initialStreamWindowSize === undefined ? {} : { streamWindowBytes: initialStreamWindowSize }),
      ...(initialConnectionWindowSize === undefined ? {} : { connectionWindowBytes: initialConnectionWindowSize }),
      ...(hpackTableSize === undefined ? {} : { decoderTableBytes: hpackTableSize, encoderTableBytes: hpackTableSize }),
      ...(maxOutboundFrames === undefined ? {} : { maxOutboundFrames }),
      ...(maxOutboundControlFrames === undefined ? {} : { maxOutboundControlFrames }),
      ...(streamErrors === undefined ? {} : { malformedEndsConnection: !streamErrors }),
      ...frameLimits(options),
      ...(options === undefined || options.customSettingsParameters.length === 0
        ? {}
        : { customSettings: options.customSettingsParameters.map(({ identifier, value }) => [identifier ?? 0, value ?? 0] as const) }),
    },
    keepAlive: compileKeepAlive(options?.connectionKeepalive, `${path}.connection_keepalive`, report),
  };
}

function frameLimits(options: Http2ProtocolOptions | undefined): Partial<Http2Options> {
  const empty = options?.maxConsecutiveInboundFramesWithEmptyPayload;
  const priority = options?.maxInboundPriorityFramesPerStream;
  const updates = options?.maxInboundWindowUpdateFramesPerDataFrameSent;
  if (empty === undefined && priority === undefined && updates === undefined) return {};
  return {
    frameLimits: {
      consecutiveEmptyFrames: empty ?? DEFAULT_CONSECUTIVE_EMPTY_FRAMES,
      priorityFramesPerStream: priority ?? DEFAULT_PRIORITY_FRAMES_PER_STREAM,
      windowUpdatesPerDataFrame: updates ?? DEFAULT_WINDOW_UPDATES_PER_DATA_FRAME,
    },
  };
}

function compileKeepAlive(given: KeepaliveSettings | undefined, path: string, report: CompileReport): KeepAliveSettings | null {
  if (given === undefined) return null;
  checkFields(KeepaliveSettingsSchema, given, KEEPALIVE, path, report);
  const timeoutMs = durationMs(given.timeout, 0);
  if (timeoutMs < 1) report.error(`${path}.timeout`, 'must be at least 1 ms');
  return {
    intervalMs: durationMs(given.interval, 0),
    timeoutMs,
    jitterPercent: given.intervalJitter?.value ?? DEFAULT_KEEPALIVE_JITTER_PERCENT,
    idleIntervalMs: durationMs(given.connectionIdleInterval, 0),
  };
}

/** What names another source than the stream that it came on would be waited for in vain. */
export function checkAds(source: ConfigSource | undefined, path: string, report: CompileReport): void {
  const specifier = source?.configSourceSpecifier.case;
  if (specifier !== 'ads' && specifier !== 'self') report.error(path, 'only ads is supported by this proxy');
}
