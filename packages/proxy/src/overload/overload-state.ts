import type { Random } from '@outrigger/telemetry';

/** What the request path reads of the overload manager: two flags, false while nothing is the matter. Ratios are in [0, 1]. */
export class OverloadState {
  /** A request that begins has to be looked at. */
  shedsRequests = false;
  /** A connection that is accepted has to be looked at. */
  shedsConnections = false;
  /** Share of requests that are answered with 503. */
  requests = 0;
  /** Share of requests that are the last of their connection. */
  keepAlive = 0;
  /** Share of connections that are closed as they come. */
  connections = 0;
  /** Request content that is kept for a connection or another attempt, of all requests, and how much it may be: then less is kept. */
  bufferedBytes = 0;
  maxBufferedBytes = Number.POSITIVE_INFINITY;
  /** Requests that were answered so. */
  requestsShed = 0;
  /** Connections that were closed so. */
  connectionsShed = 0;
}

/** Whether one of those of which `share` is to be shed is among them. */
export function drawn(random: Random, share: number): boolean {
  return share > 0 && random.uint32() < share * 2 ** 32;
}

/** Of a listener that bypasses the overload manager: nobody ever changes it. */
export const NO_OVERLOAD: Readonly<OverloadState> = Object.freeze(new OverloadState());
