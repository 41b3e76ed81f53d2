import type { AdsClient, Rejection, ResourceUpdate, Subscription } from '@outrigger/xds';
import { type Listener as ListenerMessage, ListenerSchema } from '@outrigger/xds/protos/envoy/config/listener/v3/listener';
import type { Slices } from '@outrigger/xds/slices';
import type { ProxyLog } from '../engine/options.ts';
import type { RouteSlot } from '../engine/route-slot.ts';
import { ListenerError } from '../listener/listen-socket.ts';
import type { ListenerSet } from '../listener/listener-set.ts';
import type { ClusterSet } from '../upstream/cluster-set.ts';
import { allFilterChains, type ListenerConfig } from '../xds/listener-config.ts';
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

  constructor(ads: AdsClient, sources: ListenerSources) {
    this.#sources = sources;
    this.#subscription = ads.subscribe(ListenerSchema, ['*'], (update) => this.#onListeners(update));
  }

  async #onListeners(update: ResourceUpdate<ListenerMessage>): Promise<Rejection[]> {
    const { listeners, slices } = this.#sources;
    const rejections: Rejection[] = [];
    for (const name of [...update.removed, ...update.added.map((added) => added.name)]) this.#unblock(name);
    await Promise.all(
      update.added.map(async ({ name, message }) => {
        const config = await slices.run(listeners.compileSteps(message));
        if (typeof config === 'string') {
          rejections.push({ name, message: config });
          return;
        }
        await this.#warm(config);
        try {
          await listeners.set(config, update.removed, slices);
        } catch (error) {
          rejections.push({ name, message: (error as Error).message });
          if (error instanceof ListenerError && error.code === 'in-use') this.#tryAgain(config);
        }
      }),
    );
    for (const name of update.removed) listeners.remove(name);
    this.#sources.secrets.keepForListeners(new Set([...listeners.all].flatMap(({ config }) => [...config.secretNames])));
    this.#sources.onFirst();
    return rejections;
  }

  close(): void {
    for (const name of [...this.#blocked.keys()]) this.#unblock(name);
  }

  #tryAgain(config: ListenerConfig): void {
    const { listeners, log, slices } = this.#sources;
    const timer = setTimeout(() => {
      this.#blocked.delete(config.name);
      listeners.set(config, [], slices).then(
        () => {
          log('info', `listener ${config.name}: its address is free by now; it listens`);
          // It was refused: asked for again by its name it comes once more, and is acknowledged.
          this.#subscription.add([config.name]);
        },
        (error: Error) => {
          if (error instanceof ListenerError && error.code === 'in-use') this.#tryAgain(config);
          else log('error', error.message);
        },
      );
    }, ADDRESS_RETRY_MS);
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
