import { RequestMethod } from '@outrigger/xds/protos/envoy/config/core/v3/base';
import {
  type HealthCheck,
  HealthCheck_GrpcHealthCheckSchema,
  type HealthCheck_HttpHealthCheck,
  HealthCheck_HttpHealthCheckSchema,
  type HealthCheck_Payload,
  HealthCheck_TcpHealthCheckSchema,
  HealthCheckSchema,
} from '@outrigger/xds/protos/envoy/config/core/v3/health_check';
import { CodecClientType } from '@outrigger/xds/protos/envoy/type/v3/http';
import type { Int64Range } from '@outrigger/xds/protos/envoy/type/v3/range';
import type { CompileReport } from '../routing/compile-result.ts';
import { durationMs } from '../routing/duration.ts';
import { compileHeaderMutations } from '../routing/header-mutations.ts';
import { compileStringMatcher } from '../routing/string-matcher.ts';
import { checkFields, fieldPolicy } from './fields.ts';
import type { HealthCheckConfig, HttpCheck, StatusRange } from './health-check-config.ts';

const HEALTH_CHECK = fieldPolicy(
  `timeout interval initial_jitter interval_jitter interval_jitter_percent unhealthy_threshold healthy_threshold reuse_connection http_health_check
   tcp_health_check grpc_health_check no_traffic_interval no_traffic_healthy_interval unhealthy_interval unhealthy_edge_interval healthy_edge_interval
   tls_options transport_socket_match_criteria`,
  'alt_port event_log_path event_logger event_service always_log_health_check_failures always_log_health_check_success',
);
const HTTP = fieldPolicy(
  `host path send receive response_buffer_size request_headers_to_add request_headers_to_remove expected_statuses retriable_statuses codec_client_type
   service_name_matcher method`,
);
const TCP = fieldPolicy('send receive');
const GRPC = fieldPolicy('service_name authority initial_metadata');

/** Envoy's defaults. */
const NO_TRAFFIC_INTERVAL_MS = 60_000;
const RESPONSE_BUFFER_BYTES = 1024;
const OK: readonly StatusRange[] = [{ start: 200, end: 201 }];
const METHODS_WITH_BODY = new Set(['POST', 'PUT', 'PATCH', 'OPTIONS']);
const NO_BYTES = Buffer.alloc(0);

function payload(given: HealthCheck_Payload | undefined, path: string, report: CompileReport): Buffer {
  const { payload: content } = given ?? {};
  if (content?.case === 'binary') return Buffer.from(content.value);
  if (content?.case === 'text') {
    if (/^([0-9a-f]{2})+$/i.test(content.value)) return Buffer.from(content.value, 'hex');
    report.error(`${path}.text`, 'must be bytes in hex ("000000FF")');
  } else if (given !== undefined) report.error(path, 'needs text or binary');
  return NO_BYTES;
}

function statuses(ranges: readonly Int64Range[], path: string, report: CompileReport): StatusRange[] {
  return ranges.map(({ start, end }, index) => {
    if (start >= end || start < 100n || end > 600n) report.error(`${path}[${index}]`, 'must begin at 100 or above, end at 600 or below, and not be empty');
    return { start: Number(start), end: Number(end) };
  });
}

function compileHttp(config: HealthCheck_HttpHealthCheck, path: string, report: CompileReport): HttpCheck {
  checkFields(HealthCheck_HttpHealthCheckSchema, config, HTTP, path, report);
  const method = config.method === RequestMethod.METHOD_UNSPECIFIED ? 'GET' : (RequestMethod[config.method] ?? '');
  if (method === 'CONNECT' || method === '') report.error(`${path}.method`, 'must be a method that an answer follows');
  if (config.send !== undefined && !METHODS_WITH_BODY.has(method)) report.error(`${path}.send`, `not with the method ${method}`);
  if (!/^[\x21-\x7e]+$/.test(config.path)) report.error(`${path}.path`, 'must be a path');
  if (!/^[\x21-\x7e]*$/.test(config.host)) report.error(`${path}.host`, 'must be a host');
  if (config.codecClientType === CodecClientType.HTTP3) report.error(`${path}.codec_client_type`, 'HTTP/3 is not supported by this proxy');
  const receive = config.receive.map((part, index) => payload(part, `${path}.receive[${index}]`, report));
  const responseBufferBytes = Number(config.responseBufferSize ?? RESPONSE_BUFFER_BYTES);
  if (responseBufferBytes > 0 && receive.reduce((sum, part) => sum + part.length, 0) > responseBufferBytes)
    report.error(`${path}.response_buffer_size`, 'is less than what is to be received');
  const expected = statuses(config.expectedStatuses, `${path}.expected_statuses`, report);
  return {
    kind: 'http',
    host: config.host,
    path: config.path,
    method,
    http2: config.codecClientType === CodecClientType.HTTP2,
    headers: compileHeaderMutations(
      config.requestHeadersToAdd,
      config.requestHeadersToRemove,
      `${path}.request_headers_to_add`,
      `${path}.request_headers_to_remove`,
      report,
    ),
    send: payload(config.send, `${path}.send`, report),
    receive,
    responseBufferBytes,
    expected: expected.length === 0 ? OK : expected,
    retriable: statuses(config.retriableStatuses, `${path}.retriable_statuses`, report),
    serviceName: config.serviceNameMatcher === undefined ? null : compileStringMatcher(config.serviceNameMatcher, `${path}.service_name_matcher`, report),
  };
}

