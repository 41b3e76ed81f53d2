import type { RequestHead } from '../http/message.ts';
import { headerValue, setHeader } from '../routing/headers.ts';
import type { RouteEntry } from '../routing/route-entry.ts';

const GRPC_UNITS: Readonly<Record<string, number>> = { H: 3_600_000, M: 60_000, S: 1000, m: 1, u: 1e-3, n: 1e-6 };
/** More digits than that grpc-timeout may not have. */
const MAX_GRPC_VALUE = 99_999_999;

/** grpc-timeout (gRPC over HTTP/2, "Requests"): at most eight digits and a unit, in ms. -1: absent or not readable. */
function grpcTimeoutMs(headers: readonly string[]): number {
  const match = /^(\d{1,8})([HMSmun])$/.exec(headerValue(headers, 'grpc-timeout') ?? '');
  return match === null ? -1 : Number(match[1]) * GRPC_UNITS[match[2]!]!;
}

/** What a gRPC caller's own deadline comes to on this route, ms; 0: none; -1: it has none, or it does not count here. */
export function callTimeoutMs(route: RouteEntry, head: RequestHead): number {
  const { grpcTimeoutMaxMs, grpcTimeoutOffsetMs } = route.fields;
  if (grpcTimeoutMaxMs < 0) return -1;
  const asked = grpcTimeoutMs(head.headers);
  if (asked < 0) return -1;
  const less = grpcTimeoutOffsetMs > 0 && asked > grpcTimeoutOffsetMs ? asked - grpcTimeoutOffsetMs : asked;
  return grpcTimeoutMaxMs === 0 ? less : asked === 0 ? grpcTimeoutMaxMs : Math.min(less, grpcTimeoutMaxMs);
}

/** How long an answer may take on this route, ms; 0: as long as it likes. */
export function routeTimeoutMs(route: RouteEntry, head: RequestHead): number {
  const { grpcTimeoutIsDuration } = route.fields;
  // As in Envoy: with max_stream_duration it takes the place of the timeout.
  if (grpcTimeoutIsDuration) return 0;
  const asked = callTimeoutMs(route, head);
  return asked < 0 ? route.timeoutMs : asked;
}

/** The upstream is told what is left of the call's time. */
export function passOnTimeout(head: RequestHead, leftMs: number): void {
  const ms = Math.max(1, Math.floor(leftMs));
  setHeader(head.headers, 'grpc-timeout', ms <= MAX_GRPC_VALUE ? `${ms}m` : `${Math.floor(ms / 1000)}S`);
}
