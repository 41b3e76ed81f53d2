export type { Proxy, ProxyLog, ProxyOptions, ProxyState } from './engine/options.ts';
