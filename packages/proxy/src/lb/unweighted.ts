import type { Random } from '@outrigger/telemetry';
import type { LbContext } from './context.ts';
import type { Host } from './host.ts';
import type { Picker } from './picker.ts';

/** A number below `count` out of 32 random bits, without a division's bias that would matter. */
export function below(random: Random, count: number): number {
  return Math.floor((random.uint32() / 0x1_0000_0000) * count);
}

/** One after the other. */
export class RoundRobin implements Picker {
  readonly hosts: readonly Host[];
  #next: number;

  constructor(hosts: readonly Host[], random: Random) {
    this.hosts = hosts;
    this.#next = below(random, hosts.length);
  }

  pick(): Host {
    const host = this.hosts[this.#next]!;
    this.#next = this.#next + 1 === this.hosts.length ? 0 : this.#next + 1;
    return host;
  }
}

/** Any, each as likely as another (as Envoy's, it does not look at weights). */
export class RandomPick implements Picker {
  readonly hosts: readonly Host[];
  readonly #random: Random;

  constructor(hosts: readonly Host[], random: Random) {
    this.hosts = hosts;
    this.#random = random;
  }

  pick(): Host {
    return this.hosts[below(this.#random, this.hosts.length)]!;
  }
}

/** The least busy of a few taken at random. */
export class LeastRequest implements Picker {
  readonly hosts: readonly Host[];
  readonly #random: Random;
  readonly #choices: number;

  constructor(hosts: readonly Host[], random: Random, choices: number) {
    this.hosts = hosts;
    this.#random = random;
    this.#choices = choices;
  }

  pick(_context: LbContext): Host {
    const hosts = this.hosts;
    let best = hosts[below(this.#random, hosts.length)]!;
    for (let i = 1; i < this.#choices; i++) {
      const other = hosts[below(this.#random, hosts.length)]!;
      if (other.activeRequests < best.activeRequests) best = other;
    }
    return best;
  }
}
