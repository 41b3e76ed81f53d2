import type { Random } from '@outrigger/telemetry';
import type { LbContext } from './context.ts';
import { EdfScheduler } from './edf.ts';
import type { Host } from './host.ts';
import { type SlowStart, slowStartRatio } from './options.ts';
import type { Picker } from './picker.ts';

/** No weight is quite nothing: a host that is never picked would never be seen to have got better. */
const SMALLEST_WEIGHT = 1e-6;

/** Round robin by weight; with `bias`, least request by weight: a busy host weighs less. */
export class WeightedPick implements Picker {
  readonly hosts: readonly Host[];
  readonly #scheduler: EdfScheduler;
  readonly #slowStart: SlowStart | null;
  /** 0: the number of active requests does not count. */
  readonly #bias: number;

  constructor(hosts: readonly Host[], random: Random, slowStart: SlowStart | null, bias: number) {
    this.hosts = hosts;
    this.#slowStart = slowStart;
    this.#bias = bias;
    this.#scheduler = new EdfScheduler(
      hosts.map((host) => host.weight),
      random,
    );
  }

  pick(context: LbContext): Host {
    const host = this.hosts[this.#scheduler.peek()]!;
    let weight = host.weight;
    if (this.#bias === 1) weight /= host.activeRequests + 1;
    else if (this.#bias > 0) weight /= (host.activeRequests + 1) ** this.#bias;
    if (this.#slowStart !== null) weight *= slowStartRatio(this.#slowStart, context.nowMs - host.addedAtMs);
    this.#scheduler.advance(Math.max(weight, SMALLEST_WEIGHT));
    return host;
  }
}
