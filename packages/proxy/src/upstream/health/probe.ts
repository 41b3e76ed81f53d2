import { EMPTY_STREAM, type StreamInfo } from '@outrigger/telemetry';
import type { CheckFailure } from '../../resilience/active-health.ts';
import type { TransportSocketSettings } from '../../xds/cluster-config.ts';
import type { EndpointAddress } from '../../xds/endpoint-config.ts';
import type { ConnectHow } from '../upstream-transport.ts';

/** Whom a check goes to. */
export interface ProbeTarget {
  readonly address: EndpointAddress;
  readonly socket: TransportSocketSettings;
  /** Host or :authority. */
  readonly authority: string;
  /** The endpoint, for %UPSTREAM_HOST%. */
  readonly text: string;
  readonly timeoutMs: number;
  readonly how: ConnectHow;
}

/** Told once for each check that was started, unless it was given up. */
export interface ProbeEvents {
  onPassed(degraded: boolean): void;
  /** `excluded`: the answer had x-envoy-immediate-health-check-fail. */
  onFailed(failure: CheckFailure, retriable: boolean, excluded: boolean): void;
}

/** Checks one endpoint, time and again, maybe over one connection. */
export interface Probe {
  check(): void;
  /** Its time is over; nothing is called back. */
  giveUp(): void;
  close(): void;
}

/** What a check's headers may name: the endpoint, and nothing of a request. */
export function probeInfo(text: string): StreamInfo {
  return { ...EMPTY_STREAM, durationMs: 0, upstreamHost: text };
}

/** Whether the pieces are in the bytes, one after the other, whatever lies between them. */
export function holdsInOrder(bytes: Buffer, pieces: readonly Buffer[]): boolean {
  let from = 0;
  for (const piece of pieces) {
    const at = bytes.indexOf(piece, from);
    if (at < 0) return false;
    from = at + piece.length;
  }
  return true;
}
