import type { ProxyOptions } from '../engine/options.ts';
import { runProxy } from '../run-proxy.ts';
import { WorkerPool } from './worker-pool.ts';

/** Runs one proxy as so many processes, which this one starts, until SIGTERM or SIGINT; at SIGHUP another program takes over (run-proxy.ts). */
export function runWorkers(bootstrapPath: string, count: number, options: Omit<ProxyOptions, 'log'>): Promise<void> {
  return runProxy(bootstrapPath, options, (config, all) => new WorkerPool(config, all, count));
}
