import type { ServerResponse } from 'node:http';
import { every } from '../clock.ts';
import type { Clock } from '../options.ts';
import { ApiFailure } from './api-failure.ts';

export type EventKind = 'top' | 'graph' | 'proxies' | 'resources' | 'services' | 'problems' | 'rollouts';

const MAX_FOLLOWERS = 64;
/** Of one kind; a page that fetched more often would show no more. */
const MIN_INTERVAL_MS = 250;
/** Comments that keep connections open through whatever is between. */
const HEARTBEAT_MS = 15_000;
/** A page that does not read is left out, and finds the newest state when it does again. */
const MAX_BUFFERED_BYTES = 64 * 1024;

/** Server-sent events: what to fetch again. */
export class Events {
  readonly #clock: Clock;
  readonly #followers = new Set<ServerResponse>();
  readonly #due = new Set<EventKind>();
  readonly #stopHeartbeat: () => void;
  #cancel: (() => void) | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#stopHeartbeat = every(clock, HEARTBEAT_MS, () => this.#write(': still here\n\n'));
  }

  emit(kind: EventKind): void {
    this.#due.add(kind);
    this.#cancel ??= this.#clock.after(MIN_INTERVAL_MS, () => {
      this.#cancel = undefined;
      for (const due of this.#due) this.#write(`data: ${JSON.stringify({ kind: due })}\n\n`);
      this.#due.clear();
    });
  }

  follow(response: ServerResponse): void {
    if (this.#followers.size >= MAX_FOLLOWERS)
      throw new ApiFailure(503, 'TOO_MANY_FOLLOWERS', `${MAX_FOLLOWERS} pages follow this control plane already`, '/api/v1/events', 'Close some of them');
    response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store', 'x-accel-buffering': 'no' });
    response.write(': following\n\n');
    this.#followers.add(response);
    response.on('close', () => this.#followers.delete(response));
  }

  stop(): void {
    this.#stopHeartbeat();
    this.#cancel?.();
    for (const follower of this.#followers) follower.end();
    this.#followers.clear();
  }

  #write(text: string): void {
    for (const follower of this.#followers) if (follower.writableLength < MAX_BUFFERED_BYTES) follower.write(text);
  }
}
