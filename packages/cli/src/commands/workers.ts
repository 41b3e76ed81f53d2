import { runWorkers } from '@outrigger/proxy/workers';

/** `rig proxy --concurrency N`: several processes that are one proxy. */
export const workersCommand = runWorkers;
