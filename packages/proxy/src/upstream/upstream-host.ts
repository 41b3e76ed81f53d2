import { Host } from '../lb/host.ts';
import type { SeriesSet } from '../observe/http-metrics.ts';
import type { ActiveHealth } from '../resilience/active-health.ts';
import type { TransportSocketSettings } from '../xds/cluster-config.ts';
import type { ConnectionSettings } from '../xds/connection-settings.ts';
import type { EndpointConfig } from '../xds/endpoint-config.ts';
import type { HttpPool } from './http-pool.ts';
import { type ConnectHow, PLAIN_HOW } from './upstream-transport.ts';

/** Workload that an endpoint is, from its metadata; '' where unknown. */
export interface PeerWorkload {
  readonly workload: string;
  readonly namespace: string;
  readonly service: string;
  readonly version: string;
}

export const UNKNOWN_PEER: PeerWorkload = { workload: '', namespace: '', service: '', version: '' };

/** "WORKLOAD;NAMESPACE;SERVICE;VERSION", as endpoint metadata and x-outrigger-peer have it. */
export function parsePeerWorkload(text: string): PeerWorkload {
  if (text === '') return UNKNOWN_PEER;
  const [workload = '', namespace = '', service = '', version = ''] = text.split(';');
  return { workload, namespace, service, version };
}

/** A connection that is not a pool's. */
export interface HostConnection {
  close(): void;
}

/** An endpoint of a cluster with its connections. */
export class UpstreamHost extends Host {
  endpoint: EndpointConfig;
  /** What the endpoint's metadata chose of the cluster's transport sockets. */
  socket: TransportSocketSettings;
  peer: PeerWorkload;
  /** How its connections are made. */
  how: ConnectHow = PLAIN_HOW;
  http1: HttpPool | undefined = undefined;
  http2: HttpPool | undefined = undefined;
  /** Those of requests of high priority; null: there has been none. */
  high: { http1: HttpPool | undefined; http2: HttpPool | undefined } | null = null;
  /** Pools of single downstream connections, where the upstream is told of them (PROXY protocol); null: none. */
  proxied: Map<string, HttpPool> | null = null;
  draining = false;
  /** What health checks say; null: it is not checked. Written by the cluster. */
  active: ActiveHealth | null = null;
  /** Discovery has dropped it; it stays while its checks pass. */
  removalPending = false;
  /** TCP connections through it that a failed check ends; null: none are. */
  closers: Set<HostConnection> | null = null;
  /** Connections to it, TCP proxies' too. */
  connections = 0;
  /**
   * How long this upstream keeps an idle connection, as far as seen, ms. Node servers close after 5 s, and a request that
   * is written at that moment is lost.
   */
  learnedIdleMs = Number.POSITIVE_INFINITY;
  readonly stats = new HostStats();
  /** Where requests to it are counted, and for which certificate; kept by the metrics. */
  series: SeriesSet | null = null;
  seriesPeerUri = '';

  constructor(endpoint: EndpointConfig, socket: TransportSocketSettings, addedAtMs: number) {
    super(endpoint.text, addedAtMs, endpoint.hashKey === '' ? endpoint.text : endpoint.hashKey);
    this.endpoint = endpoint;
    this.socket = socket;
    this.peer = UNKNOWN_PEER;
    this.apply(endpoint, socket);
  }

  apply(endpoint: EndpointConfig, socket: TransportSocketSettings): void {
    this.endpoint = endpoint;
    this.socket = socket;
    this.series = null;
    this.peer = parsePeerWorkload(endpoint.workload);
    this.weight = endpoint.weight;
    this.priority = endpoint.priority;
    this.locality = endpoint.locality;
    this.metadata = endpoint.metadata;
    this.removalPending = false;
    this.settleHealth();
  }

  connectWith(settings: ConnectionSettings): void {
    this.how = { settings, others: this.endpoint.additionalAddresses, header: null, alpn: null };
  }

  /** From what discovery and the checks say. */
  settleHealth(): void {
    const { active } = this;
    const { health } = this.endpoint;
    if (health === 'unhealthy' || active?.failed === true) this.health = 'unhealthy';
    else this.health = active?.degraded === true ? 'degraded' : health;
    this.excluded = active !== null && (active.excluded || active.waiting);
  }

  /** Connections that there are take no more requests: they may be what is wrong. */
  retireConnections(): void {
    for (const pool of this.#pools()) pool.retireAll();
    if (this.closers !== null) for (const connection of [...this.closers]) connection.close();
  }

  #pools(): HttpPool[] {
    return [this.http1, this.http2, this.high?.http1, this.high?.http2, ...(this.proxied?.values() ?? [])].filter((pool) => pool !== undefined);
  }

  /** Its pools close what is idle and keep nothing, those too that a last retry makes. */
  drain(): void {
    this.draining = true;
    for (const pool of this.#pools()) pool.drain();
  }

  close(): void {
    for (const pool of this.#pools()) pool.close();
  }
}

/** Counters of /clusters, by Envoy's names. */
export class HostStats {
  connectTotal = 0;
  connectFail = 0;
  requestTotal = 0;
  requestError = 0;
  requestSuccess = 0;
  requestTimeout = 0;
}