function compileCheck({ healthChecker }: HealthCheck, path: string, report: CompileReport): HealthCheckConfig['check'] | null {
  switch (healthChecker.case) {
    case 'httpHealthCheck':
      return compileHttp(healthChecker.value, `${path}.http_health_check`, report);
    case 'tcpHealthCheck': {
      const at = `${path}.tcp_health_check`;
      checkFields(HealthCheck_TcpHealthCheckSchema, healthChecker.value, TCP, at, report);
      return {
        kind: 'tcp',
        send: payload(healthChecker.value.send, `${at}.send`, report),
        receive: healthChecker.value.receive.map((part, index) => payload(part, `${at}.receive[${index}]`, report)),
      };
    }
    case 'grpcHealthCheck': {
      const at = `${path}.grpc_health_check`;
      const { serviceName, authority, initialMetadata } = healthChecker.value;
      checkFields(HealthCheck_GrpcHealthCheckSchema, healthChecker.value, GRPC, at, report);
      return { kind: 'grpc', service: serviceName, authority, headers: compileHeaderMutations(initialMetadata, [], `${at}.initial_metadata`, '', report) };
    }
    case 'customHealthCheck':
      // checkFields has said so.
      return null;
    default:
      report.error(path, 'needs http_health_check, tcp_health_check or grpc_health_check');
      return null;
  }
}

/** Cluster.health_checks; null where there is none (or an error was reported). */
export function compileHealthCheck(configs: readonly HealthCheck[], path: string, report: CompileReport): HealthCheckConfig | null {
  const [config] = configs;
  if (config === undefined) return null;
  // As Envoy: an endpoint has one state, and which check would make it is not said.
  if (configs.length > 1) report.error(path, 'more than one health check of a cluster is not supported');
  const at = `${path}[0]`;
  checkFields(HealthCheckSchema, config, HEALTH_CHECK, at, report);
  const positive = (field: string, ms: number): number => {
    if (ms <= 0) report.error(`${at}.${field}`, 'must be more than 0');
    return ms;
  };
  const threshold = (field: string, value: number | undefined): number => {
    if (value === undefined) report.error(`${at}.${field}`, 'is missing');
    return value ?? 1;
  };
  const check = compileCheck(config, at, report);
  const intervalMs = positive('interval', durationMs(config.interval, 0));
  const noTrafficIntervalMs = positive('no_traffic_interval', durationMs(config.noTrafficInterval, NO_TRAFFIC_INTERVAL_MS));
  const unhealthyIntervalMs = positive('unhealthy_interval', durationMs(config.unhealthyInterval, intervalMs));
  const compiled = {
    timeoutMs: positive('timeout', durationMs(config.timeout, 0)),
    intervalMs,
    initialJitterMs: durationMs(config.initialJitter, 0),
    intervalJitterMs: durationMs(config.intervalJitter, 0),
    intervalJitterPercent: config.intervalJitterPercent,
    unhealthyThreshold: threshold('unhealthy_threshold', config.unhealthyThreshold),
    healthyThreshold: threshold('healthy_threshold', config.healthyThreshold),
    noTrafficIntervalMs,
    noTrafficHealthyIntervalMs: positive('no_traffic_healthy_interval', durationMs(config.noTrafficHealthyInterval, noTrafficIntervalMs)),
    unhealthyIntervalMs,
    unhealthyEdgeIntervalMs: positive('unhealthy_edge_interval', durationMs(config.unhealthyEdgeInterval, unhealthyIntervalMs)),
    healthyEdgeIntervalMs: positive('healthy_edge_interval', durationMs(config.healthyEdgeInterval, intervalMs)),
    reuseConnection: config.reuseConnection ?? true,
    alpn: config.tlsOptions === undefined ? null : config.tlsOptions.alpnProtocols,
    socketMatch: config.transportSocketMatchCriteria ?? null,
  };
  return check === null ? null : { check, ...compiled };
}
