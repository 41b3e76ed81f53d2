import type { ServerResponse } from 'node:http';

export interface ApiRequest {
  /** The groups of the route's pattern, decoded. */
  readonly params: readonly string[];
  readonly query: URLSearchParams;
  /** Of a POST: whatever JSON was sent. */
  readonly body: unknown;
  /** For answers that are no JSON. */
  readonly response: ServerResponse;
  /** Who asks, as the history tells of it. */
  readonly caller: string;
  /** The caller has gone. */
  readonly cancelled: AbortSignal;
}

/** Gives what is answered as JSON. */
export type Handler = (request: ApiRequest) => unknown;

export interface Route {
  readonly method: 'GET' | 'POST' | 'DELETE';
  /** Of what follows /api/v1. */
  readonly path: RegExp;
  readonly handle: Handler;
  /** Hands out secrets: not for a browser's session. */
  readonly socketOnly?: boolean;
}
