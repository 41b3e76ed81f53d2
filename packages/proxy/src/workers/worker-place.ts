import type { AdminAnswer } from '../admin/pages.ts';

/** In the environment of a worker: its place, as JSON. */
export const WORKER = 'OUTRIGGER_WORKER';

/** A worker's place among those that are one proxy. */
export interface WorkerPlace {
  readonly index: number;
  readonly count: number;
  /** Unix socket where the parent passes ADS on; '': everything is in the bootstrap. */
  readonly adsPath: string;
}

/** What a worker and its parent say to each other beside what a proxy and its parent say (restart/hand-over.ts). */
export type WorkerMessage =
  /** Parent: what a page of the admin interface says, or does. */
  | { readonly worker: 'ask'; readonly id: number; readonly path: string; readonly query: string }
  | ({ readonly worker: 'answer'; readonly id: number } & AdminAnswer)
  /** Worker: it listens there no more. Where it begins to it gives the socket. */
  | { readonly worker: 'closed-socket'; readonly key: string };

export function isWorkerMessage(message: unknown): message is WorkerMessage {
  return typeof message === 'object' && message !== null && 'worker' in message;
}

/** undefined: this process is no worker. */
export function workerPlace(environment: NodeJS.ProcessEnv): WorkerPlace | undefined {
  const text = environment[WORKER];
  return text === undefined ? undefined : (JSON.parse(text) as WorkerPlace);
}
