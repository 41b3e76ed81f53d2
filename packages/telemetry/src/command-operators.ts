import { formatResponseFlags, formatResponseFlagsLong } from './response-flags.ts';
import type { StreamInfo } from './stream-info.ts';
import { compileTimeFormat } from './time-format.ts';

/** Reads one value of a stream: text ('' where it has none) or a number (-1 where it has none). */
export type Operator =
  | { readonly kind: 'text'; readonly read: (info: StreamInfo) => string }
  /** '' is a value too. */
  | { readonly kind: 'content'; readonly read: (info: StreamInfo) => string }
  | { readonly kind: 'number'; readonly read: (info: StreamInfo) => number };

export function headerText(headers: readonly string[], lowerName: string): string {
  for (let i = 0; i < headers.length; i += 2) {
    const name = headers[i]!;
    if (name.length === lowerName.length && (name === lowerName || name.toLowerCase() === lowerName)) return headers[i + 1]!;
  }
  return '';
}

function withoutPort(address: string): string {
  const colon = address.lastIndexOf(':');
  if (colon < 0 || address.startsWith('/')) return address;
  const host = address.slice(0, colon);
  return host.startsWith('[') ? host.slice(1, -1) : host;
}

function portOf(address: string): string {
  const colon = address.lastIndexOf(':');
  return colon < 0 || address.startsWith('/') ? '' : address.slice(colon + 1);
}

function withoutQuery(path: string): string {
  const query = path.indexOf('?');
  return query < 0 ? path : path.slice(0, query);
}

const text = (read: (info: StreamInfo) => string): Operator => ({ kind: 'text', read });
const number = (read: (info: StreamInfo) => number): Operator => ({ kind: 'number', read });
const whole = (value: number): number => (value < 0 ? -1 : Math.floor(value));

/** Operators without arguments. */
const PLAIN: ReadonlyMap<string, Operator> = new Map([
  ['BYTES_RECEIVED', number((info) => info.bytesReceived)],
  ['BYTES_SENT', number((info) => info.bytesSent)],
  ['CONNECTION_ID', number((info) => info.connectionId)],
  ['CONNECTION_TERMINATION_DETAILS', text((info) => info.connectionTerminationDetails)],
  ['DOWNSTREAM_DIRECT_REMOTE_ADDRESS', text((info) => info.downstreamDirectRemoteAddress)],
  ['DOWNSTREAM_DIRECT_REMOTE_ADDRESS_WITHOUT_PORT', text((info) => withoutPort(info.downstreamDirectRemoteAddress))],
  ['DOWNSTREAM_LOCAL_ADDRESS', text((info) => info.downstreamLocalAddress)],
  ['DOWNSTREAM_LOCAL_ADDRESS_WITHOUT_PORT', text((info) => withoutPort(info.downstreamLocalAddress))],
  ['DOWNSTREAM_LOCAL_PORT', text((info) => portOf(info.downstreamLocalAddress))],
  ['DOWNSTREAM_LOCAL_URI_SAN', text((info) => info.downstreamLocalUri)],
  ['DOWNSTREAM_PEER_URI_SAN', text((info) => info.downstreamPeerUri)],
  ['DOWNSTREAM_REMOTE_ADDRESS', text((info) => info.downstreamRemoteAddress)],
  ['DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT', text((info) => withoutPort(info.downstreamRemoteAddress))],
  ['DOWNSTREAM_REMOTE_PORT', text((info) => portOf(info.downstreamRemoteAddress))],
  ['DOWNSTREAM_TLS_VERSION', text((info) => info.downstreamTlsVersion)],
  ['DURATION', number((info) => whole(info.durationMs))],
  ['PROTOCOL', text((info) => info.protocol)],
  ['REQUESTED_SERVER_NAME', text((info) => info.requestedServerName)],
  ['REQUEST_DURATION', number((info) => whole(info.requestDurationMs))],
  ['RESPONSE_CODE', number((info) => info.responseCode)],
  ['LOCAL_REPLY_BODY', { kind: 'content', read: (info) => info.localReplyBody }],
  ['RESPONSE_CODE_DETAILS', text((info) => info.responseCodeDetails)],
  ['RESPONSE_DURATION', number((info) => whole(info.responseDurationMs))],
  ['RESPONSE_FLAGS', text((info) => formatResponseFlags(info.responseFlags))],
  ['RESPONSE_FLAGS_LONG', text((info) => formatResponseFlagsLong(info.responseFlags))],
  ['RESPONSE_TX_DURATION', number((info) => whole(info.responseTxDurationMs))],
  ['ROUTE_NAME', text((info) => info.routeName)],
  ['TRACE_ID', text((info) => info.traceId)],
  ['UPSTREAM_CLUSTER', text((info) => info.upstreamCluster)],
  ['UPSTREAM_CLUSTER_RAW', text((info) => info.upstreamCluster)],
  ['UPSTREAM_HOST', text((info) => info.upstreamHost)],
  ['UPSTREAM_LOCAL_ADDRESS', text((info) => info.upstreamLocalAddress)],
  ['UPSTREAM_LOCAL_ADDRESS_WITHOUT_PORT', text((info) => withoutPort(info.upstreamLocalAddress))],
  ['UPSTREAM_PEER_URI_SAN', text((info) => info.upstreamPeerUri)],
  ['UPSTREAM_REMOTE_ADDRESS', text((info) => info.upstreamHost)],
  ['UPSTREAM_REMOTE_ADDRESS_WITHOUT_PORT', text((info) => withoutPort(info.upstreamHost))],
  ['UPSTREAM_REQUEST_ATTEMPT_COUNT', number((info) => info.upstreamRequestAttemptCount)],
  ['UPSTREAM_TRANSPORT_FAILURE_REASON', text((info) => info.upstreamTransportFailureReason)],
  ['VIRTUAL_CLUSTER_NAME', text((info) => info.virtualClusterName)],
]);

