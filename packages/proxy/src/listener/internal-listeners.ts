import type { ByteSink } from '../net/byte-sink.ts';
import type { MemoryTransport } from '../net/memory-transport.ts';

/** What an internal listener does with a connection that is made to it. */
export type InternalAcceptor = (transport: MemoryTransport, setSink: (sink: ByteSink) => void) => void;

/** Listeners without a socket, by name (envoy_internal_address.server_listener_name). */
export class InternalListeners {
  readonly #acceptors = new Map<string, InternalAcceptor>();

  set(name: string, acceptor: InternalAcceptor): void {
    this.#acceptors.set(name, acceptor);
  }

  delete(name: string, acceptor: InternalAcceptor): void {
    if (this.#acceptors.get(name) === acceptor) this.#acceptors.delete(name);
  }

  get(name: string): InternalAcceptor | undefined {
    return this.#acceptors.get(name);
  }
}
