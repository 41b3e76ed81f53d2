import { ComparisonFilter_Op } from '@outrigger/xds/protos/envoy/config/accesslog/v3/accesslog';
import type { FilterSchema } from '@outrigger/xds/protos/envoy/config/listener/v3/listener_components';
import { OpenTelemetryConfigSchema } from '@outrigger/xds/protos/envoy/config/trace/v3/opentelemetry';
import { CorsSchema } from '@outrigger/xds/protos/envoy/extensions/filters/http/cors/v3/cors';
import { FilterConfigSchema as DynamicForwardProxySchema } from '@outrigger/xds/protos/envoy/extensions/filters/http/dynamic_forward_proxy/v3/dynamic_forward_proxy';
import { HTTPFaultSchema } from '@outrigger/xds/protos/envoy/extensions/filters/http/fault/v3/fault';
import { RouterSchema } from '@outrigger/xds/protos/envoy/extensions/filters/http/router/v3/router';
import {
  HttpConnectionManager_CodecType,
  HttpConnectionManager_ForwardClientCertDetails,
  HttpConnectionManager_PathWithEscapedSlashesAction,
  HttpConnectionManager_ServerHeaderTransformation,
  HttpConnectionManagerSchema,
  type HttpFilterSchema,
  type ResponseMapperSchema,
} from '@outrigger/xds/protos/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager';
import { UuidRequestIdConfigSchema } from '@outrigger/xds/protos/envoy/extensions/request_id/uuid/v3/uuid';
import { OTLP_CLUSTER } from '../cluster-name.ts';
import { dnsCache } from '../clusters/dns-cache.ts';
import { http1Options } from '../http1.ts';
import { any, filter, type Init, milliseconds } from '../messages.ts';
import { hostPortText } from '../node.ts';
import type { Reader } from '../reader.ts';
import { CORS_FILTER, FAULT_FILTER } from '../routes/filters.ts';
import { overwrite } from '../routes/headers.ts';
import type { PathNormalization } from '../settings.ts';
import { accessLogs } from './access-log.ts';
import { tracingWishes } from './telemetry.ts';
import { parentBasedSampler } from './trace-sampler.ts';

type ManagerInit = Init<typeof HttpConnectionManagerSchema>;
type HttpFilter = Init<typeof HttpFilterSchema>;

const RANDOM_SAMPLING_PERCENT = 1;
const OTLP_TIMEOUT_MS = 1_000;
const FORBIDDEN = 403;
const REQUEST_HEADERS_TIMEOUT_MS = 10_000;

export interface ManagerOptions {
  readonly statPrefix: string;
  readonly routes: ManagerInit['routeSpecifier'] & object;
  readonly direction: 'inbound' | 'outbound';
  /** Filters before the router. */
  readonly filters: readonly HttpFilter[];
  readonly upgrades: readonly string[];
  /** Inbound under mTLS: pass the caller's identity on. */
  readonly forwardPeer?: boolean;
  /** At the edge of the mesh: what clients say of where they come from is not believed. `verifiedClient`: TLS asks for their certificate. */
  readonly edge?: { readonly verifiedClient: boolean };
}

/** What every HTTP connection manager of the mesh has in common. */
export function connectionManager(reader: Reader, options: ManagerOptions): Init<typeof FilterSchema> {
  const { node } = reader;
  const outbound = options.direction === 'outbound';
  const name = `${node.workload}.${node.namespace}`;
  return filter('envoy.filters.network.http_connection_manager', HttpConnectionManagerSchema, {
    codecType: HttpConnectionManager_CodecType.AUTO,
    statPrefix: options.statPrefix,
    routeSpecifier: options.routes,
    httpFilters: [...options.filters, filter('envoy.filters.http.router', RouterSchema, { suppressEnvoyHeaders: true, startChildSpan: false })],
    upgradeConfigs: options.upgrades.map((upgradeType) => ({ upgradeType })),
    httpProtocolOptions: http1Options(node),
    http2ProtocolOptions: { allowConnect: true },
    // Whether content is wanted is the application's to say.
    proxy100Continue: node.dataPlane === 'envoy',
    generateRequestId: true,
    preserveExternalRequestId: true,
    // An Envoy writes why it traced into the id, also into one that it only passes on, and draws by it.
    ...(node.dataPlane === 'envoy'
      ? { requestIdExtension: { typedConfig: any(UuidRequestIdConfigSchema, { packTraceReason: false, useRequestIdForTraceSampling: false }) } }
      : {}),
    ...pathNormalization(reader.settings.pathNormalization),
    // Applications see what was sent to them: no server header, no idle timeout of the mesh's.
    serverHeaderTransformation: HttpConnectionManager_ServerHeaderTransformation.PASS_THROUGH,
    streamIdleTimeout: milliseconds(0),
    // Of a request's own head, from its first byte: nobody with good reason sends one for longer.
    requestHeadersTimeout: milliseconds(REQUEST_HEADERS_TIMEOUT_MS),
    useRemoteAddress: options.edge !== undefined,
    skipXffAppend: options.edge === undefined,
    ...(options.edge === undefined
      ? {}
      : {
          forwardClientCertDetails: HttpConnectionManager_ForwardClientCertDetails[options.edge.verifiedClient ? 'SANITIZE_SET' : 'SANITIZE'],
          ...(options.edge.verifiedClient ? { setCurrentClientCertDetails: { subject: true, uri: true, dns: true } } : {}),
        }),
    ...(outbound
      ? {}
      : {
          forwardClientCertDetails: HttpConnectionManager_ForwardClientCertDetails[options.forwardPeer === true ? 'SANITIZE_SET' : 'SANITIZE'],
          ...(options.forwardPeer === true ? { setCurrentClientCertDetails: { uri: true } } : {}),
        }),
    proxyStatusConfig: { proxyName: { case: 'literalProxyName', value: name } },
    ...(node.dataPlane === 'envoy' && (!outbound || options.edge !== undefined) ? { localReplyConfig: { mappers: [signedRefusal(name)] } } : {}),
    accessLog: accessLogs(reader, 'http', options.direction),
    ...tracing(reader, options.direction),
  });
}

