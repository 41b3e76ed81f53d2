import type { HeaderList, ResetReason, StreamEvents } from '../http/message.ts';
import type { TimerTarget } from '../net/timer-wheel.ts';
import type { IdleTarget } from './idle-clock.ts';
import type { RouteWaiter } from './route-slot.ts';
import { StreamRecord } from './stream-record.ts';

/**
 * Every way into a stream from the downstream, from time, and from configuration: a mistake behind it ends this stream alone, and
 * whoever calls (a codec in the middle of a read, a loop over all who wait) goes on. UpstreamAttempt does the same for the upstream.
 */
export abstract class GuardedStream extends StreamRecord implements StreamEvents, TimerTarget, IdleTarget, RouteWaiter {
  abstract moved: boolean;

  protected abstract begin(): void;
  protected abstract body(buffer: Buffer, start: number, end: number, fin: boolean): void;
  protected abstract trailers(trailers: HeaderList): void;
  protected abstract downstreamReset(reason: ResetReason, detail: string): void;
  protected abstract downstreamDrained(): void;
  protected abstract timer(kind: number): void;
  protected abstract idle(): void;
  protected abstract routes(given: boolean): void;
  /** Ends the stream because of an exception. Throws nothing. */
  abstract fail(error: unknown): void;

  start(): void {
    try {
      this.begin();
    } catch (error) {
      this.fail(error);
    }
  }

  onBody(buffer: Buffer, start: number, end: number, fin: boolean): void {
    try {
      this.body(buffer, start, end, fin);
    } catch (error) {
      this.fail(error);
    }
  }

  onTrailers(trailers: HeaderList): void {
    try {
      this.trailers(trailers);
    } catch (error) {
      this.fail(error);
    }
  }

  onReset(reason: ResetReason, detail: string): void {
    try {
      this.downstreamReset(reason, detail);
    } catch (error) {
      this.fail(error);
    }
  }

  onDrain(): void {
    try {
      this.downstreamDrained();
    } catch (error) {
      this.fail(error);
    }
  }

  onTimer(kind: number): void {
    try {
      this.timer(kind);
    } catch (error) {
      this.fail(error);
    }
  }

  onIdle(): void {
    try {
      this.idle();
    } catch (error) {
      this.fail(error);
    }
  }

  onRoutes(given: boolean): void {
    try {
      this.routes(given);
    } catch (error) {
      this.fail(error);
    }
  }
}
