import { type LookupAddress, lookup } from 'node:dns';
import { ownText } from '../http/own-text.ts';
import type { DnsSettings } from '../xds/cluster-config.ts';
import { queryServers } from './dns-query.ts';

export type DnsQuery = Pick<DnsSettings, 'family' | 'servers' | 'respectTtl'>;
/** `ttlMs`: how long the answer holds, where that is known. */
export type DnsDone = (addresses: readonly string[], error: string, ttlMs?: number) => void;

export interface Resolver {
  /** IP addresses, in the order of preference. Calls back later, never from within; an empty list with the reason where there is none. */
  resolve(host: string, query: DnsQuery, done: DnsDone): void;
}

/** Asks servers where some are given, or what they say of an answer's life is wanted; else, and for what they do not know, getaddrinfo of the system. */
export const systemResolver: Resolver = {
  resolve(host, query, done) {
    if (query.servers.length === 0 && !query.respectTtl) {
      lookUp(host, query.family, done);
      return;
    }
    queryServers(host, query).then(
      ({ addresses, ttlMs }) => done(addresses, '', ttlMs),
      (error: NodeJS.ErrnoException) => {
        // A name of /etc/hosts.
        if (query.servers.length === 0) lookUp(host, query.family, done);
        else done([], error.code ?? 'no addresses');
      },
    );
  },
};

function lookUp(host: string, family: DnsSettings['family'], done: DnsDone): void {
  const only = family === 'v4' ? 4 : family === 'v6' ? 6 : 0;
  lookup(
    host,
    { all: true, family: only, order: family === 'v4-preferred' ? 'ipv4first' : 'verbatim' },
    (error: NodeJS.ErrnoException | null, addresses: LookupAddress[]) => {
      if (error !== null || addresses === undefined) {
        done([], error?.code ?? 'no addresses');
        return;
      }
      const texts = addresses.map((address) => address.address);
      // Envoy's AUTO: IPv6 if there is any, else IPv4; but a name with both is reached by what the system prefers first.
      done(
        family === 'all' || family === 'v4' || family === 'v6' ? texts : texts.filter((text) => text.includes(':') === texts[0]!.includes(':')),
        texts.length === 0 ? 'no addresses' : '',
      );
    },
  );
}

interface CacheEntry {
  addresses: readonly string[];
  error: string;
  expiresMs: number;
  waiters: ((addresses: readonly string[], error: string) => void)[] | null;
}

/** Names remembered; beyond it the oldest goes (Envoy's max_hosts of a DNS cache). */
export const MAX_CACHED_HOSTS = 1024;

/** Answers by name for a dynamic forward proxy: one look-up under way for each, kept for the refresh time, failures shorter. */
export class DnsCache {
  readonly #entries = new Map<string, CacheEntry>();
  readonly #resolver: Resolver;
  readonly #settings: DnsSettings;
  readonly #ttlMs: number;
  readonly #nowMs: () => number;

  constructor(resolver: Resolver, settings: DnsSettings, ttlMs: number, nowMs: () => number) {
    this.#resolver = resolver;
    this.#settings = settings;
    this.#ttlMs = ttlMs;
    this.#nowMs = nowMs;
  }

  /** Calls back at once where the answer is known. A stale good answer is used when the new look-up fails. */
  get(host: string, done: (addresses: readonly string[], error: string) => void): void {
    let entry = this.#entries.get(host);
    const nowMs = this.#nowMs();
    if (entry !== undefined && entry.waiters === null && entry.expiresMs > nowMs) {
      done(entry.addresses, entry.error);
      return;
    }
    if (entry === undefined) {
      entry = { addresses: [], error: '', expiresMs: 0, waiters: null };
      if (this.#entries.size >= MAX_CACHED_HOSTS) this.#entries.delete(this.#entries.keys().next().value!);
      this.#entries.set(ownText(host), entry);
    }
    if (entry.waiters !== null) {
      entry.waiters.push(done);
      return;
    }
    entry.waiters = [done];
    const found = entry;
    this.#resolver.resolve(host, this.#settings, (addresses, error) => {
      if (addresses.length > 0) found.addresses = addresses;
      found.error = found.addresses.length > 0 ? '' : error;
      found.expiresMs = this.#nowMs() + (error === '' ? this.#ttlMs : Math.min(this.#ttlMs, this.#settings.failureRefreshMs));
      const waiters = found.waiters ?? [];
      found.waiters = null;
      for (const waiter of waiters) waiter(found.addresses, found.error);
    });
  }
}
