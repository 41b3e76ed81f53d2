import type { AccessLogSchema } from '@outrigger/xds/protos/envoy/config/accesslog/v3/accesslog';
import { ApiVersion } from '@outrigger/xds/protos/envoy/config/core/v3/config_source';
import { FileAccessLogSchema } from '@outrigger/xds/protos/envoy/extensions/access_loggers/file/v3/file';
import { HttpGrpcAccessLogConfigSchema, TcpGrpcAccessLogConfigSchema } from '@outrigger/xds/protos/envoy/extensions/access_loggers/grpc/v3/als';
import { ADS_CLUSTER } from '../cluster-name.ts';
import { filter, type Init, milliseconds } from '../messages.ts';
import type { Reader } from '../reader.ts';
import { PEER_FILTER_STATE } from './peer.ts';
import { isLogOff } from './telemetry.ts';

type AccessLogInit = Init<typeof AccessLogSchema>;

/** Keys as Istio's JSON log has them, with the same commands. */
const FORMAT: Readonly<Record<string, string>> = {
  start_time: '%START_TIME%',
  method: '%REQ(:METHOD)%',
  path: '%REQ(X-ENVOY-ORIGINAL-PATH?:PATH)%',
  protocol: '%PROTOCOL%',
  authority: '%REQ(:AUTHORITY)%',
  response_code: '%RESPONSE_CODE%',
  response_flags: '%RESPONSE_FLAGS%',
  response_code_details: '%RESPONSE_CODE_DETAILS%',
  connection_termination_details: '%CONNECTION_TERMINATION_DETAILS%',
  upstream_transport_failure_reason: '%UPSTREAM_TRANSPORT_FAILURE_REASON%',
  bytes_received: '%BYTES_RECEIVED%',
  bytes_sent: '%BYTES_SENT%',
  duration: '%DURATION%',
  upstream_service_time: '%RESPONSE_DURATION%',
  request_id: '%REQ(X-REQUEST-ID)%',
  traceparent: '%REQ(TRACEPARENT)%',
  user_agent: '%REQ(USER-AGENT)%',
  route_name: '%ROUTE_NAME%',
  upstream_cluster: '%UPSTREAM_CLUSTER_RAW%',
  upstream_host: '%UPSTREAM_HOST%',
  upstream_request_attempt_count: '%UPSTREAM_REQUEST_ATTEMPT_COUNT%',
  downstream_local_address: '%DOWNSTREAM_LOCAL_ADDRESS%',
  downstream_remote_address: '%DOWNSTREAM_REMOTE_ADDRESS%',
  downstream_peer_uri_san: '%DOWNSTREAM_PEER_URI_SAN%',
  requested_server_name: '%REQUESTED_SERVER_NAME%',
};

/** Name under which Envoys report, as the control plane's access log service knows it. */
export const ALS_LOG_NAME = 'outrigger';
const ALS_FLUSH_MS = 1_000;

export function accessLogs(reader: Reader, kind: 'http' | 'tcp', direction: 'inbound' | 'outbound'): AccessLogInit[] {
  const { node, settings } = reader;
  const logs: AccessLogInit[] = [];
  const path = node.accessLog ?? settings.accessLog?.file;
  if (path !== undefined && !isLogOff(reader, direction)) {
    logs.push(
      filter('envoy.access_loggers.file', FileAccessLogSchema, {
        path,
        accessLogFormat: { case: 'logFormat', value: { format: formatOf(settings.accessLog?.format) } },
      }),
    );
  }
  if (node.dataPlane === 'envoy') {
    const commonConfig = {
      logName: ALS_LOG_NAME,
      transportApiVersion: ApiVersion.V3,
      grpcService: { targetSpecifier: { case: 'envoyGrpc', value: { clusterName: ADS_CLUSTER } } as const },
      bufferFlushInterval: milliseconds(ALS_FLUSH_MS),
      filterStateObjectsToLog: [PEER_FILTER_STATE],
    };
    logs.push(
      kind === 'http'
        ? filter('envoy.access_loggers.http_grpc', HttpGrpcAccessLogConfigSchema, { commonConfig })
        : filter('envoy.access_loggers.tcp_grpc', TcpGrpcAccessLogConfigSchema, { commonConfig }),
    );
  }
  return logs;
}

function formatOf(written: string | Readonly<Record<string, string>> = FORMAT) {
  return typeof written === 'string'
    ? ({ case: 'textFormatSource', value: { specifier: { case: 'inlineString', value: written } } } as const)
    : ({ case: 'jsonFormat', value: { ...written } } as const);
}
