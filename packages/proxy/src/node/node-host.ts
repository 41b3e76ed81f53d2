import { readFileSync } from 'node:fs';
import { readBootstrap } from '../bootstrap/bootstrap-config.ts';
import { processParts } from '../engine/make-runtime.ts';
import type { LogControl, ProxyLog, Proxy as RunnableProxy } from '../engine/options.ts';
import { createProxy } from '../engine/proxy.ts';
import type { SocketHandle } from '../restart/hand-over.ts';
import { FairGate } from './fair-lane.ts';
import type { FairLoop } from './fair-loop.ts';
import { type NodeAnswer, socketKey, type WorkloadOrder } from './orders.ts';

/** A proxy whose configuration does not come is given up after this long, so that those that wait for all are answered. */
const START_TIMEOUT_MS = 10_000;
/** As long as a sidecar's own process is given. */
const DRAIN_TIMEOUT_MS = 5_000;

export interface NodeHostOptions {
  readonly version: string;
  readonly loop: FairLoop;
  /** Of one workload: where its own level is. */
  readonly log: (workload: string, logging: LogControl) => ProxyLog;
  readonly answer: (answer: NodeAnswer) => void;
  /** Sockets of the process before this one, by `socketKey`. */
  readonly inherited: ReadonlyMap<string, SocketHandle>;
}

/** The proxies of all workloads of a host in one process: each has its own identity, configuration and figures, and none ends with another. */
export class NodeHost {
  readonly #options: NodeHostOptions;
  readonly #parts = processParts();
  readonly #proxies = new Map<string, RunnableProxy>();
  readonly #inherited: Map<string, SocketHandle>;

  constructor(options: NodeHostOptions) {
    this.#options = options;
    this.#inherited = new Map(options.inherited);
  }

  /** Answers: serving, or failed and why. Never rejects. */
  async add(order: WorkloadOrder): Promise<void> {
    const { answer } = this.#options;
    const { key } = order;
    if (this.#proxies.has(key)) {
      answer({ node: 'failed', key, reason: 'it runs in this process already' });
      return;
    }
    let proxy: RunnableProxy | undefined;
    try {
      const config = await readBootstrap(readFileSync(order.bootstrapPath, 'utf8'), order.bootstrapPath);
      proxy = this.#create(order, config);
      this.#proxies.set(key, proxy);
      await within(proxy.start(), START_TIMEOUT_MS, 'its configuration did not come from the control plane, and none is in its cache');
      answer({ node: 'serving', key });
    } catch (error) {
      this.#proxies.delete(key);
      await proxy?.close().catch(() => {});
      answer({ node: 'failed', key, reason: error instanceof Error ? error.message : String(error) });
    }
  }

  /** Drains it, and answers when it is gone. */
  async remove(key: string): Promise<void> {
    await this.#end(key);
    this.#options.answer({ node: 'removed', key });
  }

  /** The listening sockets of all, for the process that is to follow this one. */
  sockets(): ReadonlyMap<string, SocketHandle> {
    const sockets = new Map<string, SocketHandle>();
    for (const [key, proxy] of this.#proxies) for (const [socket, handle] of proxy.sockets()) sockets.set(socketKey(key, socket), handle);
    return sockets;
  }

  /** Sockets of those that are not there any more are nobody's. */
  dropInherited(): void {
    for (const handle of this.#inherited.values()) handle.close?.();
    this.#inherited.clear();
  }

  drain(): Promise<void> {
    return this.#all((proxy) => proxy.drain());
  }

  /** Another process has the sockets by now. */
  retire(): Promise<void> {
    return this.#all((proxy) => proxy.retire());
  }

  close(): Promise<void> {
    return this.#all((proxy) => proxy.close());
  }

  async #all(act: (proxy: RunnableProxy) => Promise<void>): Promise<void> {
    await Promise.all(Array.from(this.#proxies.values(), (proxy) => act(proxy).catch(() => {})));
  }

  #create(order: WorkloadOrder, config: Awaited<ReturnType<typeof readBootstrap>>): RunnableProxy {
    const { version, loop, log } = this.#options;
    const { key, cacheDirectory, metricsAddress, maxConnections } = order;
    const logging: LogControl = { level: 'info' };
    const share = loop.share();
    return createProxy(config, {
      version,
      cacheDir: cacheDirectory,
      metricsAddress,
      logging,
      log: log(key, logging),
      inherited: this.#inheritedBy(key),
      drainTimeoutMs: DRAIN_TIMEOUT_MS,
      ...(maxConnections === 0 ? {} : { maxConnections }),
      tenancy: { parts: this.#parts, share, gate: new FairGate(share, this.#parts.intake.buffer) },
      onQuit: () => void this.#end(key).then(() => this.#options.answer({ node: 'ended', key })),
    });
  }

  async #end(key: string): Promise<void> {
    const proxy = this.#proxies.get(key);
    await proxy?.drain().catch(() => {});
    if (this.#proxies.get(key) === proxy) this.#proxies.delete(key);
  }

  /** A socket is given once. */
  #inheritedBy(workload: string): ReadonlyMap<string, SocketHandle> {
    const own = new Map<string, SocketHandle>();
    const prefix = socketKey(workload, '');
    for (const [key, handle] of this.#inherited) {
      if (!key.startsWith(prefix)) continue;
      own.set(key.slice(prefix.length), handle);
      this.#inherited.delete(key);
    }
    return own;
  }
}

function within(work: Promise<void>, timeoutMs: number, otherwise: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`${otherwise} (waited ${timeoutMs / 1000} s)`)), timeoutMs);
    work.then(resolve, reject).finally(() => clearTimeout(timer));
  });
}