function pathNormalization(how: PathNormalization): Pick<ManagerInit, 'normalizePath' | 'mergeSlashes' | 'pathWithEscapedSlashesAction'> {
  return {
    normalizePath: how !== 'NONE',
    ...(how === 'MERGE_SLASHES' || how === 'DECODE_AND_MERGE_SLASHES' ? { mergeSlashes: true } : {}),
    ...(how === 'DECODE_AND_MERGE_SLASHES' ? { pathWithEscapedSlashesAction: HttpConnectionManager_PathWithEscapedSlashesAction.UNESCAPE_AND_FORWARD } : {}),
  };
}

/** Envoy has no response flag, and so no Proxy-Status, for what RBAC refuses: it is signed here. */
function signedRefusal(name: string): Init<typeof ResponseMapperSchema> {
  return {
    filter: {
      filterSpecifier: {
        case: 'statusCodeFilter',
        value: { comparison: { op: ComparisonFilter_Op.EQ, value: { defaultValue: FORBIDDEN, runtimeKey: 'outrigger.signed_refusal' } } },
      },
    },
    headersToAdd: [overwrite('proxy-status', `${name}; error=http_request_denied; details="%RESPONSE_CODE_DETAILS%"`)],
  };
}

function tracing(reader: Reader, direction: ManagerOptions['direction']): Pick<ManagerInit, 'tracing'> {
  const { node } = reader;
  const wishes = tracingWishes(reader, direction);
  const wanted = reader.settings.tracing || wishes.percent !== undefined;
  if (node.otlp === undefined || wishes.off || !wanted) return {};
  const percent = wishes.percent ?? RANDOM_SAMPLING_PERCENT;
  const uri = `http://${hostPortText(node.otlp)}/v1/traces`;
  const envoy = node.dataPlane === 'envoy';
  return {
    tracing: {
      // Envoy samples where its own draw AND the caller (or the sampler) say so, and would cut a caller's trace off: there the sampler decides alone.
      randomSampling: { value: envoy ? 100 : percent },
      ...(envoy ? { customTags: [...wishes.tags] } : {}),
      provider: filter('envoy.tracers.opentelemetry', OpenTelemetryConfigSchema, {
        httpService: { httpUri: { uri, httpUpstreamType: { case: 'cluster', value: OTLP_CLUSTER }, timeout: milliseconds(OTLP_TIMEOUT_MS) } },
        serviceName: `${node.workload}.${node.namespace}`,
        ...(envoy ? { sampler: parentBasedSampler(percent) } : {}),
      }),
    },
  };
}

/** Filters of an outbound chain: what a VirtualService's corsPolicy and fault switch on, and names outside the mesh. */
export function outboundFilters(withForwardProxy: boolean): readonly HttpFilter[] {
  return [
    filter(CORS_FILTER, CorsSchema),
    filter(FAULT_FILTER, HTTPFaultSchema),
    ...(withForwardProxy
      ? [
          filter('envoy.filters.http.dynamic_forward_proxy', DynamicForwardProxySchema, {
            implementationSpecifier: { case: 'dnsCacheConfig', value: dnsCache },
          }),
        ]
      : []),
  ];
}
