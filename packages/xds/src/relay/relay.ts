import { join } from 'node:path';
import { Code, ConnectError } from '@connectrpc/connect';
import { LastGoodCache } from '../cache/last-good-cache.ts';
import { AdsClient, type AdsClientEvent, type AdsClientStatus } from '../client/ads-client.ts';
import type { Backoff } from '../client/backoff.ts';
import type { GrpcConnectionLimits } from '../grpc/connection.ts';
import type { StreamMethods } from '../grpc/stream-method.ts';
import type { GrpcTarget } from '../grpc/target.ts';
import { createAdsRoutes } from '../server/ads.ts';
import type { StreamStatus } from '../server/status.ts';
import { versionOf } from '../version.ts';
import { AccessLogRelay } from './access-log-relay.ts';
import { RelayedView } from './relayed-view.ts';

/** Different `Node.id`s that one relay serves and keeps a cache for; it is there for one workload. */
const MAX_NODES = 16;

export interface RelayOptions {
  /** The control plane, under the agent's SVID. */
  readonly upstream: GrpcTarget;
  /** Where the last good answers are kept, a file for each node id. */
  readonly cacheFolder: string;
  /** How long the control plane may be silent before the cache is served. Default 2,000. */
  readonly cacheGraceMs?: number;
  readonly backoff?: Backoff;
  readonly connection?: Partial<GrpcConnectionLimits>;
  /** What happens to the upstream streams. */
  readonly onEvent?: (event: AdsClientEvent & { readonly nodeId: string }) => void;
  readonly onWarning?: (message: string) => void;
}

export interface RelayStatus {
  /** Downstream streams, as an ADS server knows them. */
  readonly streams: readonly StreamStatus[];
  /** One for each downstream stream: connected to the control plane or not, and how old what it serves is. */
  readonly upstreams: readonly (AdsClientStatus & { readonly nodeId: string })[];
  readonly accessLog: { readonly forwardedMessages: number; readonly droppedMessages: number };
}

export interface Relay {
  /** ADS (delta and state of the world) and ALS, for a server on a Unix socket. */
  readonly methods: StreamMethods;
  status(): RelayStatus;
  /** Ends the streams and brings the cache to disk. */
  close(): void;
}

/**
 * ADS for a client that cannot show an SVID or keeps nothing on disk (Envoy, gRPC): each of its streams is one delta
 * stream to the control plane, and while that is away the last good answers are served. Access logs are passed on.
 */
export function createRelay(options: RelayOptions): Relay {
  const caches = new Map<string, LastGoodCache>();
  const clients = new Map<AdsClient, string>();
  const accessLog = new AccessLogRelay(options.upstream, options);

  const cacheOf = (nodeId: string): LastGoodCache => {
    let cache = caches.get(nodeId);
    if (cache === undefined) {
      if (caches.size >= MAX_NODES) throw new ConnectError(`this relay serves ${MAX_NODES} node ids at most; ${nodeId} is one more`, Code.ResourceExhausted);
      cache = LastGoodCache.open(
        join(options.cacheFolder, `${versionOf(nodeId)}.xds`),
        options.onWarning === undefined ? {} : { onWarning: options.onWarning },
      );
      caches.set(nodeId, cache);
    }
    return cache;
  };

  const routes = createAdsRoutes({
    open(node, _caller, changed) {
      const client = new AdsClient({
        target: options.upstream,
        node,
        cache: cacheOf(node.id),
        onEvent: (event) => options.onEvent?.({ ...event, nodeId: node.id }),
        ...(options.cacheGraceMs === undefined ? {} : { cacheGraceMs: options.cacheGraceMs }),
        ...(options.backoff === undefined ? {} : { backoff: options.backoff }),
        ...(options.connection === undefined ? {} : { connection: options.connection }),
      });
      clients.set(client, node.id);
      client.start();
      return new RelayedView(client, changed, () => clients.delete(client));
    },
  });

  return {
    methods: new Map([...routes.methods, ...accessLog.methods]),
    status: () => ({
      streams: routes.streams(),
      upstreams: Array.from(clients, ([client, nodeId]) => ({ ...client.status(), nodeId })),
      accessLog: { forwardedMessages: accessLog.forwardedMessages, droppedMessages: accessLog.droppedMessages },
    }),
    close() {
      routes.close();
      accessLog.close();
      for (const cache of caches.values()) cache.close();
    },
  };
}
