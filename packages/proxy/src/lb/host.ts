import type { JsonObject } from '@bufbuild/protobuf';
import { OutlierState } from '../resilience/outlier-state.ts';

/** EDS health status as balancing sees it; DRAINING, UNHEALTHY and TIMEOUT are 'unhealthy', UNKNOWN is 'healthy'. */
export type HostHealth = 'healthy' | 'degraded' | 'unhealthy';

/** Envoy's cap (LbEndpoint.load_balancing_weight is at least 1, and sums stay within 32 bits). */
export const MAX_HOST_WEIGHT = 128 * 1024;

export const NO_METADATA: JsonObject = Object.freeze({});

/** One endpoint of a cluster. It lives as long as its address is in the cluster; host sets come and go around it. */
export class Host {
  /** "10.0.0.1:8080", a pipe's path, or "internal:NAME". Unique in the cluster. */
  readonly address: string;
  /** What hashing balancers place on the ring: the address, or metadata envoy.lb.hash_key, or the hostname. */
  hashKey: string;
  /** LbEndpoint.load_balancing_weight, at least 1. */
  weight = 1;
  priority = 0;
  /** "region/zone/subzone". */
  locality = '';
  /** filter_metadata["envoy.lb"]. */
  metadata: JsonObject = NO_METADATA;
  health: HostHealth = 'healthy';
  /** Not counted among the endpoints that there are, when it is asked how many of them are well. */
  excluded = false;
  /** Requests under way; least request looks at it. */
  activeRequests = 0;
  /** When it came into the cluster, or its checks passed again, ms of the caller's clock: slow start counts from here. */
  addedAtMs: number;
  readonly outlier = new OutlierState();

  constructor(address: string, addedAtMs: number, hashKey: string = address) {
    this.address = address;
    this.hashKey = hashKey;
    this.addedAtMs = addedAtMs;
  }

  /** Whether requests may go to it at all: not ejected, and no trial under way. */
  get admits(): boolean {
    const outlier = this.outlier;
    return outlier.state === 'closed' || outlier.admitsTrial;
  }
}
