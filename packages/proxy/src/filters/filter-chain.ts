import type { HttpFilter } from './http-filter.ts';
import type { RouteFilters } from './route-filters.ts';

export interface ChainLink {
  readonly filter: HttpFilter;
  /** HttpFilter.disabled: only where a route switches it on. */
  readonly disabled: boolean;
}

/** The filters that hold for a request, in the chain's order; null: switched off here, or has nothing to do on that way. */
export interface BoundFilters {
  readonly request: readonly (HttpFilter | null)[];
  /** In reverse order, those alone that have something to do. */
  readonly response: readonly HttpFilter[];
}

/** The HTTP filters of a connection manager, in their order; the router stands behind them. */
export class HttpFilterChain {
  readonly links: readonly ChainLink[];
  /** For a request that no route is for. */
  readonly unrouted: BoundFilters;

  constructor(links: readonly ChainLink[]) {
    this.links = links;
    this.unrouted = bind(links.map(({ filter, disabled }) => (disabled ? null : filter)));
  }

  /** With what a route says. Asked once for each route: the route keeps the answer. */
  bind(route: RouteFilters): BoundFilters {
    return bind(
      this.links.map(({ filter, disabled }) => {
        const off = route.disabled.has(filter.name) || (disabled && !route.enabled.has(filter.name));
        return off ? null : filter.forRoute([...(route.settings.get(filter.name) ?? []), ...route.unnamed]);
      }),
    );
  }
}

function bind(filters: readonly (HttpFilter | null)[]): BoundFilters {
  const request = filters.map((filter) => (filter?.onRequest === undefined ? null : filter));
  const last = request.findLastIndex((filter) => filter !== null);
  return {
    request: request.slice(0, last + 1),
    response: filters.filter((filter): filter is HttpFilter => filter?.onResponse !== undefined).reverse(),
  };
}
