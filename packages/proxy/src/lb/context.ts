import type { Host } from './host.ts';
import type { SubsetCriteria } from './subset-criteria.ts';

/** Says which endpoints a request had better not go to. */
export interface HostPredicate {
  omits(host: Host): boolean;
}

const NONE: readonly Host[] = Object.freeze([]);

/** What a pick may depend on. One per stream, reused between attempts. */
export class LbContext {
  /** Whether a hash policy gave a hash; without one the hashing balancers choose at random. */
  hasHash = false;
  /** The upper and lower half of the 64-bit hash. */
  hashHigh = 0;
  hashLow = 0;
  /** Set-Cookie value to send downstream with the response (hash policy "cookie" with a ttl), or ''. */
  setCookie = '';
  /** Hosts of earlier attempts. */
  tried: readonly Host[] = NONE;
  /** They are avoided (retry_host_predicate previous_hosts). */
  avoidsTried = false;
  /** So are these (omit_canary_hosts, omit_host_metadata); null: none. */
  omitted: HostPredicate | null = null;
  /** After so many attempts priorities that had one are left out (retry_priority previous_priorities); 0: they are not. */
  prioritiesAfter = 0;
  /** How often a pick is repeated to avoid them (host_selection_retry_max_attempts). */
  maxRepicks = 0;
  nowMs = 0;
  /** Of the endpoints that the request may go to; null: any (or what the cluster falls back to). */
  subset: SubsetCriteria | null = null;
  /** "ip:port" for an ORIGINAL_DST cluster, '' where nothing is known. */
  destination = '';

  reset(): void {
    this.hasHash = false;
    this.hashHigh = 0;
    this.hashLow = 0;
    this.setCookie = '';
    this.tried = NONE;
    this.avoidsTried = false;
    this.omitted = null;
    this.prioritiesAfter = 0;
    this.maxRepicks = 0;
    this.subset = null;
    this.destination = '';
  }

  avoids(host: Host): boolean {
    return (this.avoidsTried && this.tried.includes(host)) || this.omitted?.omits(host) === true;
  }
}
