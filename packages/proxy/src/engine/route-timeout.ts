import type { RequestHead } from '../http/message.ts';
import { headerValue } from '../routing/headers.ts';
import type { RouteEntry } from '../routing/route-entry.ts';

const GRPC_UNITS: Readonly<Record<string, number>> = { H: 3_600_000, M: 60_000, S: 1000, m: 1, u: 1e-3, n: 1e-6 };

/** grpc-timeout (gRPC over HTTP/2, "Requests"): at most eight digits and a unit, in ms. -1: absent or not readable. */
function grpcTimeoutMs(headers: readonly string[]): number {
  const match = /^(\d{1,8})([HMSmun])$/.exec(headerValue(headers, 'grpc-timeout') ?? '');
  return match === null ? -1 : Number(match[1]) * GRPC_UNITS[match[2]!]!;
}

/** How long a request may take on this route, ms; 0: as long as it likes. A gRPC caller's own deadline counts where max_stream_duration says so. */
export function routeTimeoutMs(route: RouteEntry, head: RequestHead): number {
  const { grpcTimeoutMaxMs, grpcTimeoutOffsetMs } = route.fields;
  if (grpcTimeoutMaxMs < 0) return route.timeoutMs;
  const asked = grpcTimeoutMs(head.headers);
  if (asked < 0) return route.timeoutMs;
  const less = grpcTimeoutOffsetMs > 0 && asked > grpcTimeoutOffsetMs ? asked - grpcTimeoutOffsetMs : asked;
  return grpcTimeoutMaxMs === 0 ? less : asked === 0 ? grpcTimeoutMaxMs : Math.min(less, grpcTimeoutMaxMs);
}
