import type { RequestHead } from '../http/message.ts';
import type { DomainIndex } from './domain-index.ts';
import { NO_FACTS, type RequestFacts } from './request-facts.ts';
import type { RouteEntry } from './route-entry.ts';
import type { RouteIndex } from './route-index.ts';

/** A virtual host ready for matching. Immutable; compiled alone, so that VHDS can bring it alone. */
export class CompiledVirtualHost {
  readonly name: string;
  readonly domains: readonly string[];
  readonly routes: readonly RouteEntry[];
  /** Every cluster named in it. */
  readonly clusters: ReadonlySet<string>;
  readonly ignored: readonly string[];
  readonly #index: RouteIndex;
  /** The answer to plain text where TLS is required (require_tls), else null. */
  readonly #tlsRedirect: RouteEntry | null;
  /** Not to requests from within (require_tls EXTERNAL_ONLY). */
  readonly #externalOnly: boolean;

  constructor(
    name: string,
    domains: readonly string[],
    routes: readonly RouteEntry[],
    clusters: ReadonlySet<string>,
    index: RouteIndex,
    tlsRedirect: RouteEntry | null,
    externalOnly: boolean,
    ignored: readonly string[],
  ) {
    this.name = name;
    this.#tlsRedirect = tlsRedirect;
    this.#externalOnly = externalOnly;
    this.domains = domains;
    this.routes = routes;
    this.clusters = clusters;
    this.#index = index;
    this.ignored = ignored;
  }

  /** The first route that matches, in the order of the configuration; null: none. `random` is uniform in [0, 2^32). */
  match(head: RequestHead, random: number, facts: RequestFacts = NO_FACTS): RouteEntry | null {
    if (this.#tlsRedirect !== null && head.scheme !== 'https' && !(this.#externalOnly && facts.internal)) return this.#tlsRedirect;
    const index = this.#index.find(head, random, facts);
    return index < 0 ? null : this.routes[index]!;
  }
}

/** An immutable RouteConfiguration, ready for matching. */
export class RouteTable {
  readonly name: string;
  readonly virtualHosts: readonly CompiledVirtualHost[];
  /** Every cluster named: the table is held back until they are there. */
  readonly clusters: ReadonlySet<string>;
  /** Tuning fields that are accepted and do nothing. */
  readonly ignored: readonly string[];
  readonly #domains: DomainIndex<CompiledVirtualHost>;

  constructor(
    name: string,
    virtualHosts: readonly CompiledVirtualHost[],
    clusters: ReadonlySet<string>,
    domains: DomainIndex<CompiledVirtualHost>,
    ignored: readonly string[],
  ) {
    this.name = name;
    this.virtualHosts = virtualHosts;
    this.clusters = clusters;
    this.#domains = domains;
    this.ignored = ignored;
  }

  /** null: no virtual host has this domain (on demand: ask for it). */
  findVirtualHost(authority: string): CompiledVirtualHost | null {
    return this.#domains.find(authority);
  }

  match(head: RequestHead, random: number): RouteEntry | null {
    const virtualHost = this.#domains.find(head.authority);
    return virtualHost === null ? null : virtualHost.match(head, random);
  }
}
