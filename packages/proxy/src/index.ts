export type { Proxy, ProxyLog, ProxyOptions, ProxyState } from './engine/options.ts';
export { runProxy } from './run-proxy.ts';
