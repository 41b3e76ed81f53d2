import type { TimerTarget, TimerWheel, WheelTimer } from '../net/timer-wheel.ts';

/** connection_keepalive of Http2ProtocolOptions. */
export interface KeepAliveSettings {
  /** ms between PINGs; 0: none by time. */
  readonly intervalMs: number;
  /** For the answer, ms; any other frame begins it anew. */
  readonly timeoutMs: number;
  /** Random share of the interval that is added to it, %. */
  readonly jitterPercent: number;
  /** A connection that was idle for so long is asked before its next request, ms; 0: never. */
  readonly idleIntervalMs: number;
}

/** A connection that is asked for signs of life. */
export interface KeptAlive {
  sendKeepAlive(): void;
  /** Whether anything has been received since the last call. */
  takeHeard(): boolean;
}

const Timer = { INTERVAL: 1, TIMEOUT: 2 } as const;

/** Asks an HTTP/2 peer for signs of life by PING, and says when there are none (RFC 9113 section 6.7). */
export class KeepAlive implements TimerTarget {
  private readonly settings: KeepAliveSettings;
  private readonly connection: KeptAlive;
  private readonly wheel: TimerWheel;
  private readonly random: () => number;
  private readonly onDead: () => void;
  private timer: WheelTimer | undefined;
  private asked: boolean;

  /** `random`: from 0 to 1. */
  constructor(settings: KeepAliveSettings, connection: KeptAlive, wheel: TimerWheel, random: () => number, onDead: () => void) {
    this.settings = settings;
    this.connection = connection;
    this.wheel = wheel;
    this.random = random;
    this.onDead = onDead;
    this.timer = undefined;
    this.asked = false;
    this.armInterval();
  }

  onAck(): void {
    if (!this.asked) return;
    this.asked = false;
    this.cancel();
    this.armInterval();
  }

  /** A request is about to be put on a connection that has had none for `idleMs`. */
  beforeRequest(idleMs: number): void {
    if (this.settings.idleIntervalMs > 0 && idleMs >= this.settings.idleIntervalMs && !this.asked) this.ask();
  }

  close(): void {
    this.cancel();
    this.asked = true;
  }

  onTimer(kind: number): void {
    this.timer = undefined;
    if (kind === Timer.INTERVAL) this.ask();
    else if (this.connection.takeHeard()) this.timer = this.wheel.arm(this.settings.timeoutMs, this, Timer.TIMEOUT);
    else this.onDead();
  }

  private ask(): void {
    this.cancel();
    this.asked = true;
    this.connection.takeHeard();
    this.connection.sendKeepAlive();
    this.timer = this.wheel.arm(this.settings.timeoutMs, this, Timer.TIMEOUT);
  }

  private armInterval(): void {
    const { intervalMs, jitterPercent } = this.settings;
    if (intervalMs > 0) this.timer = this.wheel.arm(intervalMs * (1 + (this.random() * jitterPercent) / 100), this, Timer.INTERVAL);
  }

  private cancel(): void {
    if (this.timer !== undefined) this.wheel.cancel(this.timer);
    this.timer = undefined;
  }
}
