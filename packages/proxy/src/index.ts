export { type BootstrapConfig, BootstrapError, readBootstrap } from './bootstrap/bootstrap-config.ts';
export type { Proxy, ProxyLog, ProxyOptions, ProxyState } from './engine/options.ts';
export { createProxy } from './engine/proxy.ts';
export { runNode } from './node/run-node.ts';
export { runProxy } from './run-proxy.ts';
export { runWorker } from './workers/run-worker.ts';
export { workerPlace } from './workers/worker-place.ts';
