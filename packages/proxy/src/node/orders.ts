/** One workload as the supervisor of a node has it run in the shared process. */
export interface WorkloadOrder {
  /** Unique on the node, the same after a restart. */
  readonly key: string;
  readonly bootstrapPath: string;
  /** Where its last good configuration is kept. */
  readonly cacheDirectory: string;
  /** Where it has its Prometheus page. */
  readonly metricsAddress: string;
  /** Downstream connections at once; 0: the default of a proxy. */
  readonly maxConnections: number;
}

/** What the supervisor asks of the shared process. Sockets go by restart/hand-over.ts, keyed by `socketKey`. */
export type NodeOrder =
  /** The first one: with these it is to serve, and says so (`serving` of a hand-over) once each is answered. */
  | { readonly node: 'start'; readonly workloads: readonly WorkloadOrder[] }
  | { readonly node: 'add'; readonly workload: WorkloadOrder }
  /** Drains it. */
  | { readonly node: 'remove'; readonly key: string };

/** What it answers. */
export type NodeAnswer =
  | { readonly node: 'serving'; readonly key: string }
  | { readonly node: 'failed'; readonly key: string; readonly reason: string }
  | { readonly node: 'removed'; readonly key: string }
  /** Not asked: its own admin interface has ended it (/quitquitquit). */
  | { readonly node: 'ended'; readonly key: string };

export function isNodeOrder(message: unknown): message is NodeOrder {
  return typeof message === 'object' && message !== null && 'node' in message;
}

export function isNodeAnswer(message: unknown): message is NodeAnswer {
  return isNodeOrder(message);
}

/** Of one workload's socket among those of all. Keys of workloads hold no line break. */
export function socketKey(workload: string, socket: string): string {
  return `${workload}\n${socket}`;
}
