import type net from 'node:net';
import type { Runtime } from '../engine/runtime.ts';
import type { TimerTarget, WheelTimer } from '../net/timer-wheel.ts';
import type { ConnectionOrigin } from './connection-origin.ts';
import type { ListenerFilter } from './listener-filter.ts';

export interface InspectionEvents {
  /** The socket is paused, and what was read of it is put back. */
  onInspected(): void;
  /** The socket is closed. */
  onRefused(): void;
  /** Nothing is known yet, and from here on the filters only look: a client that waits for the server's first word tells no more. */
  onPeeking(): void;
}

/** Leads the first bytes of an accepted socket past the filters of its listener. */
export class Inspection implements TimerTarget {
  readonly #socket: net.Socket;
  readonly #origin: ConnectionOrigin;
  readonly #runtime: Runtime;
  readonly #filters: readonly ListenerFilter[];
  readonly #continueOnTimeout: boolean;
  readonly #events: InspectionEvents;
  readonly #timer: WheelTimer | undefined;
  #next = 0;
  #bytes: Buffer | undefined;
  #over = false;
  readonly #onData = (chunk: Buffer) => this.#look(chunk);
  readonly #onGone = () => this.#refuse();

  constructor(
    runtime: Runtime,
    filters: readonly ListenerFilter[],
    timeoutMs: number,
    continueOnTimeout: boolean,
    socket: net.Socket,
    origin: ConnectionOrigin,
    events: InspectionEvents,
  ) {
    this.#runtime = runtime;
    this.#filters = filters;
    this.#continueOnTimeout = continueOnTimeout;
    this.#socket = socket;
    this.#origin = origin;
    this.#events = events;
    this.#timer = timeoutMs > 0 ? runtime.wheel.arm(timeoutMs, this) : undefined;
  }

  start(): void {
    const socket = this.#socket;
    socket.on('error', ignore);
    socket.on('data', this.#onData);
    socket.on('close', this.#onGone);
    socket.on('end', this.#onGone);
    if (this.#filters[0]!.peeks) this.#events.onPeeking();
    socket.resume();
  }

  /** Bytes of the client that are not decided yet. */
  get undecided(): number {
    return this.#bytes === undefined ? 0 : this.#bytes.length;
  }

  /** Ends it with what is known so far. */
  conclude(): void {
    if (!this.#end()) return;
    this.#socket.pause();
    if (this.undecided > 0) this.#socket.unshift(this.#bytes!);
    this.#events.onInspected();
  }

  onTimer(): void {
    if (this.#continueOnTimeout) this.conclude();
    else this.#refuse();
  }

  #look(chunk: Buffer): void {
    // Few: what has come of a ClientHello or of a line so far.
    this.#bytes = this.undecided === 0 ? chunk : Buffer.concat([this.#bytes!, chunk]);
    while (this.#next < this.#filters.length) {
      const filter = this.#filters[this.#next]!;
      const looked = filter.look(this.#bytes, this.#origin);
      if (looked === 'more') {
        if (this.#bytes.length > filter.maxBytes) this.#refuse();
        return;
      }
      if (looked === 'refuse') {
        this.#refuse();
        return;
      }
      this.#bytes = this.#bytes.subarray(looked);
      this.#next++;
      if (looked > 0 && this.#bytes.length === 0 && this.#next < this.#filters.length) {
        if (this.#filters[this.#next]!.peeks) this.#events.onPeeking();
        return;
      }
    }
    this.conclude();
  }

  #refuse(): void {
    if (!this.#end()) return;
    this.#socket.destroy();
    this.#events.onRefused();
  }

  #end(): boolean {
    if (this.#over) return false;
    this.#over = true;
    if (this.#timer !== undefined) this.#runtime.wheel.cancel(this.#timer);
    this.#socket.off('data', this.#onData);
    this.#socket.off('close', this.#onGone);
    this.#socket.off('end', this.#onGone);
    return true;
  }
}

function ignore(): void {}
