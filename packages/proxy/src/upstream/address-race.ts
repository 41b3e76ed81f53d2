import { isIP } from 'node:net';
import type { Runtime } from '../engine/runtime.ts';
import type { TimerTarget, WheelTimer } from '../net/timer-wheel.ts';
import type { EndpointAddress } from '../xds/endpoint-config.ts';
import type { UpstreamTransport } from './upstream-transport.ts';

/** Envoy's, and within what RFC 8305 section 5 recommends (Connection Attempt Delay). */
export const ATTEMPT_DELAY_MS = 300;

/**
 * Addresses in the order in which they are tried (RFC 8305 section 4): the families take turns, the first one with
 * `firstCount` of its addresses. `firstFamily` 0: that of the first address.
 */
export function interleaved(addresses: readonly EndpointAddress[], firstFamily: 0 | 4 | 6, firstCount: number): EndpointAddress[] {
  const familyOf = (address: EndpointAddress): number => (address.kind === 'socket' ? isIP(address.host) : 0);
  const first = firstFamily === 0 ? familyOf(addresses[0]!) : firstFamily;
  const ours = addresses.filter((address) => familyOf(address) === first);
  const others = addresses.filter((address) => familyOf(address) !== first);
  const ordered: EndpointAddress[] = [];
  while (ours.length > 0 || others.length > 0) {
    ordered.push(...ours.splice(0, firstCount));
    ordered.push(...others.splice(0, 1));
  }
  return ordered;
}

export interface RaceEvents {
  onWon(winner: UpstreamTransport): void;
  /** Nobody answered; `detail` of the last one that failed. */
  onLost(timeout: boolean, detail: string): void;
}

/** Connections to one endpoint by several addresses: the first that is open wins, the others are dropped (Happy Eyeballs). */
export class AddressRace implements TimerTarget {
  readonly #runtime: Runtime;
  readonly #addresses: readonly EndpointAddress[];
  readonly #open: (address: EndpointAddress, runner: AddressRunner) => UpstreamTransport;
  readonly #events: RaceEvents;
  readonly #running = new Set<AddressRunner>();
  #next = 0;
  #timer: WheelTimer | undefined;
  #over = false;

  constructor(
    runtime: Runtime,
    addresses: readonly EndpointAddress[],
    open: (address: EndpointAddress, runner: AddressRunner) => UpstreamTransport,
    events: RaceEvents,
  ) {
    this.#runtime = runtime;
    this.#addresses = addresses;
    this.#open = open;
    this.#events = events;
  }

  start(): void {
    this.onTimer();
  }

  onTimer(): void {
    this.#timer = undefined;
    const address = this.#addresses[this.#next++];
    if (address === undefined) return;
    const runner = new AddressRunner(this);
    this.#running.add(runner);
    runner.transport = this.#open(address, runner);
    if (this.#next < this.#addresses.length) this.#timer = this.#runtime.wheel.arm(ATTEMPT_DELAY_MS, this);
  }

  won(runner: AddressRunner): void {
    if (this.#over) return;
    this.#running.delete(runner);
    this.abort();
    this.#events.onWon(runner.transport!);
  }

  failed(runner: AddressRunner, timeout: boolean, detail: string): void {
    this.#running.delete(runner);
    if (this.#over) return;
    if (this.#next < this.#addresses.length) {
      this.#disarm();
      this.onTimer();
    } else if (this.#running.size === 0) {
      this.#over = true;
      this.#events.onLost(timeout, detail);
    }
  }

  abort(): void {
    this.#over = true;
    this.#disarm();
    for (const runner of this.#running) runner.transport!.abort();
    this.#running.clear();
  }

  #disarm(): void {
    if (this.#timer !== undefined) this.#runtime.wheel.cancel(this.#timer);
    this.#timer = undefined;
  }
}

/** One of them, as its transport tells of it. */
export class AddressRunner {
  readonly #race: AddressRace;
  transport: UpstreamTransport | undefined;

  constructor(race: AddressRace) {
    this.#race = race;
  }

  onOpen(): void {
    this.#race.won(this);
  }

  onOpenFailed(timeout: boolean, detail: string): void {
    this.#race.failed(this, timeout, detail);
  }
}
