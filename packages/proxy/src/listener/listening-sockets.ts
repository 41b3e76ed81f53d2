import type net from 'node:net';
import type { Runtime } from '../engine/runtime.ts';
import { loadSocketCalls, type SocketCalls } from '../net/socket-calls.ts';
import type { ListenerConfig, SocketAddress, SocketOptionConfig } from '../xds/listener-config.ts';
import { ListenerError, ListenSocket, sameAddress } from './listen-socket.ts';

/** Sockets of a listener that is replaced, by their addresses. */
export interface SocketHolder {
  holds(address: SocketAddress): boolean;
  release(address: SocketAddress): ListenSocket | undefined;
}

/** The sockets that a listener accepts on: the first is of its `address`, the others of `additional_addresses`. */
export class ListeningSockets implements SocketHolder {
  readonly #config: ListenerConfig;
  readonly #runtime: Runtime;
  #open: ListenSocket[] = [];
  #calls: SocketCalls | null = null;

  constructor(config: ListenerConfig, runtime: Runtime) {
    this.#config = config;
    this.#runtime = runtime;
  }

  get all(): readonly ListenSocket[] {
    return this.#open;
  }

  /** Calls of the kernel that Node has not; null: the configuration needs none. */
  get calls(): SocketCalls | null {
    return this.#calls;
  }

  /**
   * Opens them at the listener's own `address` and the additional ones, or takes over those of `before` that have the same address, so that no
   * connection is refused in between. `inherited`: the socket of an address that the process before this one gave. Rejects with a ListenerError,
   * and then nothing is open or taken.
   */
  async open(
    address: SocketAddress,
    before: SocketHolder,
    inherited: (address: SocketAddress) => object | undefined,
    onConnection: (socket: net.Socket) => void,
  ): Promise<void> {
    const { name, socketOptions: ownOptions, additionalAddresses, originalDst } = this.#config;
    const { worker } = this.#runtime;
    const all = [{ address, socketOptions: ownOptions }, ...additionalAddresses];
    const wanted = worker === null || worker.index === 0 ? all : all.filter(({ address: at }) => at.kind !== 'pipe');
    const options = { backlog: this.#config.backlog, reusePort: this.#config.reusePort || worker !== null };
    if (originalDst || wanted.some(({ socketOptions }) => socketOptions.length > 0)) this.#calls = await this.#loadCalls();
    const opened = new Map<SocketAddress, ListenSocket>();
    try {
      for (const { address: at, socketOptions } of wanted) {
        if (before.holds(at)) continue;
        const socket = await ListenSocket.open(at, options, `listener ${name}`, inherited(at));
        opened.set(at, socket);
        this.#setOptions(socket, socketOptions);
      }
    } catch (error) {
      for (const socket of opened.values()) socket.close(true);
      throw error;
    }
    // Nothing fails from here on: what `before` gives it does not get back.
    for (const { address: at, socketOptions } of wanted) {
      const socket = opened.get(at) ?? before.release(at)!;
      if (!opened.has(at)) this.#runtime.faults.guard(`the socket options of listener ${name}`, () => this.#setOptions(socket, socketOptions));
      socket.onConnection = onConnection;
      socket.onError = (error) => this.#runtime.log('error', `listener ${name}: ${error.message}`);
      this.#open.push(socket);
    }
  }

  holds(address: SocketAddress): boolean {
    return this.#open.some((socket) => sameAddress(socket.address, address));
  }

  /** Gives a socket away; its connections stay with their listener. */
  release(address: SocketAddress): ListenSocket | undefined {
    const socket = this.#open.find((one) => sameAddress(one.address, address));
    if (socket !== undefined) this.#open = this.#open.filter((one) => one !== socket);
    return socket;
  }

  /** `removePaths`: nobody else listens on the paths of theirs that are in the file system. */
  close(removePaths: boolean): void {
    for (const socket of this.#open) socket.close(removePaths);
    this.#open = [];
  }

  async #loadCalls(): Promise<SocketCalls> {
    try {
      return await loadSocketCalls();
    } catch (cause) {
      throw new ListenerError('bind', `listener ${this.#config.name} needs calls of the kernel that this machine has not: ${(cause as Error).message}`, cause);
    }
  }

  #setOptions(socket: ListenSocket, options: readonly SocketOptionConfig[]): void {
    for (const { level, name, value, path } of options) {
      const failure = this.#calls!.setOption(socket.descriptor, level, name, value);
      if (failure !== '')
        throw new ListenerError('bind', `listener ${this.#config.name}: ${path} (level ${level}, name ${name}) is refused: ${failure}`, undefined);
    }
  }
}
