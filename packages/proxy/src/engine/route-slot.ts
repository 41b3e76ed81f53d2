import type { CompiledVirtualHost, RouteTable } from '../routing/route-table.ts';

/** Who waits for a table or a virtual host. */
export interface RouteWaiter {
  /** Look again. `given` is false where waiting is over and nothing came. */
  onRoutes(given: boolean): void;
}

/** Gets what a table lacks (VHDS). */
export interface VirtualHostDemand {
  /** False: known not to exist, or too many wait already. The waiter is called back later, never from within. */
  request(authority: string, waiter: RouteWaiter): boolean;
  /** A request went to this virtual host: it is in use. */
  touch(virtualHost: CompiledVirtualHost): void;
  cancel(waiter: RouteWaiter): void;
}

/** Where a connection manager finds its routes: one reference that is swapped. */
export class RouteSlot {
  readonly name: string;
  /** null: it has not come yet. */
  table: RouteTable | null;
  demand: VirtualHostDemand | null = null;
  readonly #waiters = new Set<RouteWaiter>();

  constructor(name: string, table: RouteTable | null) {
    this.name = name;
    this.table = table;
  }

  set(table: RouteTable): void {
    this.table = table;
    const waiters = [...this.#waiters];
    this.#waiters.clear();
    for (const waiter of waiters) waiter.onRoutes(true);
  }

  /** For the first table. The waiter bounds its own time. */
  wait(waiter: RouteWaiter): void {
    this.#waiters.add(waiter);
  }

  cancel(waiter: RouteWaiter): void {
    this.#waiters.delete(waiter);
    this.demand?.cancel(waiter);
  }
}
