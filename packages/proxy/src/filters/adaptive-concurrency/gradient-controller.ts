import type { Random } from '@outrigger/telemetry';

/** GradientControllerConfig, decided. */
export interface GradientSettings {
  readonly percentile: number;
  readonly maxLimit: number;
  readonly updateIntervalMs: number;
  readonly minRttIntervalMs: number;
  readonly minRttSamples: number;
  /** Share of the interval that is added at random. */
  readonly minRttJitter: number;
  readonly minLimit: number;
  /** Share of the minimum that a request may take longer without being taken for slow. */
  readonly buffer: number;
}

const MAX_GRADIENT = 2;
const MIN_GRADIENT = 0.5;
/** As often at the least limit in a row, and the minimum is measured again: the application may have become slower for good. */
const MIN_LIMIT_ROUNDS = 5;
/** So many latencies of one interval say enough. */
const MAX_SAMPLES = 4_096;

/** How many requests an application takes at once without becoming slower, found out as it goes (Envoy's gradient controller). */
export class GradientController {
  readonly #settings: GradientSettings;
  readonly #random: Random;
  #limit: number;
  /** 0: not known yet. */
  #minRttMs = 0;
  #samples: number[] = [];
  #updateMs: number;
  /** While the minimum is measured, few requests at once are let in. */
  #measuring = true;
  #measureMs = Number.POSITIVE_INFINITY;
  #limitBefore: number;
  #rounds = 0;
  active = 0;

  constructor(settings: GradientSettings, random: Random, nowMs: number) {
    this.#settings = settings;
    this.#random = random;
    this.#limit = settings.minLimit;
    this.#limitBefore = settings.minLimit;
    this.#updateMs = nowMs + settings.updateIntervalMs;
  }

  get limit(): number {
    return this.#limit;
  }

  get minRttMs(): number {
    return this.#minRttMs;
  }

  /** False: enough are under way. */
  enter(nowMs: number): boolean {
    this.#turn(nowMs);
    if (this.active >= this.#limit) return false;
    this.active++;
    return true;
  }

  /** `latencyMs` -1: it says nothing, since the client went away. */
  leave(latencyMs: number, nowMs: number): void {
    this.active--;
    if (latencyMs >= 0 && this.#samples.length < MAX_SAMPLES) this.#samples.push(latencyMs);
    if (this.#measuring && this.#samples.length >= this.#settings.minRttSamples) this.#endMeasuring(nowMs);
    this.#turn(nowMs);
  }

  #turn(nowMs: number): void {
    if (this.#measuring) return;
    if (nowMs >= this.#measureMs) this.#beginMeasuring();
    else if (nowMs >= this.#updateMs) this.#update(nowMs);
  }

  #beginMeasuring(): void {
    this.#measuring = true;
    this.#samples = [];
    this.#limitBefore = this.#limit;
    this.#limit = this.#settings.minLimit;
    this.#rounds = 0;
  }

  #endMeasuring(nowMs: number): void {
    this.#measuring = false;
    this.#minRttMs = Math.max(this.#percentile(), Number.MIN_VALUE);
    this.#samples = [];
    this.#limit = this.#limitBefore;
    this.#updateMs = nowMs + this.#settings.updateIntervalMs;
    const { minRttIntervalMs, minRttJitter } = this.#settings;
    this.#measureMs = nowMs + minRttIntervalMs * (1 + (minRttJitter * this.#random.uint32()) / 0x1_0000_0000);
  }

  #update(nowMs: number): void {
    this.#updateMs = nowMs + this.#settings.updateIntervalMs;
    if (this.#samples.length === 0) return;
    const { buffer, minLimit, maxLimit } = this.#settings;
    const gradient = Math.max(MIN_GRADIENT, Math.min(MAX_GRADIENT, (this.#minRttMs * (1 + buffer)) / this.#percentile()));
    this.#samples = [];
    const limit = gradient * this.#limit;
    this.#limit = Math.max(minLimit, Math.min(maxLimit, Math.floor(limit + Math.sqrt(limit))));
    if (this.#limit > minLimit) this.#rounds = 0;
    else if (++this.#rounds >= MIN_LIMIT_ROUNDS) this.#beginMeasuring();
  }

  #percentile(): number {
    const sorted = this.#samples.toSorted((a, b) => a - b);
    return Math.max(sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * this.#settings.percentile))]!, Number.MIN_VALUE);
  }
}
