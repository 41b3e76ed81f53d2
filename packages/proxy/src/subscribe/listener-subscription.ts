import type { AdsClient, Rejection, ResourceUpdate, Subscription } from '@outrigger/xds';
import { type Listener as ListenerMessage, ListenerSchema } from '@outrigger/xds/protos/envoy/config/listener/v3/listener';
import type { Slices, Steps } from '@outrigger/xds/slices';
import type { ProxyLog } from '../engine/options.ts';
import type { RouteSlot } from '../engine/route-slot.ts';
import { ListenerError } from '../listener/listen-socket.ts';
import type { ListenerSet } from '../listener/listener-set.ts';
import type { ClusterSet } from '../upstream/cluster-set.ts';
import { allFilterChains, type ListenerConfig } from '../xds/listener-config.ts';
import { LastWord } from './last-word.ts';
import type { RouteSubscription } from './route-subscription.ts';
import type { SecretSubscription } from './secret-subscription.ts';

/** A listener is held back so long for what it names; then it is bound, and says to each connection what it lacks. */
const WARM_TIMEOUT_MS = 5_000;

/** How often an address that was in use is tried again, ms. */
const ADDRESS_RETRY_MS = 1_000;

export interface ListenerSources {
  readonly listeners: ListenerSet;
  readonly clusters: ClusterSet;
  readonly routes: RouteSubscription;
  readonly secrets: SecretSubscription;
  readonly slices: Slices;
  readonly log: ProxyLog;
  /** The first answer (or the cache) is in effect. */
  readonly onFirst: () => void;
}

/** LDS by wildcard: bound when warm, acknowledged when in effect. */
export class ListenerSubscription {
  readonly #sources: ListenerSources;
  readonly #subscription: Subscription;
  /** Refused because its address was in use by another process: bound as soon as that is over. */
  readonly #blocked = new Map<string, NodeJS.Timeout>();
  readonly #lastWord = new LastWord();
  /** Listeners are put in place and taken away one at a time: one that is being bound is there when the next comes for its socket. */
  #inPlace: Promise<unknown> = Promise.resolve();

  constructor(ads: AdsClient, sources: ListenerSources) {
    this.#sources = sources;
    this.#subscription = ads.subscribe(ListenerSchema, ['*'], (update) => this.#onListeners(update));
  }

  async #onListeners(update: ResourceUpdate<ListenerMessage>): Promise<Rejection[]> {
    const { listeners, slices } = this.#sources;
    const rejections: Rejection[] = [];
    const turn = this.#lastWord.next();
    const taken = await slices.run(this.#compile(update, turn, rejections));
    const leaving = (): string[] => update.removed.filter((name) => this.#lastWord.holds(turn, name));
    await Promise.all(
      taken.map(async (config) => {
        await this.#warm(config);
        await this.#one(async () => {
          if (!this.#lastWord.holds(turn, config.name)) return;
          try {
            await listeners.set(config, leaving(), slices);
          } catch (error) {
            rejections.push({ name: config.name, message: (error as Error).message });
            if (error instanceof ListenerError && error.code === 'in-use') this.#tryAgain(config);
          }
        });
      }),
    );
    await this.#one(async () => {
      for (const name of leaving()) listeners.remove(name);
    });
    for (const name of [...update.removed, ...taken.map((config) => config.name)]) this.#lastWord.done(turn, name);
    this.#sources.secrets.keepForListeners(new Set([...listeners.all].flatMap(({ config }) => [...config.secretNames])));
    this.#sources.onFirst();
    return rejections;
  }

  *#compile({ added, removed }: ResourceUpdate<ListenerMessage>, turn: number, rejections: Rejection[]): Steps<ListenerConfig[]> {
    const taken: ListenerConfig[] = [];
    for (const { name, message } of added) {
      const config = yield* this.#sources.listeners.compileSteps(message);
      if (typeof config === 'string') rejections.push({ name, message: config });
      else {
        taken.push(config);
        this.#lastWord.say(turn, config.name);
        this.#unblock(config.name);
      }
    }
    for (const name of removed) {
      this.#lastWord.say(turn, name);
      this.#unblock(name);
    }
    return taken;
  }

  #one(work: () => Promise<void>): Promise<void> {
    const done = this.#inPlace.then(work);
    this.#inPlace = done.catch(() => {});
    return done;
  }

  close(): void {
    for (const name of [...this.#blocked.keys()]) this.#unblock(name);
  }

  #tryAgain(config: ListenerConfig): void {
    const { listeners, log, slices } = this.#sources;
    const again = async (): Promise<void> => {
      // Something newer has come for it, or it has been removed.
      if (this.#blocked.get(config.name) !== timer) return;
      this.#blocked.delete(config.name);
      try {
        await listeners.set(config, [], slices);
        log('info', `listener ${config.name}: its address is free by now; it listens`);
        // It was refused: asked for again by its name it comes once more, and is acknowledged.
        this.#subscription.add([config.name]);
      } catch (error) {
        if (error instanceof ListenerError && error.code === 'in-use') this.#tryAgain(config);
        else log('error', (error as Error).message);
      }
    };
    const timer = setTimeout(() => void this.#one(again), ADDRESS_RETRY_MS);
    timer.unref();
    this.#blocked.set(config.name, timer);
  }

  #unblock(name: string): void {
    clearTimeout(this.#blocked.get(name));
    this.#blocked.delete(name);
  }

  async #warm(config: ListenerConfig): Promise<void> {
    const { clusters, routes, secrets, slices } = this.#sources;
    // Clusters that came together with it may be behind it.
    await slices.afterAll();
    const slots = Array.from(config.routeNames, (name) => routes.slot(name));
    await Promise.all([
      secrets.readyForListeners(config.secretNames, secretWaitMs(config)),
      clusters.ready(config.clusters, WARM_TIMEOUT_MS),
      ...slots.map((slot) => untilTable(slot, WARM_TIMEOUT_MS)),
    ]);
  }
}

/** A secret that is missing for one filter chain need not hold the others back for longer than its configuration says. */
function secretWaitMs(config: ListenerConfig): number {
  const waits = allFilterChains(config).map(({ tls }) => (tls === null ? 0 : (tls.secretWaitMs ?? WARM_TIMEOUT_MS)));
  return Math.min(WARM_TIMEOUT_MS, Math.max(0, ...waits));
}

function untilTable(slot: RouteSlot, timeoutMs: number): Promise<void> {
  if (slot.table !== null) return Promise.resolve();
  return new Promise((resolve) => {
    const waiter = {
      onRoutes: () => {
        clearTimeout(timer);
        resolve();
      },
    };
    const timer = setTimeout(() => {
      slot.cancel(waiter);
      resolve();
    }, timeoutMs);
    slot.wait(waiter);
  });
}
