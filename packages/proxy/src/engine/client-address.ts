import type { CidrRange, IpAddress } from '../filters/rbac/ip-address.ts';
import { parseIp } from '../filters/rbac/ip-address.ts';
import type { ConnectionFacts } from '../filters/rbac/rule.ts';
import type { HeaderList, RequestHead } from '../http/message.ts';
import type { ConnectionInfo } from '../listener/connection-info.ts';
import { headerValue, joinedHeader, removeHeader, setHeader } from '../routing/headers.ts';
import { hostPort } from '../xds/compile-endpoints.ts';

/** original_ip_detection_extensions. */
export type AddressDetection =
  | { readonly kind: 'xff'; readonly trustedHops: number }
  /** `rejectStatus` 0: a request without it goes on. */
  | { readonly kind: 'header'; readonly name: string; readonly trusted: boolean; readonly rejectStatus: number };

/** Whom a connection manager takes for the client of a request. */
export interface ClientAddressConfig {
  readonly useRemoteAddress: boolean;
  readonly trustedHops: number;
  /** Asked one after another where the connection's own address is not used. */
  readonly detections: readonly AddressDetection[];
  /** internal_address_config. */
  readonly internalRanges: readonly CidrRange[];
  readonly internalSockets: boolean;
}

/** What only callers from within may say (Envoy: cleanInternalHeaders). */
const INTERNAL_HEADERS = [
  'x-envoy-internal',
  'x-envoy-retry-on',
  'x-envoy-retry-grpc-on',
  'x-envoy-max-retries',
  'x-envoy-retriable-status-codes',
  'x-envoy-retriable-header-names',
  'x-envoy-hedge-on-per-try-timeout',
  'x-envoy-upstream-rq-timeout-ms',
  'x-envoy-upstream-rq-per-try-timeout-ms',
  'x-envoy-upstream-rq-timeout-alt-response',
  'x-envoy-upstream-alt-stat-name',
  'x-envoy-expected-rq-timeout-ms',
  'x-envoy-force-trace',
  'x-envoy-ip-tags',
  'x-envoy-original-url',
];

/** At the edge: what a service of the mesh says of itself. */
const SERVICE_HEADERS = ['x-envoy-downstream-service-cluster', 'x-envoy-downstream-service-node'];

/** Where the configuration tells callers from within from those outside; `host`: who it is, '' where it is no IP address. */
export function markInternal(config: ClientAddressConfig, headers: HeaderList, internal: boolean, host: string): void {
  if (internal) setHeader(headers, 'x-envoy-internal', 'true');
  else if (config.useRemoteAddress || hasInternals(config)) for (const name of INTERNAL_HEADERS) removeHeader(headers, name);
  if (internal || !config.useRemoteAddress) return;
  for (const name of SERVICE_HEADERS) removeHeader(headers, name);
  if (host !== '') setHeader(headers, 'x-envoy-external-address', host);
}

/** `client` null: the other end of the connection. */
export interface DetectedClient {
  readonly client: TrustedClient | null;
  readonly internal: boolean;
  /** 0: it goes on. */
  readonly rejectStatus: number;
}

const UNKNOWN: DetectedClient = { client: null, internal: false, rejectStatus: 0 };
const INTERNAL: DetectedClient = { client: null, internal: true, rejectStatus: 0 };

/** The facts of a connection with the client that is trusted in the place of its other end. */
export class TrustedClient implements ConnectionFacts {
  readonly host: string;
  /** "ip:0": of the port nobody has told. */
  readonly address: string;
  readonly remoteIp: IpAddress;
  readonly #connection: ConnectionInfo;

  constructor(host: string, ip: IpAddress, connection: ConnectionInfo) {
    this.host = host;
    this.address = hostPort(host, 0);
    this.remoteIp = ip;
    this.#connection = connection;
  }

  get destinationIp(): IpAddress {
    return this.#connection.destinationIp;
  }
  get destinationPort(): number {
    return this.#connection.destinationPort;
  }
  get directRemoteIp(): IpAddress {
    return this.#connection.directRemoteIp;
  }
  get secure(): boolean {
    return this.#connection.secure;
  }
  get peerUris(): readonly string[] {
    return this.#connection.peerUris;
  }
  get peerDnsNames(): readonly string[] {
    return this.#connection.peerDnsNames;
  }
  get peerSubject(): string {
    return this.#connection.peerSubject;
  }
  get requestedServerName(): string {
    return this.#connection.requestedServerName;
  }
}

/** Before this proxy changes x-forwarded-for. */
export function detectClient(config: ClientAddressConfig, connection: ConnectionInfo, head: RequestHead): DetectedClient {
  if (config.useRemoteAddress) {
    const forwarded = config.trustedHops > 0 || hasInternals(config) ? joinedHeader(head.headers, 'x-forwarded-for') : undefined;
    const client = config.trustedHops > 0 ? fromForwarded(forwarded, config.trustedHops - 1, connection) : null;
    return found(config, connection, client, forwarded === undefined);
  }
  for (const detection of config.detections) {
    if (detection.kind === 'xff') {
      const forwarded = joinedHeader(head.headers, 'x-forwarded-for');
      const client = fromForwarded(forwarded, detection.trustedHops, connection);
      if (client !== null) return found(config, connection, client, !forwarded!.includes(','));
    } else {
      const host = headerValue(head.headers, detection.name) ?? '';
      const ip = parseIp(host);
      if (ip.family !== 0) return found(config, connection, new TrustedClient(host, ip, connection), detection.trusted);
      if (detection.rejectStatus > 0) return { client: null, internal: false, rejectStatus: detection.rejectStatus };
    }
  }
  return UNKNOWN;
}

function hasInternals({ internalRanges, internalSockets }: ClientAddressConfig): boolean {
  return internalSockets || internalRanges.length > 0;
}

/** `sole`: nobody but the client has had a say in its address. */
function found(config: ClientAddressConfig, connection: ConnectionInfo, client: TrustedClient | null, sole: boolean): DetectedClient {
  const { remoteIp } = client ?? connection;
  const unix = client === null && connection.remoteHost === '';
  const internal = sole && (unix ? config.internalSockets : config.internalRanges.some((range) => range.contains(remoteIp)));
  if (client === null) return internal ? INTERNAL : UNKNOWN;
  return { client, internal, rejectStatus: 0 };
}

/** The last address but `skip`, from the right; null: there is none, or it is none. */
function fromForwarded(forwarded: string | undefined, skip: number, connection: ConnectionInfo): TrustedClient | null {
  if (forwarded === undefined) return null;
  const host =
    forwarded
      .split(',')
      .at(-1 - skip)
      ?.trim() ?? '';
  const ip = parseIp(host);
  return ip.family === 0 ? null : new TrustedClient(host, ip, connection);
}
