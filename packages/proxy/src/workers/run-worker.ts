import { readFileSync } from 'node:fs';
import { readBootstrap } from '../bootstrap/bootstrap-config.ts';
import type { Proxy as RunnableProxy } from '../engine/options.ts';
import { createProxy, DEFAULT_MAX_CONNECTIONS } from '../engine/proxy.ts';
import { keepHeapTrimmed } from '../memory/native-heap.ts';
import { initialLogging, processLog } from '../process-log.ts';
import { type Channel, receiveSockets, type SocketHandle, sendSocket, tell } from '../restart/hand-over.ts';
import { ProcessEnd } from '../restart/process-end.ts';
import { isWorkerMessage, type WorkerMessage, type WorkerPlace } from './worker-place.ts';

/** Runs one of several processes that are one proxy, until its parent says so, or is gone. */
export async function runWorker(bootstrapPath: string, place: WorkerPlace, options: { readonly version: string }): Promise<void> {
  const parent = process as unknown as Channel;
  const inherited = await receiveSockets(parent, 'take-sockets');
  const config = await readBootstrap(readFileSync(bootstrapPath, 'utf8'), bootstrapPath);
  const logging = initialLogging();
  const given = new GivenSockets(parent, inherited);
  const proxy = createProxy(
    { ...config, admin: null },
    {
      ...options,
      inherited,
      log: processLog(logging, { worker: place.index }),
      logging,
      maxConnections: Math.ceil((config.maxConnections ?? DEFAULT_MAX_CONNECTIONS) / place.count),
      worker: { ...place, onSockets: () => given.update(proxy) },
    },
  );
  const end = new ProcessEnd(proxy, parent);
  // Nobody starts it again, or asks it anything, any more.
  process.on('disconnect', end.begin);
  process.on('message', (message) => {
    if (isWorkerMessage(message) && message.worker === 'ask') void answer(proxy, message.id, message.path, message.query);
  });
  const serve = async (): Promise<void> => {
    await proxy.start();
    given.started(proxy);
    keepHeapTrimmed();
    if (process.connected) tell(parent, { outrigger: 'serving' });
    await end.ended;
  };
  // It may be ended before it serves.
  await Promise.race([serve(), end.ended]);
  process.exit(0);
}

async function answer(proxy: RunnableProxy, id: number, path: string, query: string): Promise<void> {
  let said: WorkerMessage;
  try {
    said = { worker: 'answer', id, ...(await proxy.page(path, new URLSearchParams(query))) };
  } catch (error) {
    said = { worker: 'answer', id, status: 500, text: `${(error as Error).message}\n` };
  }
  if (process.connected) process.send?.(said);
}

/** The parent has each socket too: what has come to it outlives this process. */
class GivenSockets {
  readonly #parent: Channel;
  readonly #keys: Set<string>;
  #started = false;

  constructor(parent: Channel, inherited: ReadonlyMap<string, SocketHandle>) {
    this.#parent = parent;
    this.#keys = new Set(inherited.keys());
  }

  /** What it was given and has not taken by now is no listener's. */
  started(proxy: RunnableProxy): void {
    this.#started = true;
    this.update(proxy);
  }

  update(proxy: RunnableProxy): void {
    if (!process.connected) return;
    const sockets = proxy.sockets();
    for (const [key, handle] of sockets) {
      if (this.#keys.has(key)) continue;
      this.#keys.add(key);
      sendSocket(this.#parent, key, handle);
    }
    for (const key of this.#keys) {
      if (!this.#started || sockets.has(key)) continue;
      this.#keys.delete(key);
      process.send?.({ worker: 'closed-socket', key } satisfies WorkerMessage);
    }
  }
}