/** What Envoy has and a mesh proxy never fills: always empty, as Envoy prints it where nothing was set. */
const ALWAYS_EMPTY: ReadonlySet<string> = new Set(['METADATA', 'DYNAMIC_METADATA', 'CLUSTER_METADATA', 'UPSTREAM_METADATA', 'FILTER_STATE']);

function requestReader(name: string): (info: StreamInfo) => string {
  switch (name) {
    case ':path':
      return (info) => info.path;
    case ':method':
      return (info) => info.method;
    case ':authority':
    case 'host':
      return (info) => info.authority;
    case ':scheme':
      return (info) => info.scheme;
    default:
      return (info) => headerText(info.requestHeaders, name);
  }
}

type Reader = (info: StreamInfo) => string;

/** "NAME" or "NAME?ALTERNATIVE". */
function headerOperator(argument: string, reader: (lowerName: string) => Reader): Operator | string {
  const [name, alternative, more] = argument.toLowerCase().split('?');
  if (name === undefined || name === '' || more !== undefined) return 'needs a header name, or two with "?" between';
  const first = reader(name);
  if (alternative === undefined) return text(first);
  const second = reader(alternative);
  return text((info) => {
    const value = first(info);
    return value === '' ? second(info) : value;
  });
}

/** The operator for `%NAME(argument)%`, or what is wrong with it. `argument` is undefined without parentheses. */
export function findOperator(name: string, argument: string | undefined): Operator | string {
  const plain = PLAIN.get(name);
  if (plain !== undefined) return argument === undefined || argument === '' ? plain : `%${name}% takes no argument`;
  if (ALWAYS_EMPTY.has(name)) return text(() => '');
  switch (name) {
    case 'START_TIME': {
      const format = compileTimeFormat(argument ?? '');
      return 'error' in format ? format.error : text((info) => format.format(info.startTimeMs));
    }
    case 'REQ':
      return headerOperator(argument ?? '', requestReader);
    case 'REQ_WITHOUT_QUERY': {
      const operator = headerOperator(argument ?? '', requestReader);
      if (typeof operator === 'string' || operator.kind !== 'text') return operator;
      return text((info) => withoutQuery(operator.read(info)));
    }
    case 'RESP':
      return headerOperator(argument ?? '', (header) =>
        header === ':status' ? (info) => String(info.responseCode) : (info) => headerText(info.responseHeaders, header),
      );
    case 'TRAILER':
      return headerOperator(argument ?? '', (header) => (info) => headerText(info.responseTrailers, header));
    default:
      return `unknown command operator %${name}%`;
  }
}
