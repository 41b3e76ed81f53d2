import type { RequestHead } from '../http/message.ts';
import type { WheelTimer } from '../net/timer-wheel.ts';
import type { ClusterChoice } from '../routing/cluster-choice.ts';
import type { RouteEntry } from '../routing/route-entry.ts';
import type { Cluster } from '../upstream/cluster.ts';
import { FilteredStream, NO_ROUTE } from './filtered-stream.ts';
import { IdleClock } from './idle-clock.ts';

/** How long a request waits for routes or a cluster that were asked for, ms. */
export const ON_DEMAND_TIMEOUT_MS = 5_000;
/** Kind of the timer that ends the wait for configuration. */
export const CONFIG_WAIT = 3;

/** A request on its way to its route and, behind the filters, to its cluster; it waits for either where they come on demand. */
export abstract class RoutedStream extends FilteredStream {
  /** The route has an idle timeout of its own. */
  ownIdle = false;
  choice: ClusterChoice | null = null;
  #idleClock: IdleClock | null = null;
  #waiting = false;
  #waitTimer: WheelTimer | undefined = undefined;

  protected abstract forward(cluster: Cluster): void;
  protected abstract clusterMissing(): void;

  protected matchRoute(): void {
    const slot = this.manager.routes;
    const { head } = this;
    const { table } = slot;
    if (table === null) {
      this.#wait();
      slot.wait(this);
      return;
    }
    const virtualHost = table.findVirtualHost(head.authority);
    if (virtualHost === null && slot.demand !== null && slot.demand.request(head.authority, this)) {
      this.#wait();
      return;
    }
    if (virtualHost !== null) slot.demand?.touch(virtualHost);
    this.route = virtualHost === null ? null : virtualHost.match(head, this.dice, this);
    this.#armIdle();
    this.filterRequest();
  }

  /** Where a request of that head would go; null: nowhere, or its virtual host is not there yet. */
  protected routeFor(head: RequestHead): RouteEntry | null {
    return this.manager.routes.table?.findVirtualHost(head.authority)?.match(head, this.dice, this) ?? null;
  }

  /** Without waiting: a virtual host that is not there yet is asked for by those that come with that authority. */
  protected lookUpRoute(): void {
    this.route = this.routeFor(this.head);
    this.#armIdle();
  }

  #armIdle(): void {
    const idleTimeoutMs = this.route === null ? -1 : this.route.fields.idleTimeoutMs;
    this.ownIdle = idleTimeoutMs >= 0;
    this.#idleClock?.cancel();
    this.#idleClock = idleTimeoutMs > 0 ? new IdleClock(this, this.manager.runtime.wheel, idleTimeoutMs) : null;
  }

  /** Bounds the time that a request waits for configuration. */
  #wait(): void {
    this.#waiting = true;
    this.#waitTimer ??= this.manager.runtime.wheel.arm(ON_DEMAND_TIMEOUT_MS, this, CONFIG_WAIT);
  }

  #endWait(): void {
    this.#waiting = false;
    if (this.#waitTimer !== undefined) this.manager.runtime.wheel.cancel(this.#waitTimer);
    this.#waitTimer = undefined;
  }

  /** Of what it waits for: routes, then its cluster. */
  protected routes(given: boolean): void {
    if (this.over || !this.#waiting) return;
    if (this.choice !== null) {
      this.toCluster(this.choice.clusterName(this.head));
      return;
    }
    this.#endWait();
    if (given) this.matchRoute();
    else this.refused(NO_ROUTE);
  }

  protected onConfigWaitOver(): void {
    this.#waitTimer = undefined;
    this.manager.routes.cancel(this);
    this.routes(false);
  }

  protected toCluster(name: string): void {
    const cluster = this.manager.clusters.get(name);
    if (cluster === undefined || !cluster.warm) {
      if (this.#waiting) {
        this.#endWait();
        this.clusterMissing();
        return;
      }
      // Rare: the table was held back until its clusters were there, or the request itself named this one.
      this.#waiting = true;
      this.manager.clusters.ready([name], ON_DEMAND_TIMEOUT_MS).then((there) => this.onRoutes(there));
      return;
    }
    this.#endWait();
    this.cluster = cluster;
    this.forward(cluster);
  }

  /** It has its answer. */
  protected cancelWait(): void {
    if (this.#waitTimer !== undefined) this.manager.runtime.wheel.cancel(this.#waitTimer);
    this.#waitTimer = undefined;
  }

  protected endRouting(): void {
    this.cancelWait();
    this.#idleClock?.cancel();
    if (this.#waiting) this.manager.routes.cancel(this);
  }
}
