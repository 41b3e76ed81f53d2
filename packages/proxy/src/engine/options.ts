import type { AdminAnswer } from '../admin/pages.ts';
import type { Gate } from '../net/lane.ts';
import type { SocketHandle } from '../restart/hand-over.ts';
import type { ProcessParts } from './runtime.ts';

/** One line per event of the proxy itself (not the access log). */
export type ProxyLog = (level: 'debug' | 'info' | 'warn' | 'error', message: string, fields?: Readonly<Record<string, unknown>>) => void;

export type LogLevel = 'debug' | 'info' | 'warn' | 'error' | 'off';

/** What the admin interface may change of the log. */
export interface LogControl {
  level: LogLevel;
}

export interface ProxyOptions {
  /** Of the program, for /server_info. Default: ''. */
  readonly version?: string;
  /** Where the last good configuration is kept; absent: nowhere. */
  readonly cacheDir?: string;
  /** Prometheus text, apart from the admin interface ("127.0.0.1:0" takes a free port); absent: none. */
  readonly metricsAddress?: string;
  /** Default: none. */
  readonly log?: ProxyLog;
  /** By which `log` goes. Default: one that nobody reads. */
  readonly logging?: LogControl;
  /** The admin interface was asked to end the program (/quitquitquit). Default: the proxy drains. */
  readonly onQuit?: () => void;
  /** Downstream connections at once; more are closed as they come. Default 20 000. */
  readonly maxConnections?: number;
  /** How long a drain waits for the streams under way, ms. Default 15 000. */
  readonly drainTimeoutMs?: number;
  /** How long what is under way may take after `retire`, ms. Default 60 000. */
  readonly retireTimeoutMs?: number;
  /** Where several processes are one proxy: this one's place. Default: it is alone. */
  readonly worker?: Workmate;
  /** Where other proxies are in the same process. Default: this one is alone. */
  readonly tenancy?: Tenancy;
  /** What `sockets` gave in the process before this one. Default: none. */
  readonly inherited?: ReadonlyMap<string, SocketHandle>;
}

/** A proxy's place in a process that it has not for itself. */
export interface Tenancy {
  readonly parts: ProcessParts;
  readonly share: LoopShare;
  readonly gate: Gate;
}

/** Its share of the event loop. */
export interface LoopShare {
  /** Since it began, ms. */
  readonly usedMs: number;
  /** Reads, connections and handshakes that had to wait. */
  readonly deferred: number;
  /** In place of `setImmediate` for what a turn writes. */
  flushLater(run: () => void): void;
  /** What runs on its behalf. */
  metered(run: () => void): () => void;
  /** Lets go on at once what waits for it. */
  hurry(): void;
  /** Ends what waits for it. */
  close(): void;
}

/** One of the processes that are one proxy. */
export interface Workmate {
  readonly index: number;
  readonly count: number;
  /** Unix socket where ADS is passed on; '': everything is in the bootstrap. */
  readonly adsPath: string;
  /** What `sockets` says may have changed. */
  onSockets(): void;
}

export type ProxyState = 'LIVE' | 'DRAINING' | 'PRE_INITIALIZING' | 'INITIALIZING';

/** One proxy in this process. It shares nothing with another one, but for what its Tenancy says. */
export interface Proxy {
  /** Fulfilled when the listeners of the first configuration are bound (from the control plane, or from the cache without it). */
  start(): Promise<void>;
  /** Stops accepting, says GOAWAY / `Connection: close`, waits for the streams under way, then closes everything. */
  drain(): Promise<void>;
  /** Its listening sockets, for the process that is to follow it; they stay its own too. */
  sockets(): ReadonlyMap<string, SocketHandle>;
  /**
   * Another process has its sockets by now: accepts no more, lets everything under way come to its end, idle HTTP/1 connections too (their
   * client may be about to send), then closes.
   */
  retire(): Promise<void>;
  /** A page of the admin interface: what it says, or does. */
  page(path: string, query: URLSearchParams): Promise<AdminAnswer>;
  /** Closes everything at once. */
  close(): Promise<void>;
  /** "ip:port" as bound. */
  listenerAddress(name: string): string | undefined;
  /** "ip:port", or the path of the Unix socket. */
  readonly adminAddress: string | undefined;
  readonly metricsAddress: string | undefined;
  readonly state: ProxyState;
}
