import type { SocketHandle } from '../restart/hand-over.ts';

const PREFIX = /^worker (\d+) (.*)$/s;

/**
 * A copy of each listening socket of each worker. Connections that the kernel has put into a socket's queue stay there when its worker dies, and are its
 * successor's; and the process that follows this one gets all of them.
 */
export class KeptSockets {
  /** Of no worker: this process's own, and those of a proxy that was one process alone. */
  readonly #others = new Map<string, SocketHandle>();
  readonly #byWorker: readonly Map<string, SocketHandle>[];

  /** `inherited`: what `all` gave in the process before this one. Of workers that are no more, a queue without a reader is closed. */
  constructor(inherited: ReadonlyMap<string, SocketHandle>, count: number) {
    this.#byWorker = Array.from({ length: count }, () => new Map<string, SocketHandle>());
    for (const [key, handle] of inherited) {
      const [, index, own] = PREFIX.exec(key) ?? [];
      if (index === undefined) this.#others.set(key, handle);
      else if (Number(index) < count) this.#byWorker[Number(index)]!.set(own!, handle);
      else handle.close?.();
    }
  }

  /** One of this process's own, taken once. */
  own(key: string): SocketHandle | undefined {
    const handle = this.#others.get(key);
    this.#others.delete(key);
    return handle;
  }

  /** What a worker begins with. A socket that is no worker's is shared by all of them: the first that is free accepts. */
  of(index: number): ReadonlyMap<string, SocketHandle> {
    return new Map([...this.#others, ...this.#byWorker[index]!]);
  }

  keep(index: number, key: string, handle: SocketHandle): void {
    this.#byWorker[index]!.get(key)?.close?.();
    this.#byWorker[index]!.set(key, handle);
  }

  drop(index: number, key: string): void {
    const sockets = this.#byWorker[index]!;
    sockets.get(key)?.close?.();
    sockets.delete(key);
    // What all had is needed no more once one of them has closed it: they have the same configuration.
    this.#others.get(key)?.close?.();
    this.#others.delete(key);
  }

  /** A worker does not come back soon: the kernel gives what would wait for it to the others. It binds anew. */
  forget(index: number): void {
    for (const handle of this.#byWorker[index]!.values()) handle.close?.();
    this.#byWorker[index]!.clear();
  }

  /** For the process that follows this one, with this process's own. */
  all(own: readonly (readonly [key: string, handle: SocketHandle])[]): ReadonlyMap<string, SocketHandle> {
    const all = new Map([...this.#others, ...own]);
    this.#byWorker.forEach((sockets, index) => {
      for (const [key, handle] of sockets) all.set(`worker ${index} ${key}`, handle);
    });
    return all;
  }

  close(): void {
    for (const sockets of [this.#others, ...this.#byWorker]) {
      for (const handle of sockets.values()) handle.close?.();
      sockets.clear();
    }
  }
}

/** What a proxy that is one process takes of those of several: the first worker's, and the others' are closed. */
export function ofOneProcess(inherited: ReadonlyMap<string, SocketHandle>): ReadonlyMap<string, SocketHandle> {
  const kept = new Map<string, SocketHandle>();
  for (const [key, handle] of inherited) {
    const [, index, own] = PREFIX.exec(key) ?? [];
    if (index === undefined) kept.set(key, handle);
    else if (index === '0') kept.set(own!, handle);
    else handle.close?.();
  }
  return kept;
}
