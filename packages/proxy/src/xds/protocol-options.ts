import type { ConfigSource } from '@outrigger/xds/protos/envoy/config/core/v3/config_source';
import {
  type Http1ProtocolOptions,
  Http1ProtocolOptionsSchema,
  type Http2ProtocolOptions,
  Http2ProtocolOptionsSchema,
  type HttpProtocolOptions,
  HttpProtocolOptions_HeadersWithUnderscoresAction,
  HttpProtocolOptionsSchema,
} from '@outrigger/xds/protos/envoy/config/core/v3/protocol';
import type { CompileReport } from '../routing/compile-result.ts';
import { checkFields, fieldPolicy } from './fields.ts';

const DOWNSTREAM = fieldPolicy(
  'idle_timeout max_connection_duration max_headers_count max_stream_duration headers_with_underscores_action',
  'max_response_headers_kb max_requests_per_connection',
);
const UPSTREAM = fieldPolicy(
  'idle_timeout max_connection_duration max_requests_per_connection headers_with_underscores_action',
  'max_headers_count max_response_headers_kb max_stream_duration',
);
// HTTP/1.0 always passes as it is; a host made up for it would be matched against routes.
const HTTP1 = fieldPolicy(
  'accept_http_10',
  `allow_chunked_length allow_absolute_url header_key_format enable_trailers override_stream_error_on_invalid_http_message send_fully_qualified_url use_balsa_parser
   allow_custom_methods ignore_http_11_upgrade`,
);
const HTTP2 = fieldPolicy(
  'max_concurrent_streams allow_connect',
  `hpack_table_size initial_stream_window_size initial_connection_window_size allow_metadata max_outbound_frames max_outbound_control_frames
   max_consecutive_inbound_frames_with_empty_payload max_inbound_priority_frames_per_stream max_inbound_window_update_frames_per_data_frame_sent
   stream_error_on_invalid_http_messaging override_stream_error_on_invalid_http_message custom_settings_parameters connection_keepalive use_oghttp2_codec
   max_metadata_size`,
);

export function checkCommonOptions(options: HttpProtocolOptions | undefined, side: 'downstream' | 'upstream', path: string, report: CompileReport): void {
  if (options === undefined) return;
  checkFields(HttpProtocolOptionsSchema, options, side === 'downstream' ? DOWNSTREAM : UPSTREAM, path, report);
  // An application behind it may take "x_a" for "x-a", which some policy looked at: whoever asks for this relies on it.
  if (options.headersWithUnderscoresAction !== HttpProtocolOptions_HeadersWithUnderscoresAction.ALLOW)
    report.error(`${path}.headers_with_underscores_action`, 'only ALLOW is supported by this proxy');
}

export function checkHttp1Options(options: Http1ProtocolOptions | undefined, path: string, report: CompileReport): void {
  if (options !== undefined) checkFields(Http1ProtocolOptionsSchema, options, HTTP1, path, report);
}

export function checkHttp2Options(options: Http2ProtocolOptions | undefined, path: string, report: CompileReport): void {
  if (options !== undefined) checkFields(Http2ProtocolOptionsSchema, options, HTTP2, path, report);
}

/** What names another source than the stream that it came on would be waited for in vain. */
export function checkAds(source: ConfigSource | undefined, path: string, report: CompileReport): void {
  const specifier = source?.configSourceSpecifier.case;
  if (specifier !== 'ads' && specifier !== 'self') report.error(path, 'only ads is supported by this proxy');
}
